"""Records sent through a model server of the test's own: order, memory, and the record that is refused."""

from __future__ import annotations

import json
import os
import random
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from endpoints.transform.failure import Fault, TransformFailed
from endpoints.transform.send import Sender
from endpoints.transform.spec import TransformInput, TransformSpec
from mlplatform.core.env import PROJECT_ROOT


class Model(BaseHTTPRequestHandler):
    """Answers every line with its length, a little late and so out of order; refuses lines with `bad`."""

    protocol_version = "HTTP/1.1"
    late_s = 0.0
    n_active = n_most = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        kind = type(self)
        kind.n_active += 1
        kind.n_most = max(kind.n_most, kind.n_active)
        time.sleep(random.random() * kind.late_s)
        kind.n_active -= 1
        lines = body.split(b"\n")
        bad = any(b"bad" in line for line in lines)
        said = (
            b"no line may be bad" if bad else b"".join(b"%d,%b\n" % (len(line), line[:8]) for line in lines)
        )
        self.send_response(400 if bad else 200)
        self.send_header("content-type", "text/plain" if bad else "text/csv")
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *args: Any) -> None:
        return


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def model(tmp_path: Path) -> Iterator[str]:
    path = tmp_path / "m"
    Model.late_s, Model.n_most = 0.0, 0
    with Server(str(path), Model) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield str(path)
        server.shutdown()


def spec_of(model: str, tmp_path: Path, content: bytes, **changes: Any) -> TransformSpec:
    data = tmp_path / "data"
    data.write_bytes(content)
    given = TransformInput(
        data=str(data), name="data", result=str(tmp_path / "result"), size_bytes=len(content)
    )
    spec = TransformSpec(
        inputs=[given],
        socket=model,
        content_type="text/csv",
        accept="",
        split_type="Line",
        batch_strategy="SingleRecord",
        max_payload_bytes=6 * 1024**2,
        max_concurrent=8,
        input_filter="$",
        output_filter="$",
        join="None",
    )
    return replace(spec, **changes)


def sent(spec: TransformSpec) -> list[str]:
    Sender(spec, lambda n_done, n_bytes: None).send(spec.inputs[0])
    return Path(spec.inputs[0].result).read_text().splitlines()


def test_answers_that_come_out_of_order_are_written_in_order(model: str, tmp_path: Path) -> None:
    Model.late_s = 0.01
    rows = [f"{n},x" for n in range(300)]
    lines = sent(spec_of(model, tmp_path, "\n".join(rows).encode()))
    assert [line.split(",", 1)[1] for line in lines] == rows
    assert 1 < Model.n_most <= 8


@pytest.mark.parametrize("strategy", ["SingleRecord", "MultiRecord"])
def test_the_record_that_is_refused_is_found(model: str, tmp_path: Path, strategy: str) -> None:
    rows = [f"{n},good" for n in range(1000)]
    rows[617] = "617,bad"
    spec = spec_of(model, tmp_path, "\n".join(rows).encode(), batch_strategy=strategy)
    with pytest.raises(TransformFailed) as failed:
        sent(spec)
    assert (failed.value.record, failed.value.fault) == (618, Fault.DATA)
    assert failed.value.message == "record 618: the model answered 400: no line may be bad"


def test_requests_are_no_larger_than_may_be(model: str, tmp_path: Path) -> None:
    rows = [f"{n:04d},x" for n in range(500)]
    spec = spec_of(
        model, tmp_path, "\n".join(rows).encode(), batch_strategy="MultiRecord", max_payload_bytes=50
    )
    assert len(sent(spec)) == 500


def test_a_server_that_is_gone_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TransformFailed) as failed:
        sent(spec_of(str(tmp_path / "nobody"), tmp_path, b"1,2\n"))
    assert failed.value.fault is Fault.GONE


def test_memory_does_not_grow_with_the_rows(model: str, tmp_path: Path) -> None:
    """The whole process at 2,000 and at 100,000 rows."""
    peaks = [_peak_kib(model, tmp_path, n_rows) for n_rows in (2_000, 100_000)]
    assert peaks[1] - peaks[0] < 24 * 1024, peaks


def _peak_kib(model: str, tmp_path: Path, n_rows: int) -> int:
    row = b"5.1,3.5,1.4,0.2,a text that makes the row longer, as others have them\n"
    spec = spec_of(
        model, tmp_path, row * n_rows, join="Input", batch_strategy="MultiRecord", max_payload_bytes=64 * 1024
    )
    spec.write(tmp_path / "spec.json")
    program = (
        "import resource, sys; from endpoints.transform.__main__ import main;"
        "status = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "spec.json"), str(os.getpid())],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *said, peak = done.stdout.splitlines()
    assert json.loads(said[-2])["n_records"] == n_rows
    return int(peak)
