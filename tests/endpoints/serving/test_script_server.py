"""A model server whose model is a user's script, as a process: what it answers, and what hostile handlers do to it."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.endpoints.loop_thread import poll
from tests.endpoints.serving.replica import ReplicaProcess
from tests.endpoints.serving.script_models import ensemble_train, model_folder

HOSTILE = """
import os, sys, time
import numpy as np

print("imported")

def model_fn(model_dir):
    return os.path.basename(model_dir)

def transform_fn(model, data, content_type, accept):
    word = data.decode().strip()
    if word == "raise":
        raise ArithmeticError("the number of the beast")
    if word == "exit":
        sys.exit(3)
    if word == "interrupt":
        raise KeyboardInterrupt
    if word == "fork":
        if os.fork() == 0:
            return "from the child"
        return "from the parent"
    if word == "fork-and-raise":
        os.fork()
        raise RuntimeError("in both")
    if word == "print":
        sys.stdout.buffer.write(bytes(range(256)) + b"\\n")
        sys.stdout.flush()
        print("spoken", flush=True)
        return b"done"
    if word == "none":
        return None
    if word == "dict":
        return {"a": 1}
    if word == "header":
        return "x", "text/plain\\r\\nx-injected: 1"
    if word == "nan":
        return np.array([np.nan])
    if word == "huge":
        return b"x" * (40 * 2**20)
    if word == "slow":
        time.sleep(1.0)
        return "slow"
    if word == "type":
        class UnsupportedFormatError(Exception):
            pass
        raise UnsupportedFormatError("only words")
    if word == "leave":
        os._exit(9)
    return word.upper(), "text/plain"
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaProcess]:
    folder = model_folder(tmp_path_factory.mktemp("hostile"), HOSTILE)
    with _server(folder, "hostile") as process:
        yield process.wait_ready()
    process.socket.unlink(missing_ok=True)


def test_the_ensemble_answers_the_mean_of_both_saved_models(tmp_path: Path) -> None:
    ensemble = ensemble_train(tmp_path / "model")
    with _server(ensemble.folder, "ensemble", "--framework", "xgboost") as process:
        process.wait_ready()
        status, headers, body = process.invoke(ensemble.body)
        assert (status, headers["content-type"]) == (200, "application/json")
        np.testing.assert_allclose(json.loads(body), ensemble.mean, atol=1e-6, rtol=0)
        written = io.BytesIO()
        np.save(written, ensemble.X)
        npy = process.invoke(written.getvalue(), "application/x-npy", extra="Accept: application/x-npy\r\n")
        np.testing.assert_allclose(np.load(io.BytesIO(npy[2])), ensemble.mean, atol=1e-6, rtol=0)
        csv = process.invoke(ensemble.body, extra="Accept: text/csv\r\n")[2]
        np.testing.assert_allclose(np.loadtxt(io.BytesIO(csv)), ensemble.mean, atol=1e-6, rtol=0)
        assert process.invoke(b"1,2", extra="Accept: image/png\r\n")[0] == 406
        assert process.invoke(b"1,2", "image/png")[0] == 415
        status, _, body = process.invoke(b"1,2,three")
        assert (status, json.loads(body)["row"], json.loads(body)["column"]) == (400, 1, "2")
        assert (
            "handlers of inference.py: model_fn, predict_fn; defaults of xgboost: input_fn, output_fn"
            in process.log
        )


