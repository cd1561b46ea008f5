"""Starts the process of a table run in a sandbox and gives what it prints. Django-free; called by a worker.

It reads a table of somebody's: of the machine it sees the table, its folder and the gateway's socket.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from endpoints.evaluation.spec import TableSpec
from jobs.runner.sandbox import Mount, Sandbox
from jobs.runner.spec import PARENT_AT_STDIN
from mlplatform.core.env import PROJECT_ROOT, runtime_dir

_GATEWAY = Path("/run/gateway")


def table_lines(spec: TableSpec, folder: Path, *, time_limit_s: float) -> Iterator[dict[str, Any]]:
    """What the process prints, line by line; at the end, if it printed anything else, the last of that.

    Args:
        folder: Of this run alone; `spec.result` lies in it.
    """
    sandbox = _sandbox(spec, folder)
    spec_path = folder / "spec.json"
    replace(spec, socket=str(sandbox.inside(Path(spec.socket).resolve()))).write(spec_path)
    parent = PARENT_AT_STDIN if sandbox.enclosed else os.getpid()
    with (
        (folder / "stderr").open("w+b") as stderr,
        subprocess.Popen(
            sandbox.argv([sys.executable, "-m", "endpoints.evaluation", str(spec_path), str(parent)]),
            cwd=folder,
            env=sandbox.environment(_environment(folder)),
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.PIPE,  # its end tells a process in a sandbox that the worker is gone
        ) as process,
    ):
        timer = threading.Timer(time_limit_s, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                yield json.loads(line)
        finally:
            timer.cancel()
            process.kill()
            process.wait()
        stderr.seek(0)
        yield {"stderr": stderr.read()[-2000:].decode("utf-8", "replace").strip()}


def _sandbox(spec: TableSpec, folder: Path) -> Sandbox:
    """Folder and table by their own names. Of the gateway's socket its folder, so that a gateway that starts again is
    found; where the folder has other sockets too, the socket alone.
    """
    socket = Path(spec.socket).resolve()
    gateway = (
        Mount(socket.parent, _GATEWAY) if socket.parent != runtime_dir() else Mount(socket, _GATEWAY / "s")
    )
    data = Path(spec.data)
    return Sandbox(folder=folder, mounts=(Mount(folder, folder, writable=True), Mount(data, data), gateway))


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
