"""What is kept of a model server's output: bounded, in order, with the traceback found again."""

from __future__ import annotations

import os
import threading

from endpoints.replica_output import ReplicaOutput
from mlplatform.core.log_lines import LogLines

TRACEBACK = """loading
Traceback (most recent call last):
  File "loader.py", line 1, in load
    read()
OSError: no index

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "main.py", line 2, in main
    load()
ModelError: the model has no readable file
2026-11-20 ERROR the model could not be loaded
"""


def _read(data: bytes, output: ReplicaOutput) -> None:
    read_fd, write_fd = os.pipe()
    ended = threading.Event()
    output.follow(os.fdopen(read_fd, "rb", buffering=0), at_end=ended.set)
    with os.fdopen(write_fd, "wb") as pipe:
        pipe.write(data)
    assert ended.wait(10)


def _texts(blocks: list[LogLines]) -> list[str]:
    return [text for block in blocks for text in block.texts]


def test_lines_come_in_order_and_the_end_is_told() -> None:
    output = ReplicaOutput(limit_bytes=10_000)
    _read(b"one\ntwo\nthree", output)
    lines, truncated = output.take()
    assert _texts(lines) == ["one", "two", "three"]
    assert not truncated
    assert output.take() == ([], False)


def test_the_exception_is_found_in_a_chain_of_tracebacks() -> None:
    output = ReplicaOutput(limit_bytes=10_000)
    _read(TRACEBACK.encode(), output)
    assert output.exception_line() == "ModelError: the model has no readable file"
    assert output.traceback().startswith("Traceback")
    assert "OSError: no index" in output.traceback()
    assert "could not be loaded" not in output.traceback()


def test_without_a_traceback_there_is_none() -> None:
    output = ReplicaOutput(limit_bytes=10_000)
    _read(b"all well\n", output)
    assert (output.traceback(), output.exception_line()) == ("", "")


def test_a_server_that_talks_faster_than_can_be_stored_loses_lines_and_says_how_many() -> None:
    output = ReplicaOutput(limit_bytes=100 * 1024**2)
    _read(b"x" * 999 + b"\n" + (b"y" * 999 + b"\n") * 9_999, output)
    lines, _ = output.take()
    assert sum(len(line.data) for line in lines) < 5 * 1024**2
    *kept, said = _texts(lines)
    n_left_out = 10_000 - len(kept)
    assert 0 < n_left_out < 10_000
    assert said == f"[{n_left_out:,} lines were left out here: they came too fast]"


def test_the_log_limit_holds_over_several_starts() -> None:
    output = ReplicaOutput(limit_bytes=25, used_bytes=10)
    _read(b"0123456789\n", output)
    assert _texts(output.take()[0]) == ["0123456789"]
    _read(b"0123456789\n", output)
    lines, truncated = output.take()
    assert truncated and "limit" in _texts(lines)[-1]
