"""The model server as a process: loading, answering, failing, ending."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from endpoints.serving.answers import MAX_BODY_BYTES
from mlplatform.core.env import PROJECT_ROOT
from tests.endpoints.loop_thread import RawClient, poll
from tests.endpoints.serving.replica import ReplicaProcess, linear

INVOCATION = (
    b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: text/csv\r\nContent-Length: 3\r\n\r\n1,2"
)


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaProcess]:
    folder = tmp_path_factory.mktemp("model")
    socket = Path(f"/tmp/mlp-{os.getpid()}-server.sock")
    with ReplicaProcess(socket, folder, linear(folder)) as process:
        yield process.wait_ready()
    socket.unlink(missing_ok=True)


def test_ping_answers_200_once_the_model_is_loaded(replica: ReplicaProcess) -> None:
    with replica.client() as client:
        client.send(b"GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
        assert client.answer()[0] == 200


def test_rows_are_answered_in_the_form_that_was_asked_for(replica: ReplicaProcess) -> None:
    status, headers, body = replica.invoke(b"1,2\n3,4\n")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"predictions": [{"score": 21.0}, {"score": 43.0}]}
    verbose = replica.invoke(b"1,2", extra="Accept: application/json; verbose=true\r\n")[2]
    assert json.loads(verbose) == {"predictions": [{"score": 21.0, "contributions": [1.0, 20.0]}]}
    status, headers, body = replica.invoke(b"1,2", extra="Accept: application/jsonlines\r\n")
    assert (headers["content-type"], body) == ("application/jsonlines", b'{"score":21.0}\n')


def test_a_large_batch_is_answered(replica: ReplicaProcess) -> None:
    status, _, body = replica.invoke(b"1,2\n" * 100_000)
    assert status == 200
    assert len(json.loads(body)["predictions"]) == 100_000


@pytest.mark.parametrize(
    ("body", "kind", "extra", "status", "error", "place"),
    [
        (b"1,2\n1,x", "text/csv", "", 400, "ValidationError", {"row": 2, "column": "1"}),
        (b"1,2\n1,2,3", "text/csv", "", 400, "ValidationError", {"row": 2, "column": None}),
        (b"1,nan", "text/csv", "", 400, "ValidationError", {"row": 1, "column": "1"}),
        (b"{", "application/json", "", 400, "ValidationError", {}),
        (b"1,2", "text/plain", "", 415, "UnsupportedMediaType", {}),
        (b"1,2", "text/csv", "Accept: image/png\r\n", 406, "NotAcceptable", {}),
    ],
)
def test_bad_input_is_refused_in_the_services_form(
    replica: ReplicaProcess,
    body: bytes,
    kind: str,
    extra: str,
    status: int,
    error: str,
    place: dict[str, object],
) -> None:
    found, headers, answer = replica.invoke(body, kind, extra=extra + "X-Request-Id: r1\r\n")
    content = json.loads(answer)
    assert (found, headers["x-amzn-errortype"], content["__type"], content["code"]) == (
        status,
        error,
        error,
        error,
    )
    assert content["message"] == content["detail"]
    assert content["request_id"] == headers["x-request-id"] == "r1"
    assert {name: content[name] for name in place} == place


def test_a_fault_of_the_models_own_is_424_and_its_traceback_is_in_the_log(replica: ReplicaProcess) -> None:
    status, headers, body = replica.invoke(b"666,1")
    content = json.loads(body)
    assert (status, headers["x-amzn-errortype"]) == (424, "ModelError")
    assert content["OriginalStatusCode"] == 500
    assert content["OriginalMessage"] == "ArithmeticError: the number of the beast"
    assert "engines.py" not in body.decode()
    poll(lambda: "Traceback (most recent call last)" in replica.log)
    assert "engines.py" in replica.log


def test_an_answer_that_json_cannot_say_is_424(replica: ReplicaProcess) -> None:
    status, _, body = replica.invoke(b"668,1")
    assert status == 424
    assert "not a finite number for row 1" in json.loads(body)["message"]


def test_six_mebibytes_are_accepted_and_one_byte_more_is_not(replica: ReplicaProcess) -> None:
    row = b"1.0000000,2\n"
    body = row * (MAX_BODY_BYTES // len(row)) + b"\n" * (MAX_BODY_BYTES % len(row))
    assert len(body) == MAX_BODY_BYTES
    assert replica.invoke(body)[0] == 200
    status, headers, answer = replica.invoke(body + b"\n")
    assert (status, headers["x-amzn-errortype"]) == (413, "RequestEntityTooLarge")
    assert "6,291,457 bytes; at most 6,291,456 bytes (6 MiB)" in json.loads(answer)["message"]


def test_another_path_is_404(replica: ReplicaProcess) -> None:
    with replica.client() as client:
        client.send(b"GET /invocations HTTP/1.1\r\nHost: m\r\n\r\n")
        assert client.answer()[0] == 404


def test_custom_attributes_are_echoed(replica: ReplicaProcess) -> None:
    headers = replica.invoke(b"1,2", extra="X-Amzn-SageMaker-Custom-Attributes: trace=7\r\n")[1]
    assert headers["x-amzn-sagemaker-custom-attributes"] == "trace=7"


def test_the_socket_is_for_its_owner_only(replica: ReplicaProcess) -> None:
    assert replica.socket.stat().st_mode & 0o777 == 0o600


def test_ping_answers_while_a_prediction_runs_and_a_full_queue_is_429(
    tmp_path: Path, socket_dir: Path
) -> None:
    gate = tmp_path / "gate"
    with (
        ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path, gate=gate)) as busy,
        ExitStack() as stack,
    ):
        busy.wait_ready()
        clients = [stack.enter_context(busy.client()) for _ in range(301)]
        for client in clients:
            client.send(INVOCATION)
            if client is clients[0]:
                _ping(busy)  # the first is being predicted from here on, the others wait
        _ping(busy)
        gate.touch()
        answers = [client.answer() for client in clients]
        assert Counter(status for status, _, _ in answers) == {200: 257, 429: 44}
        assert {headers["retry-after"] for status, headers, _ in answers if status == 429} == {"1"}


def _ping(replica: ReplicaProcess) -> None:
    with replica.client() as client:
        client.send(b"GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
        assert client.answer()[0] == 200


def test_sigterm_answers_what_has_begun_and_then_ends(tmp_path: Path, socket_dir: Path) -> None:
    gate = tmp_path / "gate"
    with ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path, gate=gate)) as busy:
        busy.wait_ready()
        with busy.client() as client:
            client.send(INVOCATION)
            _ping(busy)
            busy.process.send_signal(signal.SIGTERM)
            poll(lambda: not busy.socket.exists())
            gate.touch()
            status, headers, _ = client.answer()
            assert (status, headers["connection"]) == (200, "close")
        assert busy.process.wait(10) == 0
        assert "answering 1 requests" in busy.log


def test_a_model_that_cannot_be_loaded_ends_with_its_traceback(tmp_path: Path, socket_dir: Path) -> None:
    options = ["--engine", "tests.endpoints.serving.engines:Linear"]
    with ReplicaProcess(socket_dir / "s", tmp_path, options) as broken:
        assert broken.process.wait(20) == 1
        assert "Traceback (most recent call last)" in broken.log
        assert "weights.json" in broken.log
        assert "could not be loaded" in broken.log


def test_a_model_that_cannot_predict_does_not_start(tmp_path: Path, socket_dir: Path) -> None:
    with ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path, weights=())) as broken:
        assert broken.process.wait(20) == 1
        assert "IndexError" in broken.log


def test_an_unknown_algorithm_is_named_in_the_log(tmp_path: Path, socket_dir: Path) -> None:
    with ReplicaProcess(socket_dir / "s", tmp_path, ["--algorithm", "knnn"]) as broken:
        assert broken.process.wait(20) == 1
        assert "knnn" in broken.log


def test_a_socket_that_is_served_already_is_not_taken_over(replica: ReplicaProcess, tmp_path: Path) -> None:
    with ReplicaProcess(replica.socket, tmp_path, linear(tmp_path)) as second:
        assert second.process.wait(20) == 1
        assert "served by another process" in second.log
    assert replica.invoke(b"1,2")[0] == 200


def test_a_socket_file_left_by_a_killed_server_is_replaced(tmp_path: Path, socket_dir: Path) -> None:
    with ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path)) as first:
        first.wait_ready().process.kill()
        first.process.wait(10)
    assert (socket_dir / "s").exists()
    with ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path)) as second:
        poll(lambda: "serving on" in second.log, 20)
        assert second.invoke(b"1,2")[0] == 200


def test_a_server_whose_parent_was_killed_ends_too(tmp_path: Path, socket_dir: Path) -> None:
    script = (
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([*sys.argv[1:], '--parent-pid', str(os.getpid())])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    socket = socket_dir / "s"
    serve = [sys.executable, "-m", "endpoints.serving", "--socket", str(socket), "--model-dir", str(tmp_path)]
    parent = subprocess.Popen(
        [sys.executable, "-c", script, *serve, *linear(tmp_path)], stdout=subprocess.PIPE, cwd=PROJECT_ROOT
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    poll(socket.exists, 20)
    parent.kill()
    parent.wait(10)
    parent.stdout.close()
    poll(lambda: not _is_running(child))


def test_a_server_outlives_the_thread_that_started_it(tmp_path: Path, socket_dir: Path) -> None:
    started: list[ReplicaProcess] = []
    starter = threading.Thread(
        target=lambda: started.append(
            ReplicaProcess(socket_dir / "s", tmp_path, linear(tmp_path)).wait_ready()
        )
    )
    starter.start()
    starter.join(30)
    with started[0] as replica:
        assert replica.invoke(b"1,2")[0] == 200
        assert replica.process.poll() is None


def _is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_a_tcp_address_is_served_too(tmp_path: Path, socket_dir: Path) -> None:
    options = [*linear(tmp_path), "--socket", "tcp:127.0.0.1:0"]
    with ReplicaProcess(socket_dir / "unused", tmp_path, options) as replica:
        line = poll(
            lambda: next((line for line in replica.log.splitlines() if "serving on" in line), None), 20
        )
        port = int(line.rpartition(":")[2])
        with RawClient(("127.0.0.1", port)) as client:
            client.send(b"GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
            assert client.answer()[0] == 200


def test_threads_are_limited_before_the_libraries_are_imported(tmp_path: Path, socket_dir: Path) -> None:
    with ReplicaProcess(socket_dir / "s", tmp_path, [*linear(tmp_path), "--threads", "1"]) as replica:
        replica.wait_ready()
        n_threads = len(list(Path(f"/proc/{replica.process.pid}/task").iterdir()))
        assert n_threads <= 3
