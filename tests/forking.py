"""Short processes of the platform that fork from one which has imported their libraries, as those have that a worker
starts ahead. A tenth of what a new interpreter costs, and most tests want what such a process answers, not its start.

`python -m tests.forking <what to import>` imports, computes nothing, and forks for each order. What is about a process
itself, its sandbox, limits or end, starts one as the platform does.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, NoReturn

from jobs.data import process
from jobs.runner.process import parent_follow, threads_limit
from jobs.runner.sandbox import Sandbox
from jobs.runner.warm import kind_import
from mlplatform.core.env import PROJECT_ROOT

DATASETS: Final = "dataset processes"
N_THREADS: Final = 1
"""Of all computations: it is read when libraries are imported."""


@dataclass(frozen=True)
class Ended:
    """`returncode`: minus the signal's number where one ended it."""

    returncode: int
    out: bytes
    err: bytes


class Forking:
    """The process that imports `what`: the name of an algorithm, or DATASETS."""

    def __init__(self, what: str, environment: Mapping[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.forking", what],
            cwd=PROJECT_ROOT,
            env=None if environment is None else dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._lock = threading.Lock()
        atexit.register(self.end)

    def run(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        timeout_s: float,
        given: bytes = b"",
        folder: Path = PROJECT_ROOT,
        environment: Mapping[str, str] | None = None,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Ended:
        """How `python -m module arguments` ends.

        Args:
            given: Its standard input.
            folder: Its working directory.
            environment: None: as it was when the libraries were imported.
            meanwhile: Called once it has begun.

        Raises:
            TimeoutError: it was ended, since it did not end in time.
        """
        with self._lock, tempfile.TemporaryDirectory(prefix="mlp-forked-") as place:
            files = {name: str(Path(place, name)) for name in ("in", "out", "err")}
            Path(files["in"]).write_bytes(given)
            order = {
                "module": module,
                "arguments": [str(argument) for argument in arguments],
                "folder": str(folder),
                "environment": None if environment is None else dict(environment),
                **files,
            }
            code = self._ask(order, meanwhile, timeout_s)
            said = [
                path.read_bytes() if (path := Path(files[name])).exists() else b"" for name in ("out", "err")
            ]
        if code is None:
            raise TimeoutError(f"{module} did not end within {timeout_s} s: {said}")
        return Ended(code, *said)

    def _ask(self, order: Mapping[str, Any], meanwhile: Callable[[], None], timeout_s: float) -> int | None:
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.write(json.dumps(order).encode() + b"\n")
        self._popen.stdin.flush()
        meanwhile()
        ready, _writing, _faults = select.select([self._popen.stdout], [], [], timeout_s)
        if not ready:
            self.end()
            return None
        answer = self._popen.stdout.readline()
        if not answer:
            raise RuntimeError(f"the process that forks has ended with {self._popen.wait()}")
        return int(answer)

    @property
    def lives(self) -> bool:
        return self._popen.poll() is None

    def end(self) -> None:
        """Ends it; the kernel ends the child that it waits for."""
        self._popen.kill()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._popen.wait()


_STARTED: Final[dict[str, Forking]] = {}


def forking(what: str) -> Forking:
    """The one of this test process."""
    if what not in _STARTED or not _STARTED[what].lives:
        environment = process._environment(Sandbox(folder=PROJECT_ROOT)) if what == DATASETS else None
        _STARTED[what] = Forking(what, environment)
    return _STARTED[what]


def _import(what: str) -> None:
    threads_limit(N_THREADS)
    if what == DATASETS:
        from jobs.algorithms.lean_import import arrow_without_pandas

        for module in ("jobs.data.__main__", "jobs.data.commands", "jobs.data.inspect", "jobs.data.split"):
            import_module(module)
        arrow_without_pandas()
        return
    with contextlib.suppress(Exception):  # what cannot be imported is said by the job that needs it
        kind_import(what)


def main(what: str) -> None:
    answers = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints is no answer
    _import(what)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(answers)
            _child(order, parent)
        _pid, status = os.waitpid(pid, 0)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))


def _child(order: Mapping[str, Any], parent: int) -> NoReturn:
    code = 1
    try:
        parent_follow(parent)
        os.chdir(order["folder"])
        if order["environment"] is not None:
            os.environ.clear()
            os.environ.update(order["environment"])
        for descriptor, name in ((0, "in"), (1, "out"), (2, "err")):
            file = os.open(order[name], os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, descriptor)
            os.close(file)
        sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        code = _run(order["module"], order["arguments"])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _run(module: str, arguments: list[str]) -> int:
    """As `python -m` would, but with modules that are imported already."""
    program = import_module(f"{module}.__main__")
    sys.argv[:] = [str(program.__file__), *arguments]
    if module == "jobs.data":
        return int(program.main())
    return int(program.main(arguments))


if __name__ == "__main__":
    main(sys.argv[1])
