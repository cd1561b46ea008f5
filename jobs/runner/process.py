"""How a job process fits into its machine: threads, parent, out-of-memory score, SIGTERM. Imports no library.

Called by `jobs.runner.__main__` before anything heavy is imported.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Final

from jobs.runner.environment import thread_variables

_PR_SET_PDEATHSIG: Final = 1
_OOM_SCORE: Final = "900"


class StopRequested(BaseException):
    """SIGTERM arrived. Not an Exception, so that no algorithm's `except Exception` swallows it."""


class StopSignal:
    """Turns SIGTERM into StopRequested at the next bytecode of the main thread, also out of a blocked read.

    Where an exception cannot pass (a destructor, a callback from C++) the flag remains for `check`.
    """

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._armed = True

    def install(self) -> None:
        signal.signal(signal.SIGTERM, self._handle)

    @property
    def requested(self) -> bool:
        return self._requested.is_set()

    def check(self) -> None:
        """Raises StopRequested if SIGTERM has arrived."""
        if self.requested:
            raise StopRequested

    def disarm(self) -> None:
        """From now on SIGTERM only sets the flag: the job is writing down how it ended."""
        self._armed = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        first = not self._requested.is_set()
        self._requested.set()
        if first and self._armed:
            raise StopRequested


def threads_limit(n_threads: int) -> None:
    """Sets the thread counts that OpenMP, BLAS and the like read when they are imported."""
    os.environ.update(thread_variables(n_threads))


def parent_follow(parent_pid: int) -> bool:
    """Has the kernel kill this process when its parent ends. False if the parent is gone already.

    Args:
        parent_pid: Who should be the parent; 0 = nobody in particular, then nothing is done.
    """
    if parent_pid == 0:
        return True
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent_pid


def sacrifice_first() -> None:
    """When memory runs out, the kernel shall end the job and not the platform."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE, encoding="ascii")
