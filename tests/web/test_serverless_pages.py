"""Pages of serverless endpoints: the form, what the endpoint's page tells of sleep and starts, and its timeline."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from endpoints.models import Endpoint, ProductionVariant, ReplicaRun
from mlplatform.core import clock
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append
from mlplatform.core.models import LogStream
from mlplatform.core.status import EndpointStatus
from mlplatform.web.charts.replica_runs import replica_runs_figure
from tests.web.conftest import Visitor
from tests.web.reading import error_beside, text_of
from tests.web.test_endpoint_pages import ROW

AT = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SERVERLESS = ROW | {
    "variant.capacity": "serverless",
    "variant.memory_mb": "2048",
    "variant.max_concurrency": "5",
    "variant.idle_after_s": "",
}


@pytest.fixture
def asleep(alice_at_street: Visitor) -> Endpoint:
    """A serverless endpoint as a host leaves it, without a host, after one cold start."""
    assert alice_at_street.post("endpoint-new", {"name": "sleeper", **SERVERLESS}).status_code == 302
    endpoint = Endpoint.objects.get(name="sleeper")
    endpoint.status, endpoint.live = EndpointStatus.IN_SERVICE, endpoint.wanted
    endpoint.save()
    endpoint.replicas.all().delete()
    ProductionVariant.objects.filter(config=endpoint.wanted).update(n_wanted=0)
    now = clock.now()
    _run(endpoint, now - timedelta(seconds=60), demanded_s=0.5, ready_s=1.5, ended_s=30, n_waiting=7)
    return endpoint


def _run(
    endpoint: Endpoint,
    started_at: datetime,
    *,
    demanded_s: float | None = None,
    ready_s: float | None = None,
    ended_s: float | None = None,
    n_waiting: int = 0,
) -> ReplicaRun:
    def after(seconds: float | None) -> datetime | None:
        return None if seconds is None else started_at + timedelta(seconds=seconds)

    return ReplicaRun.objects.create(
        project=endpoint.project,
        endpoint=endpoint,
        endpoint_name=endpoint.name,
        endpoint_uid=endpoint.uid,
        variant="AllTraffic",
        replica_uid=f"{ReplicaRun.objects.count():026x}",
        memory_mb=2048,
        demanded_at=None if demanded_s is None else after(-demanded_s),
        started_at=started_at,
        ready_at=after(ready_s),
        seen_at=after(ready_s),
        ended_at=after(ended_s),
        end_reason="Idle" if ended_s else "",
        n_waiting=n_waiting,
    )


def test_a_serverless_endpoint_is_created_by_the_form(alice_at_street: Visitor, asleep: Endpoint) -> None:
    variant = asleep.wanted.variants.get()
    assert (variant.serverless_memory_mb, variant.serverless_max_concurrency) == (2048, 5)
    assert (variant.idle_after_s, variant.instance_type) == (300, "")
    page = text_of(alice_at_street.get("endpoint-edit", name="sleeper"))
    assert '<option value="serverless" selected>' in page and '<option value="2048" selected>' in page


@pytest.mark.parametrize(
    ("cell", "value", "said"),
    [
        ("variant.memory_mb", "1500", "1024, 2048"),
        ("variant.max_concurrency", "201", "1 to 200"),
        ("variant.max_concurrency", "many", "whole number"),
        ("variant.idle_after_s", "1", "5 to 86400"),
    ],
)
def test_what_is_refused_is_said_beside_its_field(
    alice_at_street: Visitor, cell: str, value: str, said: str
) -> None:
    response = alice_at_street.post("endpoint-new", {"name": "next", **SERVERLESS, cell: value})
    assert response.status_code == 400
    assert said in error_beside(text_of(response), cell)


def test_the_call_by_rest_has_serverless_instead_of_instances(alice_at_street: Visitor) -> None:
    form = {"name": "next", **SERVERLESS, "intent": "preview"}
    shown = text_of(alice_at_street.post("endpoint-new", form, htmx=True))
    assert '"serverless": {' in shown and '"memory_mb": 2048' in shown and "instance_type" not in shown


def test_the_page_tells_that_it_sleeps_and_of_its_cold_starts(
    alice_at_street: Visitor, asleep: Endpoint
) -> None:
    page = text_of(alice_at_street.get("endpoint-detail", name="sleeper"))
    assert '<span class="tile-value">asleep</span>' in page and "Serverless, 2" in page
    assert 'name="variant.weight"' not in page and "Apply weights" not in page
    first = "the first request starts a model server"
    assert first in text_of(alice_at_street.get("endpoint-detail", {"tab": "try"}, name="sleeper"))
    assert first not in text_of(alice_at_street.get("endpoint-detail", {"tab": "try"}, name="knn"))
    assert "nobody asked" in page and "2 s" in page
    figure = alice_at_street.get("endpoint-lives", name="sleeper").json()
    assert [trace["name"] for trace in figure["data"]] == ["starting", "answering", "requests that waited"]
    assert figure["data"][2]["text"] == ["7"]


def test_the_log_of_a_replica_that_is_gone_is_shown(alice_at_street: Visitor, asleep: Endpoint) -> None:
    logs = {"tab": "logs"}
    assert "No replica has started yet" in text_of(
        alice_at_street.get("endpoint-detail", logs, name="sleeper")
    )
    uid = ReplicaRun.objects.get(endpoint=asleep).replica_uid
    LogStream.objects.create(uid="f" * 26)
    log = LogStream.objects.create(uid=uid)
    log_append(stream=log, lines=[LogLines.of("Traceback", 1_790_000_000_000)])
    page = text_of(alice_at_street.get("endpoint-detail", logs, name="sleeper"))
    assert alice_at_street.url("replica-log", name="sleeper", uid=uid) in page
    answer = alice_at_street.get("replica-log", {"tail": 10}, name="sleeper", uid=uid)
    assert answer.json()["text"] == "Traceback\n"
    assert alice_at_street.get("replica-log", name="sleeper", uid="f" * 26).status_code == 404


def test_weights_of_a_serverless_endpoint_are_changed_without_a_count(
    alice_at_street: Visitor, asleep: Endpoint
) -> None:
    weights = {"variant.name": "AllTraffic", "variant.weight": "2", "serverless": "AllTraffic"}
    alice_at_street.post("endpoint-weights", weights, name="sleeper")
    assert asleep.wanted.variants.get().weight == 2


def test_lives_that_overlap_have_lines_of_their_own_and_the_cold_part_is_marked(asleep: Endpoint) -> None:
    runs = [
        _run(asleep, AT, demanded_s=0.2, ready_s=1, ended_s=60, n_waiting=3),
        _run(asleep, AT + timedelta(seconds=10), ready_s=1),
        _run(asleep, AT + timedelta(seconds=70), ready_s=None, ended_s=2),
    ]
    now = AT + timedelta(seconds=100)
    figure: dict[str, Any] = replica_runs_figure(runs, since=AT - timedelta(minutes=10), now=now)
    starting, answering, waited = figure["data"]
    assert starting["y"] == [1, 2, 1] and starting["x"] == [1200, 1000, 2000]
    assert answering["y"] == [1, 2] and answering["x"] == [59_000, 89_000]
    assert waited["text"] == ["3"]
    assert figure["layout"]["xaxis"]["range"][1] == now.isoformat()
    empty = replica_runs_figure([], since=AT, now=now)
    assert [trace["x"] for trace in empty["data"]] == [[], [], []]
