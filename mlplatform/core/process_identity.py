"""Says which process of which machine somebody is, so that others there can tell when it is gone. Django-free.

A process id alone is given to another sooner or later, so it goes with the instant of the start; both mean something
only on one boot of one machine and in one process id namespace (a container has its own). Who looks from elsewhere
learns nothing and has to wait for the lease. Called by whoever takes or sweeps leases.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import cache
from pathlib import Path
from typing import Final

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_NAMESPACES: Final = ("/proc/self/ns/pid", "/proc/self/ns/time")
_START: Final = 19
"""Where the start, in clock ticks since the boot, stands behind the program's name in `/proc/<pid>/stat`."""


def process_identity() -> str:
    """This process as `<machine>.<process id>.<start>`; empty where the system does not tell."""
    machine, stat = _machine(), _stat(os.getpid())
    return f"{machine}.{os.getpid()}.{stat[_START]}" if machine and stat else ""


def process_is_gone(identity: str) -> bool:
    """Whether that process has certainly ended; False for one of another machine, and whenever it is not known."""
    machine, _, rest = identity.partition(".")
    pid, _, start = rest.partition(".")
    if not (machine and pid.isdecimal() and start.isdecimal()) or machine != _machine():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    stat = _stat(int(pid))
    return bool(stat) and (stat[_START] != start or _is_only_a_zombie(int(pid), stat))


def process_is_alive(identity: str) -> bool:
    """Whether that very process runs on this machine; False for one of another, and whenever it is not known."""
    return bool(identity) and identity.partition(".")[0] == _machine() and not process_is_gone(identity)


@cache
def boot_identity() -> str:
    """This boot of this machine, the same in all its containers; empty where the system does not tell."""
    try:
        boot_id = Path(_BOOT_ID).read_text(encoding="ascii").strip()
    except OSError:
        return ""
    return hashlib.sha256(boot_id.encode()).hexdigest()[:16]


def machine_identity() -> str:
    """This boot of this machine and our process id namespace on it; empty where the system does not tell."""
    return _machine()


@cache
def _machine() -> str:
    """One boot of one machine, and one process id namespace on it."""
    try:
        parts = [Path(_BOOT_ID).read_text(encoding="ascii").strip()]
        parts += [str(Path(name).readlink()) for name in _NAMESPACES]
    except OSError:
        return ""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _stat(pid: int) -> list[str]:
    """The fields behind the program's name, which may itself have blanks and brackets."""
    with contextlib.suppress(OSError):
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return text.rpartition(")")[2].split()
    return []


def _is_only_a_zombie(pid: int, stat: list[str]) -> bool:
    """Ended and only not collected yet. One whose first thread has ended while others go on looks like it."""
    with contextlib.suppress(OSError):
        return stat[0] in {"Z", "X"} and os.listdir(f"/proc/{pid}/task") == [str(pid)]  # noqa: PTH208
    return False
