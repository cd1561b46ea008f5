"""Figures with no more digits than can be seen: many curves are half as large on the wire. Pure.

The downloads of tables have all digits; those of a chart have what the chart has.
"""

from __future__ import annotations

from typing import Any, Final

SHOWN: Final = 6


def rounded(value: Any) -> Any:
    """The same lists and mappings with their floats to six significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{SHOWN}g}")
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    return value
