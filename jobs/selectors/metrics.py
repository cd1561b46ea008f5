"""A job's metrics as series for charts and REST: bounded in number, with the extremes kept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, cast

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
