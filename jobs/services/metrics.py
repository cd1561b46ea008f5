"""Appends a job's metric points: chunks of points, and a summary row per metric. Called under the job's
lease.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from jobs.models import MetricChunk, MetricSummary

CHUNK_POINTS: Final = 500


class MetricPoint(NamedTuple):
    """One value of a metric, read at `at_ms` since the epoch. NaN and infinities are kept as gaps."""

    name: str
    at_ms: int
    value: float


def metric_points_append(*, job_id: int, points: Sequence[MetricPoint]) -> None:
    """Appends the points in order; a step counts each metric's points from 0."""
    by_name: dict[str, list[MetricPoint]] = defaultdict(list)
    for point in points:
        by_name[point.name].append(point)
    for name, series in by_name.items():
        _append(job_id, name, series)


def metric_points_clear(*, job_id: int) -> None:
    """Forgets the metrics of an earlier attempt."""
    MetricChunk.objects.filter(job_id=job_id).delete()
    MetricSummary.objects.filter(job_id=job_id).delete()


def _append(job_id: int, name: str, series: Sequence[MetricPoint]) -> None:
    summary, _ = MetricSummary.objects.get_or_create(job_id=job_id, name=name)
    rows = [
        (point.at_ms, step, point.value if math.isfinite(point.value) else None)
        for step, point in enumerate(series, start=summary.n_points)
    ]
    _chunks_write(job_id, name, rows)
    finite = [point.value for point in series if math.isfinite(point.value)]
    summary.n_points += len(rows)
    summary.last = rows[-1][2]
    summary.minimum = min([*finite, *_known(summary.minimum)], default=None)
    summary.maximum = max([*finite, *_known(summary.maximum)], default=None)
    summary.last_at = datetime.fromtimestamp(series[-1].at_ms / 1000, tz=UTC)
    summary.save()


def _known(value: float | None) -> list[float]:
    return [] if value is None else [value]


def _chunks_write(job_id: int, name: str, rows: list[tuple[int, int, float | None]]) -> None:
    """Fills up the last chunk, then begins new ones."""
    last = MetricChunk.objects.filter(job_id=job_id, name=name).order_by("-first_step").first()
    if last is not None and len(last.points) < CHUNK_POINTS:
        room = CHUNK_POINTS - len(last.points)
        last.points = [*last.points, *rows[:room]]
        last.save(update_fields=["points"])
        rows = rows[room:]
    for begin in range(0, len(rows), CHUNK_POINTS):
        piece = rows[begin : begin + CHUNK_POINTS]
        MetricChunk.objects.create(job_id=job_id, name=name, first_step=piece[0][1], points=piece)
