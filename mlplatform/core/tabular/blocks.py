"""How much of a text file is parsed at a time, in this process.

Large blocks suit a job, which has its memory to itself; a process that only looks at an upload runs beside the
platform, as many at a time as people upload, and takes small ones. What is read is the same.
"""

from __future__ import annotations

from typing import Final

LARGE_BYTES: Final = 4 * 1024 * 1024
SMALL_BYTES: Final = 256 * 1024

_bytes = LARGE_BYTES


def block_bytes() -> int:
    return _bytes


def blocks_small() -> None:
    """From now on; for the whole process."""
    global _bytes
    _bytes = SMALL_BYTES
