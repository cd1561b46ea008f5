"""Accuracy × latency × cost of several candidates: who is on the Pareto front, who is the cheapest that is good enough.

Pure and Django-free. A point is made by whoever knows what was measured; pages draw what is returned here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

S_PER_HOUR: Final = 3600.0
MS_PER_S: Final = 1000.0
ROWS: Final = 1_000_000
"""What `cost_per_million_rows` is the price of."""


@dataclass(frozen=True)
class Point:
    """One candidate.

    Attributes:
        quality: More is better; of a measure whose smallest value is the best (RMSE), its negative.
        latency_ms: Less is better.
        cost: US dollars per hour or per million rows; less is better.
        key: Whatever its maker needs to find it again.
    """

    name: str
    quality: float
    latency_ms: float
    cost: float
    key: int | str = ""

    @property
    def measured(self) -> bool:
        """Whether all three are numbers; a point without cannot be compared."""
        return all(map(math.isfinite, (self.quality, self.latency_ms, self.cost)))


def pareto_front(points: Iterable[Point]) -> list[Point]:
    """The points that no other is at least as good as in all three and better than in one, in their order.

    Equal points are all on it or all off it; points that are not measured are left out. O(n²) for n points.
    """
    candidates = [point for point in points if point.measured]
    return [point for point in candidates if not any(_dominates(other, point) for other in candidates)]


def cheapest(
    points: Iterable[Point], *, quality_least: float | None = None, latency_most: float | None = None
) -> Point | None:
    """The point of the lowest cost among those good and fast enough; of equally cheap ones the best, then the fastest.

    Args:
        quality_least: As `Point.quality`; None for any.
        latency_most: Milliseconds; None for any.

    Returns:
        None where no point is good and fast enough.
    """
    enough = [
        point
        for point in points
        if point.measured
        and (quality_least is None or point.quality >= quality_least)
        and (latency_most is None or point.latency_ms <= latency_most)
    ]
    return min(
        enough, key=lambda point: (point.cost, -point.quality, point.latency_ms, point.name), default=None
    )


def cost_per_million_rows(*, price_per_hour: float, batch_mean_ms: float, batch_size: int) -> float | None:
    """US dollars for a million rows sent in batches of `batch_size`, one after the other, to one instance.

    price_per_hour / 3600 × batch_mean_ms / 1000 / batch_size × 10⁶. None where a batch has no row or took no time.
    """
    if batch_size < 1 or not batch_mean_ms > 0:
        return None
    s_per_row = batch_mean_ms / MS_PER_S / batch_size
    return price_per_hour / S_PER_HOUR * s_per_row * ROWS


def _dominates(one: Point, other: Point) -> bool:
    gains = (one.quality - other.quality, other.latency_ms - one.latency_ms, other.cost - one.cost)
    return min(gains) >= 0 and max(gains) > 0
