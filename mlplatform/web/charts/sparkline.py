"""A small line without axes, as SVG path data. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def sparkline_path(
    values: Sequence[float], *, width: int, height: int, inset: float = 2.0
) -> tuple[str, str]:
    """The line and the area below it as `d` attributes.

    Zero is always the base, so that a constant series lies where its size puts it; no values give empty paths.
    """
    if not values:
        return "", ""
    shown = list(values) if len(values) > 1 else [values[0], values[0]]
    top = max(max(shown), 0.0) or 1.0
    step = width / (len(shown) - 1)
    usable = height - 2 * inset
    points = [
        (index * step, inset + usable * (1 - max(value, 0.0) / top)) for index, value in enumerate(shown)
    ]
    line = "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return line, f"{line} L{width} {height} L0 {height} Z"


def steps_path(values: Sequence[float], *, width: int, height: int, inset: float = 2.0) -> str:
    """A line between the least and the largest value, as a `d` attribute; level where they are the same."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    step = width / max(len(values) - 1, 1)
    usable = height - 2 * inset
    points = [
        (index * step, inset + usable * (1 - (value - low) / (high - low) if high > low else 0.5))
        for index, value in enumerate(values)
    ]
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points) if points else ""
