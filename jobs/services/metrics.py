"""Appends a job's metric points: chunks of points, and a summary row per metric. Called under the job's
lease.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from django.db.models import Sum

from jobs.metric_points import CHUNK_POINTS, Point, points_of, points_stored
from jobs.models import MetricChunk, MetricSummary

_SUMMED_UP: Final = ("n_points", "last", "minimum", "maximum", "last_at")


class MetricPoint(NamedTuple):
    """One value of a metric, read at `at_ms` since the epoch. NaN and infinities are kept as gaps."""

    name: str
    at_ms: int
    value: float


def metric_points_append(*, job_id: int, points: Sequence[MetricPoint]) -> None:
    """Appends the points in order; a step counts each metric's points from 0.

    Four statements, however many metrics and points there are: a job reports several times a second.
    """
    if not points:
        return
    by_name: dict[str, list[MetricPoint]] = defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
    before = {found.name: found for found in MetricSummary.objects.filter(job_id=job_id, name__in=by_name)}
    _chunks_write(job_id, {name: before[name].n_points if name in before else 0 for name in by_name}, by_name)
    summaries = [_summed_up(job_id, name, before.get(name), series) for name, series in by_name.items()]
    MetricSummary.objects.bulk_create(
        summaries, update_conflicts=True, unique_fields=("job", "name"), update_fields=_SUMMED_UP
    )


def metric_points_count(*, job_id: int) -> int:
    """How many points of all its metrics the job has had."""
    counted = MetricSummary.objects.filter(job_id=job_id).aggregate(n=Sum("n_points"))
    return counted["n"] or 0


def metric_points_clear(*, job_id: int) -> None:
    """Forgets the metrics of an earlier attempt."""
    MetricChunk.objects.filter(job_id=job_id).delete()
    MetricSummary.objects.filter(job_id=job_id).delete()


def _summed_up(
    job_id: int, name: str, before: MetricSummary | None, series: Sequence[MetricPoint]
) -> MetricSummary:
    finite = [point.value for point in series if math.isfinite(point.value)]
    extremes = [] if before is None else [*_known(before.minimum), *_known(before.maximum)]
    return MetricSummary(
        job_id=job_id,
        name=name,
        n_points=len(series) + (0 if before is None else before.n_points),
        last=_value(series[-1]),
        minimum=min([*finite, *extremes], default=None),
        maximum=max([*finite, *extremes], default=None),
        last_at=datetime.fromtimestamp(series[-1].at_ms / 1000, tz=UTC),
    )


def _value(point: MetricPoint) -> float | None:
    return point.value if math.isfinite(point.value) else None


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _chunks_write(
    job_id: int, begun: Mapping[str, int], by_name: Mapping[str, Sequence[MetricPoint]]
) -> None:
    """Fills up the last chunk of each metric, then begins new ones.

    Args:
        begun: How many points each metric has had so far; all chunks but its last have `CHUNK_POINTS` of them.
    """
    part_full = {name: n - n % CHUNK_POINTS for name, n in begun.items() if n % CHUNK_POINTS}
    last = MetricChunk.objects.filter(job_id=job_id, name__in=part_full, first_step__in={*part_full.values()})
    columns = last.values_list("name", "first_step", "points") if part_full else ()
    there = {(name, first_step): points_of(stored) for name, first_step, stored in columns}
    written = []
    for name, series in by_name.items():
        rows: list[Point] = [
            (point.at_ms, step, _value(point)) for step, point in enumerate(series, start=begun[name])
        ]
        rows = [*there.get((name, part_full.get(name, -1)), ()), *rows]
        for begin in range(0, len(rows), CHUNK_POINTS):
            piece = rows[begin : begin + CHUNK_POINTS]
            chunk = MetricChunk(job_id=job_id, name=name, first_step=piece[0][1], points=points_stored(piece))
            written.append(chunk)
    MetricChunk.objects.bulk_create(
        written, update_conflicts=True, unique_fields=("job", "name", "first_step"), update_fields=("points",)
    )
