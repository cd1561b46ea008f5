"""Points of a metric, and how they are thinned and stored. Django-free, pure.

A full chunk is stored with a few of its points beside all of them, its extremes among them: a chart of a million points
reads those few only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

CHUNK_POINTS: Final = 500
THIN_POINTS: Final = 10
"""So many of a full chunk are stored once more."""

Point = tuple[int, int, float | None]
"""Milliseconds since the epoch, step, value; a value that was NaN or infinite is None."""


def points_stored(points: Sequence[Point]) -> Any:
    """A chunk as it is stored: its points, and of a full one also its thinned points (`thin`)."""
    if len(points) < CHUNK_POINTS:
        return points
    return {"thin": points_thin(points, limit=THIN_POINTS), "points": points}


def points_of(stored: Any) -> list[Point]:
    """All points of a chunk that was stored."""
    found: list[Point] = stored["points"] if isinstance(stored, dict) else stored
    return found


def points_joined(chunks: Iterable[Sequence[Point]], *, n_points: int, limit: int) -> list[Point]:
    """At most `limit` points of consecutive chunks with about `n_points` together, which are never all held."""
    joined: list[Point] = []
    for chunk in chunks:
        share = max(4, 2 * limit * len(chunk) // n_points) if n_points > limit else len(chunk)
        joined += points_thin(chunk, limit=share)
    return points_thin(joined, limit=limit)


def points_thin(points: Sequence[Point], *, limit: int) -> list[Point]:
    """At most `limit` points: first, last, and of each stretch its lowest and highest, in order of steps."""
    if len(points) <= limit:
        return list(points)
    values = [point[2] for point in points]
    gaps = None in values
    n_inner, n_stretches = len(points) - 2, (limit - 2) // 2
    kept = [points[0]]
    for index in range(n_stretches):
        begin = 1 + index * n_inner // n_stretches
        stretch = values[begin : 1 + (index + 1) * n_inner // n_stretches]
        kept += [points[begin + place] for place in _extremes(stretch, gaps=gaps)]
    return [*kept, points[-1]]


def _extremes(stretch: list[float | None], *, gaps: bool) -> list[int]:
    """Where the lowest and the highest value are; the first place where there is no value at all."""
    known = [value for value in stretch if value is not None] if gaps else cast(list[float], stretch)
    if not known:
        return [0]
    return sorted({stretch.index(min(known)), stretch.index(max(known))})
