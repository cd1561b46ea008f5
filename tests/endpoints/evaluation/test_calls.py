"""What is timed and what is not, against a gateway that answers when the test says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from time import monotonic, perf_counter

import numpy as np
import pytest

from endpoints.evaluation import calls as calls_module
from endpoints.evaluation import endpoint_client
from endpoints.evaluation.calls import BatchCalls, SingleRow, single_calls
from endpoints.evaluation.endpoint_client import EndpointClient
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.test_set import Portion, body_of
from tests.endpoints.evaluation.test_test_set import spec_of

Answer = Callable[[int], tuple[int, float]]
Serve = Callable[[Answer], tuple["SlowGateway", EndpointClient]]


class SlowGateway:
    """Answers the n-th request, from 1, with a status after some seconds; hangs up where the status is 0."""

    def __init__(self, path: Path, answer: Answer) -> None:
        self.n_requests = 0
        self._answer = answer
        self._listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listening.bind(str(path))
        self._listening.listen()
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._pause.set()
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while not self._pause.is_set():
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while self._one(connection, stream):
                    continue

    def _one(self, connection: socket.socket, stream: object) -> bool:
        length = 0
        while (line := stream.readline()) not in (b"\r\n", b""):  # type: ignore[attr-defined]
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not line:
            return False
        rows = stream.read(length).count(b"\n") + 1  # type: ignore[attr-defined]
        self.n_requests += 1
        status, after_s = self._answer(self.n_requests)
        self._pause.wait(after_s)
        if not status:
            return False
        content = {"predictions": [{"predicted_label": 1}] * rows} if status == 200 else {"message": "later"}
        body = json.dumps(content).encode()
        connection.sendall(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body)
        return True


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    opened: list[SlowGateway | EndpointClient] = []

    def start(answer: Answer) -> tuple[SlowGateway, EndpointClient]:
        gateway = SlowGateway(tmp_path / "g.sock", answer)
        client = EndpointClient(spec_of(tmp_path, "a,b,y\n1,2,0\n"))
        opened.extend([client, gateway])
        return gateway, client

    yield start
    for each in opened:
        each.close()


def _portions(n: int) -> Iterator[Portion]:
    for number in range(1, n + 1):
        X = np.full((2, 2), number, np.float32)
        yield Portion(number, 2 * number - 1, X, body_of(X))


def _busy(seconds: float) -> None:
    """Works that long."""
    end = perf_counter() + seconds
    while perf_counter() < end:
        continue


def test_only_the_call_that_is_answered_is_timed(
    serve: Serve,
) -> None:
    _gateway, client = serve(lambda n: (200, 0.0) if n > 3 else ((429, 503, 0)[n - 1], 0.2))
    began_at = monotonic()
    answer = client.call(b"1,2")
    assert monotonic() - began_at > 0.6
    assert answer.status == 200
    assert answer.latency_s < 0.2
    assert client.n_repeated == 3


def test_patience_ends_with_what_the_endpoint_says(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_client, "PATIENCE_S", 0.2)
    _gateway, client = serve(lambda n: (503, 0.0))
    with pytest.raises(RunFailed, match="answered 503: later"):
        single_calls(client, [SingleRow(1, b"1,2")], 1, lambda n: None)


def _seconds(calls: BatchCalls) -> list[float]:
    return [each.seconds for each in calls.counted]


def test_answers_are_taken_while_the_endpoint_works(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls_module, "ALONE_EVERY", 4)
    gateway, client = serve(lambda n: (200, 0.2))
    meanwhile: list[int] = []

    def take(portion: Portion, body: bytes) -> None:
        deadline = perf_counter() + 0.05
        while gateway.n_requests == portion.batch and perf_counter() < deadline:
            continue
        if gateway.n_requests > portion.batch:
            meanwhile.append(portion.batch)

    calls = BatchCalls(client, accept="application/json", take=take)
    calls.send(_portions(8), lambda n: None)
    # Two calls are made alone, until it is known how long work takes, and then every fourth.
    assert meanwhile == [2, 3, 5, 6, 7]
    assert [each.alone for each in calls.counted] == [True, True, False, False, True, False, False, False]
    assert min(_seconds(calls)) >= 0.2


def test_work_that_outlasts_calls_is_not_in_their_time(serve: Serve) -> None:
    _gateway, client = serve(lambda n: (200, 0.0))
    calls = BatchCalls(client, accept="application/json", take=lambda portion, body: _busy(0.05))
    calls.send(_portions(7), lambda n: None)
    assert all(each.alone for each in calls.counted)
    assert len(calls.counted) == 7
    assert median(_seconds(calls)) < 0.04


def test_a_call_that_was_answered_too_soon_is_not_counted(serve: Serve) -> None:
    """The first calls take long, so that work is done meanwhile; from the fifth on they do not."""
    _gateway, client = serve(lambda n: (200, 0.4 if n < 5 else 0.02))
    calls = BatchCalls(client, accept="application/json", take=lambda portion, body: _busy(0.1))
    calls.send(_portions(10), lambda n: None)
    assert len(calls.sizes) == 10
    assert [each.alone for each in calls.counted] == [True, True, False, False] + [True] * 5
    assert [each.number for each in calls.counted] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    assert median(_seconds(calls)[4:]) < 0.09


def test_an_answer_that_comes_at_once_is_heard_before_any_work(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    _gateway, client = serve(lambda n: (200, 0.4 if n < 3 else 0.0))
    calls = BatchCalls(client, accept="application/json", take=lambda portion, body: _busy(0.1))
    monkeypatch.setattr(calls_module, "SETTLED_S", 0.2)
    calls.send(_portions(6), lambda n: None)
    assert [each.alone for each in calls.counted] == [True] * 6
    assert median(_seconds(calls)[2:]) < 0.05


def test_calls_that_work_beside_them_makes_longer_are_not_counted(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls_module, "ALONE_EVERY", 2)
    monkeypatch.setattr(calls_module, "N_COMPARED", 2)
    working = threading.Event()

    def answer(n: int) -> tuple[int, float]:
        return 200, 0.4 if working.wait(0.1) else 0.2

    def take(portion: Portion, body: bytes) -> None:
        working.set()
        _busy(0.03)
        working.clear()

    _gateway, client = serve(answer)
    calls = BatchCalls(client, accept="application/json", take=take)
    calls.send(_portions(10), lambda n: None)
    assert len(calls.sizes) == 10
    assert all(each.alone for each in calls.counted)
    assert 7 <= len(calls.counted) <= 8  # all but the two or three that were compared
    assert median(_seconds(calls)) < 0.38


def test_single_rows_are_sent_in_turn(serve: Serve) -> None:
    gateway, client = serve(lambda n: (200, 0.0))
    done: list[int] = []
    seconds = single_calls(client, [SingleRow(1, b"1,2"), SingleRow(9, b"3,4")], 5, done.append)
    assert (len(seconds), gateway.n_requests, done) == (5, 5, [1, 2, 3, 4, 5])
