"""Memory that this process frees, given back to the machine. Django-free, imports nothing heavy.

Libraries keep what they free for their next need. A job that has read its data, and a model server that has loaded its
model, will not need as much again, while others on the machine will. Called by job processes and engines.
"""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_TRIM_THRESHOLD: Final = -1
_LARGE_BYTES: Final = 1024 * 1024
_KEPT_BYTES: Final = 16 * 1024 * 1024


def large_arrays_return() -> None:
    """From now on arrays of a megabyte and more go back when they are freed. By itself the GNU C library learns from
    the first of them to keep those of up to 32 MB.
    """
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def freed_memory_keep() -> None:
    """From now on up to 16 MB of what is freed stay here for the next need: a process that is handed answers of a
    megabyte again and again would spend half of its time on getting and giving back memory.
    """
    with suppress(AttributeError, OSError):
        library = ctypes.CDLL(None)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)


def freed_memory_return() -> None:
    """Gives back all that can be, in milliseconds. Does nothing where the C library has no such call."""
    arrow = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
