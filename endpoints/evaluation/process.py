"""Starts the process of a table run or an evaluation in a sandbox and gives what it prints. Django-free; called by
a worker.

It reads a table of somebody's: of the machine it sees the table, its folder and the gateway's socket for
runs, which trusts nobody.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Final

from endpoints.evaluation.spec import RunSpec
from jobs.runner.sandbox import Mount, Sandbox
from jobs.runner.spec import PARENT_AT_STDIN
from mlplatform.core.env import PROJECT_ROOT, runtime_dir

_RUNS: Final = Path("/run/runs")
_ASK_EVERY_S: Final = 0.5
_GRACE_S: Final = 3.0
_LINE_MAX_BYTES: Final = 16 * 1024 * 1024
_STDERR_BYTES: Final = 2000


def run_lines(
    spec: RunSpec, folder: Path, *, time_limit_s: float, stopped: Callable[[], bool] = lambda: False
) -> Iterator[dict[str, Any]]:
    """What the process prints, line by line; at the end {"stderr", "stopped", "over_time"}: the last of what else it
    printed, and whether it was ended before its own end.

    However this ends, by an exception of the caller or by `close()` too, the process does: asked at first, and killed
    when it does not listen.

    Args:
        folder: Of this run alone; `spec.result` lies in it.
        stopped: Whether it is to end now; asked about twice a second.
    """
    sandbox = _sandbox(spec, folder)
    spec_path = folder / "spec.json"
    replace(spec, socket=str(sandbox.inside(Path(spec.socket).resolve()))).write(spec_path)
    yield from process_lines(
        [sys.executable, "-m", "endpoints.evaluation", str(spec_path)],
        sandbox=sandbox,
        folder=folder,
        time_limit_s=time_limit_s,
        stopped=stopped,
    )


def process_lines(
    program: Sequence[str],
    *,
    sandbox: Sandbox,
    folder: Path,
    time_limit_s: float,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[dict[str, Any]]:
    """The same for any program that prints JSON objects; its parent's process id is added to its arguments."""
    parent = PARENT_AT_STDIN if sandbox.enclosed else os.getpid()
    with (
        tempfile.TemporaryFile(dir=folder) as stderr,
        subprocess.Popen(
            sandbox.argv([*program, str(parent)]),
            cwd=folder,
            env=sandbox.environment(_environment(sandbox.inside(folder))),
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.PIPE,  # its end tells a process in a sandbox that the worker is gone
        ) as process,
    ):
        ending = _Ending(stopped, time_limit_s)
        try:
            assert process.stdout is not None
            yield from _said(process.stdout, ending)
        finally:
            _end(process)
        stderr.seek(0, os.SEEK_END)
        stderr.seek(max(0, stderr.tell() - _STDERR_BYTES))
        said = stderr.read().decode("utf-8", "replace").strip()
        yield {"stderr": said, "stopped": ending.stopped, "over_time": ending.over_time}


class _Ending:
    """Whether the process is to end before its own end, and why."""

    def __init__(self, stopped: Callable[[], bool], time_limit_s: float) -> None:
        self._ask = stopped
        self._deadline = time.monotonic() + time_limit_s
        self._asked_at = 0.0
        self.stopped = False
        self.over_time = False

    def due(self) -> bool:
        now = time.monotonic()
        self.over_time = now >= self._deadline
        if now - self._asked_at >= _ASK_EVERY_S:
            self._asked_at = now
            self.stopped = self._ask()
        return self.stopped or self.over_time


def _said(stdout: IO[bytes], ending: _Ending) -> Iterator[dict[str, Any]]:
    """JSON objects, one a line; whatever else is printed is passed over. Ends with the output, or when that is due."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while not ending.due() and len(rest) <= _LINE_MAX_BYTES:
            if not selector.select(_ASK_EVERY_S):
                continue
            piece = os.read(stdout.fileno(), 65536)
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (found for line in lines if (found := _object(line)))


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _sandbox(spec: RunSpec, folder: Path) -> Sandbox:
    """Folder and table by their own names. Of the socket of runs its folder, so that a gateway that starts again is
    found; where the folder has other sockets too, the socket alone.
    """
    socket = Path(spec.socket).resolve()
    runs = Mount(socket.parent, _RUNS) if socket.parent != runtime_dir() else Mount(socket, _RUNS / "s")
    data = Path(spec.data)
    return Sandbox(folder=folder, mounts=(Mount(folder, folder, writable=True), Mount(data, data), runs))


def _environment(folder: Path) -> dict[str, str]:
    return {
        "PATH": os.defpath,
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONSAFEPATH": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
