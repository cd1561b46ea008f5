"""Requests to a variant that is asleep: one start for a herd, in order, within limits, and a reason when it fails."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from endpoints.elastic import Load
from endpoints.gateway.routing import Elasticity, RouteVariant, StartFailure
from endpoints.serving.address import Address
from tests.endpoints.gateway.stage import ALICE, Stage, invocation
from tests.endpoints.loop_thread import LoopThread
from tests.endpoints.serving.engines import LinearPredictor
from tests.polling import wait_until

Told = tuple[int, dict[str, str], bytes]


def _variant(
    *, replica: object = None, n_wanted: int = 0, limit: int | None = None, **more: object
) -> RouteVariant:
    elastic = Elasticity(7, n_most=10, n_wanted=n_wanted, max_concurrency=limit, **more)  # type: ignore[arg-type]
    addresses = () if replica is None else (replica.address,)  # type: ignore[attr-defined]
    return RouteVariant("AllTraffic", 1.0, addresses, elastic)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(60) as made:
        yield made


@pytest.fixture
def hasty(loop_thread: LoopThread, socket_dir: Path) -> Iterator[Stage]:
    """A gateway that waits for a replica half a second, and for three requests at a time."""
    made = Stage(loop_thread, socket_dir, wait_within_s=0.5, n_waiting_max=3)
    yield made
    made.close()


def _herd(stage: Stage, pool: ThreadPoolExecutor, n: int) -> list[Future[Told]]:
    return [pool.submit(stage.invoke, f"{number},0".encode()) for number in range(n)]


def _n_waiting(stage: Stage) -> int:
    (variant,) = stage.gateway._balancer.elastic_variants()
    return variant.n_waiting


def _answers(herd: list[Future[Told]]) -> list[Told]:
    return [future.result(timeout=20) for future in herd]


def test_a_herd_of_fifty_asks_for_one_replica_and_is_answered_when_it_is_there(
    stage: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.route(_variant())
    herd = _herd(stage, pool, 50)
    wait_until(lambda: _n_waiting(stage) == 50 and bool(stage.loads))
    stage.route(_variant(replica=stage.model_server("late"), n_wanted=1))
    for status, headers, _body in _answers(herd):
        assert status == 200
        assert int(headers["x-mlplatform-cold-start"]) >= 0
    first = stage.loads[0]
    assert (first.variant_id, first.n_wanted) == (7, 1)
    assert first.waiting_since is not None and abs(first.waiting_since - time.time()) < 20
    assert max(load.n_wanted for load in stage.loads) == 10, "more than it may have"
    wait_until(lambda: stage.met == [(7, 50)])
    status, headers, _body = stage.invoke()
    assert status == 200 and "x-mlplatform-cold-start" not in headers
    wait_until(lambda: sum(counts.n_requests for counts in stage.flushed) == 51)
    assert sum(counts.n_cold for counts in stage.flushed) == 50
    assert sum(counts.busy_ms for counts in stage.flushed) > 0


def test_over_the_concurrency_it_is_refused_and_counted(stage: Stage, pool: ThreadPoolExecutor) -> None:
    stage.route(_variant(limit=3))
    herd = _herd(stage, pool, 3)
    wait_until(lambda: _n_waiting(stage) == 3)
    for status, headers, body in _answers(_herd(stage, pool, 10)):
        assert status == 429 and b"ThrottlingException" in body
        assert headers["retry-after"] == "1"
    stage.route(_variant(replica=stage.model_server("late"), limit=3, n_wanted=1))
    assert [status for status, _headers, _body in _answers(herd)] == [200] * 3
    wait_until(lambda: sum(counts.n_throttled for counts in stage.flushed) == 10)
    assert sum(counts.n_4xx for counts in stage.flushed) == 10


def test_who_came_first_is_answered_first(
    stage: Stage, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[float] = []
    predict = LinearPredictor.predict

    def recording(self: LinearPredictor, X: Any, *, verbose: bool) -> Any:
        seen.extend(X[:, 0].tolist())
        return predict(self, X, verbose=verbose)

    stage.route(_variant())
    herd = []
    for number in range(1, 9):
        herd.append(pool.submit(stage.invoke, f"{number},0".encode()))
        wait_until(lambda: _n_waiting(stage) == number)  # noqa: B023
    late = stage.model_server("late")
    monkeypatch.setattr(LinearPredictor, "predict", recording)
    stage.route(_variant(replica=late, n_wanted=1))
    assert [status for status, _headers, _body in _answers(herd)] == [200] * 8
    assert seen == [1, 2, 3, 4, 5, 6, 7, 8]


def test_a_client_that_goes_away_gives_its_place_up(stage: Stage) -> None:
    stage.route(_variant(limit=1))
    with stage.client() as client:
        client.send(invocation(token=ALICE))
        wait_until(lambda: _n_waiting(stage) == 1)
        assert stage.invoke()[0] == 429
    wait_until(lambda: _n_waiting(stage) == 0)
    (variant,) = stage.gateway._balancer.elastic_variants()
    assert variant.n_in_hand == 0
    stage.route(_variant(replica=stage.model_server("late"), limit=1, n_wanted=1))
    assert stage.invoke()[0] == 200


def test_waiting_has_an_end_and_places_are_few(hasty: Stage, pool: ThreadPoolExecutor) -> None:
    hasty.route(_variant())
    herd = _herd(hasty, pool, 8)
    by_status = sorted(_answers(herd), key=lambda told: told[0])
    assert [status for status, _headers, _body in by_status] == [429] * 5 + [503] * 3
    _status, headers, body = by_status[-1]
    assert b"did not start within 0.5 s" in body and headers["retry-after"] == "1"


def test_while_hosts_cannot_be_told_a_request_is_refused_with_the_reason(hasty: Stage) -> None:
    hasty.loads_error = OSError("the database is away")
    hasty.route(_variant())
    status, _headers, body = hasty.invoke()
    assert status == 503 and b"the database is away" in body


def test_a_start_that_fails_is_told_to_all_and_to_who_comes_before_its_time(
    stage: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.route(_variant())
    herd = _herd(stage, pool, 3)
    wait_until(lambda: _n_waiting(stage) == 3)
    failure = StartFailure("RuntimeError: no such tree", time.time() + 9)
    stage.route(_variant(failure=failure))
    for status, headers, body in [*_answers(herd), stage.invoke()]:
        assert status == 424 and b"RuntimeError: no such tree" in body and b"ModelError" in body
        assert 1 <= int(headers["retry-after"]) <= 9
    past = StartFailure("RuntimeError: no such tree", time.time() - 1)
    stage.route(_variant(failure=past))
    later = pool.submit(stage.invoke)
    wait_until(lambda: _n_waiting(stage) == 1)
    stage.route(_variant(replica=stage.model_server("mended"), n_wanted=1))
    assert later.result(timeout=20)[0] == 200


def test_an_update_takes_over_who_waits_and_a_deletion_lets_him_go(
    stage: Stage, pool: ThreadPoolExecutor
) -> None:
    stage.route(_variant())
    waiting = pool.submit(stage.invoke)
    wait_until(lambda: _n_waiting(stage) == 1)
    stage.route(RouteVariant("AllTraffic", 1.0, (stage.model_server("plain").address,)))
    assert waiting.result(timeout=20)[0] == 200
    stage.route(_variant())
    waiting = pool.submit(stage.invoke)
    wait_until(lambda: _n_waiting(stage) == 1)
    stage.route()
    status, _headers, body = waiting.result(timeout=20)
    assert status == 503 and b"was changed while this request waited" in body


def test_load_calls_for_more_replicas_at_once_and_for_fewer_after_a_while(
    stage: Stage, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = stage.model_server("slow", pause_s=0.15)
    stage.route(_variant(replica=slow, n_wanted=1))
    _answers(_herd(stage, pool, 12))
    wait_until(lambda: any(load.n_wanted == 3 for load in stage.loads))
    assert all(load.waiting_since is None for load in stage.loads), "nobody waited for a first one"
    stage.route(_variant(replica=slow, n_wanted=3))
    monkeypatch.setattr("endpoints.gateway.waiting.SCALE_DOWN_S", 0.0)
    wait_until(lambda: stage.loads[-1].n_wanted == 1, timeout_s=10)


def test_a_replica_that_dies_under_a_request_is_waited_for_again(
    stage: Stage, pool: ThreadPoolExecutor
) -> None:
    dead = stage.model_server("dead")
    stage.loop_thread.call(dead.server.drain(grace_s=0))
    stage.route(_variant(replica=dead, n_wanted=1))
    waiting = pool.submit(stage.invoke)
    wait_until(lambda: _n_waiting(stage) == 1)
    stage.route(_variant(replica=stage.model_server("next"), n_wanted=1))
    assert waiting.result(timeout=20)[0] == 200
    assert isinstance(stage.loads[0], Load)


def test_a_replica_that_stays_where_it_is_is_asked_again_although_nothing_changed(
    stage: Stage, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("endpoints.gateway.invoke._LOOK_AGAIN_S", 0.05)
    address = Address(path=str(stage.folder / "back"))
    stage.route(RouteVariant("AllTraffic", 1.0, (address,), Elasticity(7, n_most=1, n_wanted=1)))
    waiting = pool.submit(stage.invoke)
    wait_until(lambda: _n_waiting(stage) == 1)
    stage.model_server("back")
    status, headers, _body = waiting.result(timeout=5)
    assert status == 200 and "x-mlplatform-cold-start" in headers
