"""A small bar chart of counts, as SVG rectangles. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float


def count_bars(counts: Sequence[float], *, width: float, height: float, gap: float = 1.0) -> list[Bar]:
    """One bar per count, standing on the ground line; a count that is not zero is at least a pixel high."""
    if not counts:
        return []
    top = max(counts) or 1
    step = width / len(counts)
    drawn = step - gap if step > 2 * gap else step
    heights = [max(height * count / top, 1.0) if count else 0.0 for count in counts]
    return [
        Bar(round(index * step, 2), round(height - tall, 2), round(drawn, 2), round(tall, 2))
        for index, tall in enumerate(heights)
    ]
