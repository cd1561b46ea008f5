"""A job's metrics as series for charts and REST: bounded in number, with the extremes kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from jobs.models import TrainingJob

POINTS_MAX: Final = 5000

Point = tuple[int, int, float | None]
"""Milliseconds since the epoch, step, value; a value that was NaN or infinite is None."""


@dataclass(frozen=True)
class MetricSeries:
    """One metric: its summary over all points, and at most `POINTS_MAX` of them."""

    name: str
    n_points: int
    last: float | None
    minimum: float | None
    maximum: float | None
    points: list[Point] = field(default_factory=list)

    @property
    def points_removed(self) -> bool:
        """Whether they had been kept long enough; the summary stays."""
        return self.n_points > 0 and not self.points


def training_job_metrics(*, job: TrainingJob) -> list[MetricSeries]:
    """Every metric of the job by name."""
    points: dict[str, list[Point]] = defaultdict(list)
    for name, chunk in job.metric_chunks.order_by("first_step").values_list("name", "points"):
        points[name] += [(at_ms, step, value) for at_ms, step, value in chunk]
    return [
        MetricSeries(
            name=summary.name,
            n_points=summary.n_points,
            last=summary.last,
            minimum=summary.minimum,
            maximum=summary.maximum,
            points=points_thin(points[summary.name]),
        )
        for summary in job.metric_summaries.order_by("name")
    ]


def points_thin(points: Sequence[Point], *, limit: int = POINTS_MAX) -> list[Point]:
    """At most `limit` points: first, last, and of each stretch its lowest and highest, in order of steps."""
    if len(points) <= limit:
        return list(points)
    inner = points[1:-1]
    n_stretches = (limit - 2) // 2
    kept = [points[0]]
    for index in range(n_stretches):
        stretch = inner[index * len(inner) // n_stretches : (index + 1) * len(inner) // n_stretches]
        known = [point for point in stretch if point[2] is not None]
        if known:
            extremes = {min(known, key=_value), max(known, key=_value)}
            kept += sorted(extremes, key=lambda point: point[1])
        elif stretch:
            kept.append(stretch[0])
    return [*kept, points[-1]]


def _value(point: Point) -> float:
    assert point[2] is not None
    return point[2]