@pytest.mark.parametrize(
    ("word", "status", "said"),
    [
        ("hello", 200, "HELLO"),
        ("raise", 424, "ArithmeticError: the number of the beast"),
        ("exit", 424, "SystemExit: 3"),
        ("interrupt", 424, "KeyboardInterrupt"),
        ("fork", 200, "from the parent"),
        ("fork-and-raise", 424, "RuntimeError: in both"),
        ("none", 424, "transform_fn answered a NoneType; answer bytes, a str, a NumPy array"),
        ("dict", 424, "transform_fn answered a dict"),
        ("header", 424, "transform_fn answered the content type"),
        ("nan", 424, "not a finite number"),
        ("type", 415, "only words"),
        ("print", 200, "done"),
    ],
)
def test_whatever_a_handler_does_is_answered_and_the_server_goes_on(
    hostile: ReplicaProcess, word: str, status: int, said: str
) -> None:
    found, headers, body = hostile.invoke(word.encode(), "text/plain")
    assert (found, said in body.decode()) == (status, True), body
    assert "x-injected" not in headers
    assert hostile.invoke(b"again", "text/plain")[2] == b"AGAIN"


def test_a_huge_answer_is_carried_whole(hostile: ReplicaProcess) -> None:
    status, _, body = hostile.invoke(b"huge", "text/plain")
    assert (status, len(body)) == (200, 40 * 2**20)


def test_the_log_has_what_handlers_print_and_their_tracebacks_from_the_scripts_own_line_on(
    hostile: ReplicaProcess,
) -> None:
    hostile.invoke(b"print", "text/plain")
    hostile.invoke(b"raise", "text/plain")
    log = hostile.log_file.read_bytes().decode("utf-8", "replace")
    assert "imported" in log and "spoken" in log
    traceback = log[log.index("transform_fn failed:") :].splitlines()
    assert traceback[1] == "Traceback (most recent call last):"
    assert "inference.py" in traceback[2] and "script_model.py" not in "".join(traceback[1:5])


def test_a_ping_is_answered_while_a_handler_works(hostile: ReplicaProcess) -> None:
    with hostile.client() as busy, hostile.client() as other:
        head = (
            b"POST /invocations HTTP/1.1\r\nHost: m\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n"
        )
        busy.send(head + b"slow")
        other.send(b"GET /ping HTTP/1.1\r\nHost: m\r\n\r\n")
        assert other.answer()[0] == 200
        assert busy.answer()[2] == b"slow"


def test_the_children_of_a_fork_that_came_back_are_gone(hostile: ReplicaProcess) -> None:
    hostile.invoke(b"fork", "text/plain")
    poll(lambda: not _running_children(hostile.process.pid), 5)
    assert not _running_children(hostile.process.pid)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (
            "def model_fn(d): ...\nimport no_such_module\n",
            "inference.py, line 2: ModuleNotFoundError: No module named",
        ),
        ("def model_fn(:\n", "inference.py, line 1: SyntaxError"),
        ("predict_fn = 1\nraise ValueError('at import')\n", "inference.py, line 2: ValueError: at import"),
        (
            "import sys\nsys.exit(4)\ndef model_fn(d): ...\n",
            "line 2: the script ended with exit code 4",
        ),
        ("def model_fn(d):\n    return open(d + '/absent')\n", "inference.py, line 2: FileNotFoundError"),
        ("def predict_fn(a):\n    return a\n", "predict_fn(a) cannot be called as predict_fn(data, model)"),
        (
            "def transform_fn(m, d, c, a):\n    return d\n\ndef output_fn(p, a):\n    return p\n",
            "transform_fn does the work of output_fn as well",
        ),
        ("def predict_fn(d, m):\n    return d\n", "write def model_fn(model_dir) in inference.py"),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_the_server_with_the_scripts_line(
    tmp_path: Path, script: str, said: str
) -> None:
    with _server(model_folder(tmp_path / "model", script), "bad") as process:
        assert process.process.wait(20) == 1
        last = [line for line in process.log.splitlines() if line.startswith("[model server] ")]
        assert len(last) == 1 and said in last[0], process.log


def _running_children(pid: int) -> list[int]:
    children = psutil.Process(pid).children(recursive=True)
    return [child.pid for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def _server(folder: Path, name: str, *options: str) -> ReplicaProcess:
    socket = Path(f"/tmp/mlp-{os.getpid()}-{name}.sock")
    return ReplicaProcess(socket, folder, ["--algorithm", "script", *options])
