"""Ends this process when the one that started it is gone, from its first moment on.

The kernel's parent-death signal is tied to the parent's *thread*: it also comes when a thread of a living
parent ends. So it is SIGHUP here, and only the parent's process id decides. The model server and the gateway
use it.
"""

from __future__ import annotations

import ctypes
import os
import signal
from types import FrameType
from typing import TYPE_CHECKING

from jobs.runner.process import stdin_is_cut
from jobs.runner.spec import PARENT_AT_STDIN

if TYPE_CHECKING:
    import asyncio

_PR_SET_PDEATHSIG = 1
_CHECK_S = 1.0


class Lifeline:
    """Installed before anything slow, on the main thread; an event loop may then take SIGTERM over.

    Args:
        parent_pid: The process to live with; 0 for none. PARENT_AT_STDIN in a sandbox, where it cannot be seen: it
            holds the other end of standard input.

    Raises:
        SystemExit: The parent is gone already.
    """

    def __init__(self, *, parent_pid: int = 0) -> None:
        self._parent_pid = parent_pid
        signal.signal(signal.SIGTERM, self._asked_to_end)
        signal.signal(signal.SIGHUP, self._parent_may_be_gone)
        if parent_pid > 0:
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)
        self.check()

    @property
    def is_cut(self) -> bool:
        """Whether the parent is gone."""
        if self._parent_pid == PARENT_AT_STDIN:
            return stdin_is_cut()
        return bool(self._parent_pid) and os.getppid() != self._parent_pid

    def check(self) -> None:
        """Ends the process at once when its parent is gone."""
        if self.is_cut:
            os._exit(1)

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:
        os._exit(0)

    def _parent_may_be_gone(self, number: int, frame: FrameType | None) -> None:
        self.check()


async def lifeline_wait(ended: asyncio.Event, lifeline: Lifeline | None) -> None:
    """Waits until `ended` is set; meanwhile looks once a second whether the parent is still there."""
    import asyncio  # a process without an event loop does not pay for it

    while not ended.is_set():
        if lifeline is not None:
            lifeline.check()
        try:
            await asyncio.wait_for(ended.wait(), _CHECK_S)
        except TimeoutError:
            continue
