"""Job processes that begin as those do that a worker starts ahead: with the libraries of their algorithm imported.

One process for each algorithm imports them, computes nothing, and forks for each job, which costs a tenth of a new
interpreter. What is about a process of its own, such as its end by a signal, starts one: `JobFolder.start`.
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
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, NoReturn

from jobs.runner.process import threads_limit
from jobs.runner.warm import kind_import
from mlplatform.core.env import PROJECT_ROOT

N_THREADS: Final = 1
"""Of every job: it is read when libraries are imported."""


class Forking:
    """The process of one algorithm, as the tests have it."""

    def __init__(self, algorithm: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.contracts.forking", algorithm],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        atexit.register(self.end)

    def run(
        self,
        spec: Path,
        *,
        environment: Mapping[str, str],
        out: Path,
        err: Path,
        meanwhile: Callable[[], None],
        timeout_s: float,
    ) -> int:
        """The exit code of a job, minus the signal's number where one ended it.

        Args:
            out, err: Where its standard output and error go.
            meanwhile: Called once it has begun.
        """
        assert self._popen.stdin is not None and self._popen.stdout is not None
        order = {"spec": str(spec), "environment": dict(environment), "out": str(out), "err": str(err)}
        self._popen.stdin.write(json.dumps(order).encode() + b"\n")
        self._popen.stdin.flush()
        meanwhile()
        ready, _writing, _faults = select.select([self._popen.stdout], [], [], timeout_s)
        answer = self._popen.stdout.readline() if ready else b""
        if not answer:
            self.end()
            raise TimeoutError(f"no end of the job within {timeout_s} s:\n{out.read_text()}{err.read_text()}")
        return int(answer)

    @property
    def lives(self) -> bool:
        return self._popen.poll() is None

    def end(self) -> None:
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._popen.kill()
        self._popen.wait()


def forking(algorithm: str) -> Forking:
    """The process of the algorithm in this test process."""
    if not _forking(algorithm).lives:
        _forking.cache_clear()
    return _forking(algorithm)


@cache
def _forking(algorithm: str) -> Forking:
    return Forking(algorithm)


def main(algorithm: str) -> None:
    answers = os.dup(1)
    threads_limit(N_THREADS)
    with contextlib.suppress(Exception):  # what cannot be imported is said by the job that needs it
        kind_import(algorithm)
    for line in sys.stdin.buffer:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _child(order)
        _pid, status = os.waitpid(pid, 0)
        os.write(answers, b"%d\n" % os.waitstatus_to_exitcode(status))


def _child(order: Mapping[str, Any]) -> NoReturn:
    from jobs.runner.__main__ import main as job_main

    code = 1
    try:
        os.chdir(Path(order["spec"]).parent)
        os.environ.clear()
        os.environ.update(order["environment"])
        for descriptor, path in ((0, os.devnull), (1, order["out"]), (2, order["err"])):
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(file, descriptor)
            os.close(file)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        code = job_main([order["spec"]])
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
