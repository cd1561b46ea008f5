"""Sizes and times in messages that are made where no language is known. Pages have their own filters.

Called by whoever writes a `Text` with a figure in it.
"""

from __future__ import annotations

from mlplatform.core.text import Text
from mlplatform.core.text import text as _

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(size_bytes: float) -> str:
    """1536 → `1.5 KiB`. As many digits as a page shows, so that the same amount reads the same."""
    size = float(size_bytes)
    for unit in _UNITS[:-1]:
        if abs(size) < 1024:
            digits = 0 if unit == "bytes" else 4 if size >= 100 else 3
            return f"{size:.{digits}g} {unit}" if digits else f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.0f} {_UNITS[-1]}"


def time_text(seconds: float) -> Text:
    """90 → `2 min`: one unit, the largest that leaves a number above one."""
    if seconds < 90:
        return _("{n} s", n=f"{seconds:.0f}" if seconds >= 10 else f"{seconds:.1f}")
    if seconds < 90 * 60:
        return _("{n} min", n=round(seconds / 60))
    if seconds < 48 * 3600:
        return _("{n} h", n=round(seconds / 3600))
    return _("{n} days", n=round(seconds / 86400))


def latency_text(milliseconds: float) -> str:
    """0.42 → `0.42 ms`."""
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
