"""Bounds what one dataset process may use, set by the process itself before it reads a byte of the user's."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from pathlib import Path

_PR_SET_PDEATHSIG = 1


def limits_set(*, memory_bytes: int, cpu_s: int, parent_pid: int) -> None:
    """Ends this process with its parent, and bounds its memory and processor time; the first to go when
    memory is short.

    Args:
        memory_bytes: Of writable memory; more raises MemoryError here.
        parent_pid: The process that started this one; if it is gone already, this one exits. 0 in a sandbox, which
            ends with it.
    """
    if parent_pid:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            raise SystemExit(1)
    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
