"""Replicas that die, drain and come back under load, as processes of their own."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from endpoints.gateway.routing import Elasticity, RouteVariant
from endpoints.serving.address import Address
from tests.endpoints.gateway.stage import Stage, invocation
from tests.endpoints.loop_thread import poll
from tests.endpoints.serving.replica import ReplicaProcess, linear


class Callers:
    """Threads that invoke without a pause until stopped; each keeps its connection."""

    def __init__(self, stage: Stage, n: int = 6) -> None:
        self.statuses: Counter[int] = Counter()
        self.failures: list[bytes] = []
        self._stage = stage
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._call, daemon=True) for _ in range(n)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(20)

    def wait_for_more(self, n: int) -> None:
        wanted = sum(self.statuses.values()) + n
        poll(lambda: sum(self.statuses.values()) >= wanted, 20)

    def _call(self) -> None:
        with self._stage.client() as client:
            while not self._stopped.is_set():
                client.send(invocation(b"1,2"))
                status, _, body = client.answer()
                self.statuses[status] += 1
                if status != 200:
                    self.failures.append(body)


def replica(stage: Stage, folder: Path, name: str) -> ReplicaProcess:
    return ReplicaProcess(stage.folder / name, folder, linear(folder))


def address(process: ReplicaProcess) -> Address:
    return Address(path=str(process.socket))


def test_killing_one_of_two_replicas_under_load_fails_no_request(stage: Stage, tmp_path: Path) -> None:
    with replica(stage, tmp_path, "a") as a, replica(stage, tmp_path, "b") as b:
        a.wait_ready()
        b.wait_ready()
        stage.route(RouteVariant("A", 1.0, (address(a), address(b))))
        callers = Callers(stage)
        callers.wait_for_more(300)
        a.process.kill()
        callers.wait_for_more(300)
        with replica(stage, tmp_path, "a") as again:
            callers.wait_for_more(300)
            poll(lambda: "serving on" in again.log, 20)
            callers.wait_for_more(300)
            b.process.kill()
            callers.wait_for_more(300)
            callers.stop()
        assert callers.failures == []
        assert set(callers.statuses) == {200}


def test_an_update_from_one_replica_to_another_drops_no_request(stage: Stage, tmp_path: Path) -> None:
    with replica(stage, tmp_path, "old") as old, replica(stage, tmp_path, "new") as new:
        old.wait_ready()
        stage.route(RouteVariant("A", 1.0, (address(old),)))
        callers = Callers(stage)
        callers.wait_for_more(300)
        new.wait_ready()
        stage.route(RouteVariant("A", 1.0, (address(new),)))
        old.process.send_signal(signal.SIGTERM)
        assert old.process.wait(10) == 0
        callers.wait_for_more(300)
        callers.stop()
        assert callers.failures == []


def test_a_request_that_ends_model_servers_is_given_to_two_at_most(stage: Stage, tmp_path: Path) -> None:
    processes = [replica(stage, tmp_path, name) for name in "abc"]
    try:
        for process in processes:
            process.wait_ready()
        stage.route(RouteVariant("A", 1.0, tuple(address(process) for process in processes)))
        for _ in range(6):
            assert stage.invoke()[0] == 200  # every replica has a kept connection
        status, _, body = stage.invoke(b"667,1")
        content = json.loads(body)
        assert (status, content["__type"]) == (424, "ModelError")
        assert content["OriginalStatusCode"] == 0
        poll(lambda: sum(process.process.poll() is not None for process in processes) == 2)
        assert stage.invoke()[0] == 200
    finally:
        for process in processes:
            process.__exit__(None, None, None)


def test_a_request_that_ends_model_servers_ends_no_third_that_it_had_started(
    stage: Stage, tmp_path: Path
) -> None:
    def elastic(*processes: ReplicaProcess) -> RouteVariant:
        spec = Elasticity(7, n_most=1, n_wanted=1)
        return RouteVariant("A", 1.0, tuple(address(process) for process in processes), spec)

    with replica(stage, tmp_path, "a") as a, replica(stage, tmp_path, "b") as b:
        a.wait_ready()
        b.wait_ready()
        stage.route(elastic(a))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(stage.invoke, b"667,1")
            poll(lambda: a.process.poll() is not None)
            assert not waiting.done()
            stage.route(elastic(b))
            status, headers, body = waiting.result(timeout=20)
        assert status == 424 and b"two model servers ended" in body
        assert "x-mlplatform-cold-start" in headers


def test_a_single_replica_that_died_is_503_until_it_is_back(stage: Stage, tmp_path: Path) -> None:
    with replica(stage, tmp_path, "a") as first:
        first.wait_ready()
        stage.route(RouteVariant("A", 1.0, (address(first),)))
        assert stage.invoke()[0] == 200
        first.process.kill()
        first.process.wait(10)
        status, headers, _ = stage.invoke()
        assert status == 503
        assert int(headers["retry-after"]) >= 1
    with replica(stage, tmp_path, "a") as second:
        poll(lambda: "serving on" in second.log, 20)
        poll(lambda: stage.invoke()[0] == 200)


@pytest.mark.parametrize("n_requests", [200])
def test_two_replicas_share_the_load(stage: Stage, tmp_path: Path, n_requests: int) -> None:
    a, b = stage.model_server("a", pause_s=0.001), stage.model_server("b", pause_s=0.001)
    stage.route(RouteVariant("A", 1.0, (a.address, b.address)))
    callers = Callers(stage, 4)
    callers.wait_for_more(n_requests)
    callers.stop()
    counts = [sum(server.predictor.batch_sizes) for server in (a, b)]
    assert min(counts) > 0.35 * sum(counts)
