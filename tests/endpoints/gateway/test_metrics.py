"""`GET /metrics`: who may scrape, what the gateway counts, and that its text is what Prometheus reads."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from endpoints.gateway.exposition import BOUNDS, VariantFigures, VariantText, codes, cumulative, le_text
from endpoints.gateway.histogram import Histogram
from endpoints.gateway.routing import RouteVariant
from endpoints.gateway.tally import MinuteCounts, Tally
from tests.endpoints.gateway.stage import ALICE, Stage
from tests.endpoints.loop_thread import LoopThread

TOKEN = "a-token-for-prometheus"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture
def watched(loop_thread: LoopThread, socket_dir: Path) -> Iterator[Stage]:
    made = Stage(loop_thread, socket_dir, metrics_token=TOKEN)
    yield made
    made.close()


def samples_of(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(stage: Stage, authorization: str | None = f"Bearer {TOKEN}") -> tuple[int, dict[str, str], bytes]:
    line = f"Authorization: {authorization}\r\n" if authorization else ""
    with stage.client() as client:
        client.send(f"GET /metrics HTTP/1.1\r\nHost: g\r\n{line}\r\n".encode())
        return client.answer()


def scraped(stage: Stage) -> str:
    status, headers, body = scrape(stage)
    assert status == 200, body
    assert headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return body.decode()


def test_without_a_token_in_the_settings_there_is_no_such_address(stage: Stage) -> None:
    stage.start_web()
    assert scrape(stage)[0] == 404


@pytest.mark.parametrize("authorization", [None, "Bearer wrong-token-of-somebody", TOKEN, f"Bearer {ALICE}"])
def test_who_does_not_send_the_token_is_told_nothing(watched: Stage, authorization: str | None) -> None:
    status, _, body = scrape(watched, authorization)
    assert status == 401 and b"mlplatform_" not in body


def test_what_the_gateway_counted_is_told_while_the_web_process_is_away(watched: Stage) -> None:
    watched.route(RouteVariant("AllTraffic", 1.0, (watched.model_server("m").address,)))
    for _ in range(3):
        assert watched.invoke(b"1,2")[0] == 200
    assert watched.invoke(b"no,number")[0] == 400
    found = samples_of(scraped(watched))
    place = (("endpoint", "iris"), ("project", "default"), ("variant", "AllTraffic"))
    requests = {
        dict(labels)["code"]: n
        for (name, labels), n in found.items()
        if name == "mlplatform_endpoint_requests_total"
    }
    assert requests == {"2xx": 3, "4xx": 1, "424": 0, "429": 0, "5xx": 0}
    assert found["mlplatform_endpoint_request_duration_seconds_count", place] == 4
    assert 0 < found["mlplatform_endpoint_request_duration_seconds_sum", place] < 60
    assert found["mlplatform_endpoint_replicas_ready", place] == 1
    assert found["mlplatform_endpoint_requests_in_flight", place] == 0
    assert found["mlplatform_web_up", ()] == 0
    assert found["mlplatform_gateway_has_routing_table", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 2**20


def test_a_scrape_asks_the_web_process_and_hands_its_part_on(watched: Stage) -> None:
    watched.start_web()
    text = scraped(watched)
    assert "mlplatform_web_up 1.0" in text
    assert '"target": "/metrics"' in text and f"Bearer {TOKEN}" in text, "what this web process was asked"


def test_the_buckets_are_cumulative_and_exact_at_their_borders() -> None:
    histogram = Histogram()
    values_ms = [0.0001, 0.4, 3.0, 3.1, 99.0, 101.0, 700.0, 200_000.0]
    for value in values_ms:
        histogram.add(value)
    buckets = cumulative(histogram)
    assert buckets[-1] == ("+Inf", len(values_ms))
    assert [n for _, n in buckets] == sorted(n for _, n in buckets)
    gamma = 1.02 / 0.98
    for bound, (le, n) in zip(BOUNDS, buckets[:-1], strict=True):
        assert n == sum(value <= gamma**bound for value in values_ms), le
    assert len({le for le, _ in buckets}) == len(buckets)


def test_the_borders_are_near_round_figures() -> None:
    for bound, wished_s in zip((BOUNDS[0], BOUNDS[8], BOUNDS[-1]), (0.00025, 0.1, 60.0), strict=True):
        assert math.isclose(float(le_text(bound)), wished_s, rel_tol=0.021)


def test_every_answer_is_in_one_class() -> None:
    counts = MinuteCounts(1, "v", 0)
    for status in (200, 200, 400, 404, 424, 429, 429, 500, 503):
        counts.count(status)
    assert codes(counts) == {"2xx": 2, "4xx": 2, "424": 1, "429": 2, "5xx": 2}
    assert sum(codes(counts).values()) == counts.n_requests


def test_totals_only_grow_however_often_counts_could_not_be_written() -> None:
    tally, seen_ms = Tally(), 0.0

    def total() -> MinuteCounts:
        return tally.total(1, "v", tally.minutes())

    for minute in range(4):
        tally.add(endpoint_id=1, variant="v", now=60.0 * minute, status=200, latency_s=0.01)
        assert total().n_requests == minute + 1
        taken = tally.take()
        assert total().n_requests == minute + 1
        tally.give_back(taken)
        assert total().n_requests == minute + 1 and total().latency.sum_ms >= seen_ms
        seen_ms = total().latency.sum_ms
    assert sum(counts.n_requests for counts in tally.take()) == 4
    tally.forget({2})
    assert total().n_requests == 0


def test_names_cannot_break_the_text() -> None:
    text = VariantText()
    text.add(VariantFigures('pro"ject\\', "e", "v\n", MinuteCounts(1, "v", 0)))
    found = samples_of(text.text())
    place = (("endpoint", "e"), ("project", 'pro"ject\\'), ("variant", "v\n"))
    assert found["mlplatform_endpoint_replicas_ready", place] == 0


def test_series_are_bounded_and_a_scrape_of_many_holds_no_invocation_up(watched: Stage) -> None:
    address = watched.model_server("m").address
    many = tuple(RouteVariant(f"v{n}", 1.0, (address,)) for n in range(2003))
    watched.route(*many)

    async def turns_of_others() -> int:
        scraping, n_turns = asyncio.ensure_future(door._mine(web_answers=True)), 0
        while not scraping.done():
            await asyncio.sleep(0)
            n_turns += 1
        assert scraping.result().count("mlplatform_endpoint_replicas_ready{") == 2000
        assert "mlplatform_metrics_left_out_variants 3.0" in scraping.result()
        return n_turns

    door = watched.gateway._metrics
    assert watched.loop_thread.call(turns_of_others()) >= 400
