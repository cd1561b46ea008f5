"""How a job process fits into its machine: threads, parent, out-of-memory score, SIGTERM. Imports no library.

Called by `jobs.runner.__main__` before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from jobs.runner.spec import PARENT_AT_STDIN

_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
STOPPED: Final = 143
"""Exit code of a job that ended because it was asked to."""
_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE: Final = "900"


class StopRequested(BaseException):
    """SIGTERM arrived. Not an Exception, so that no algorithm's `except Exception` swallows it."""


class StopSignal:
    """SIGTERM as a flag that algorithms look at, and the end of the process where they do not look in time.

    The main thread may be deep in C++ (waiting for a pipe, clustering) where Python's handler does not run. So
    the signal also wakes a thread, which ends the process after `patience_s` unless `committing` has begun.
    """

    def __init__(self, *, patience_s: float = 1.0) -> None:
        self._requested = threading.Event()
        self._patience_s = patience_s
        self._commit = threading.Lock()

    def install(self) -> None:
        """Call once, from the main thread."""
        reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        os.set_blocking(reading, True)
        signal.signal(signal.SIGTERM, lambda number, frame: self._requested.set())
        signal.set_wakeup_fd(writing)
        threading.Thread(target=self._watch, args=(reading,), name="stop", daemon=True).start()

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def check(self) -> None:
        """Raises StopRequested if SIGTERM has arrived."""
        if self.requested:
            raise StopRequested

    @contextlib.contextmanager
    def committing(self) -> Iterator[None]:
        """Around steps that may not be cut in two. Raises StopRequested instead if SIGTERM has arrived."""
        with self._commit:
            self.check()
            yield

    def _watch(self, wakeup: int) -> None:
        while os.read(wakeup, 1) != bytes([signal.SIGTERM]):
            continue
        self._requested.set()
        time.sleep(self._patience_s)
        with self._commit:
            sys.stdout.flush()
            os._exit(STOPPED)


def threads_limit(n_threads: int) -> None:
    """Sets the thread counts that OpenMP, BLAS and the like read when they are imported: they see the machine's
    processors, not the instance type's.
    """
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(n_threads)), OMP_WAIT_POLICY="PASSIVE")


def parent_follow(parent_pid: int) -> bool:
    """Has the kernel kill this process when its parent ends. False if the parent is gone already.

    Args:
        parent_pid: Who should be the parent; 0 = nobody in particular, then nothing is done. PARENT_AT_STDIN: the
            sandbox ends with the parent once it is set up, so all to ask is whether the parent still was there then.
    """
    if parent_pid == 0:
        return True
    if parent_pid == PARENT_AT_STDIN:
        return not stdin_is_cut()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent_pid


def stdin_is_cut() -> bool:
    """Whether nobody holds the other end of standard input any more."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    return any(state & select.POLLHUP for _, state in poll.poll(0))


def sacrifice_first() -> None:
    """When memory runs out, the kernel shall end the job and not the platform."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
