"""A job's metrics as series for charts and REST: bounded in number, with the extremes kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import orjson
from django.db.models import Exists, F, OuterRef, QuerySet, TextField
from django.db.models.fields.json import KT
from django.db.models.functions import Cast, Coalesce

from jobs.metric_points import Point, points_joined, points_of
from jobs.models import MetricChunk, MetricSummary, TrainingJob

POINTS_MAX: Final = 5000
READ_MAX: Final = 200_000
"""So many points of all series together are read for one answer; of longer ones those that were stored thinned."""
CHUNKS_AT_ONCE: Final = 200


@dataclass(frozen=True)
class MetricSeries:
    """One metric: its summary over all points, and at most `POINTS_MAX` of them.

    Args:
        points: Empty too where only the summary was asked for.
        points_removed: Whether they had been kept long enough; the summary stays.
    """

    name: str
    n_points: int
    last: float | None
    minimum: float | None
    maximum: float | None
    points: list[Point] = field(default_factory=list)
    points_removed: bool = False


def training_job_metric_summaries(*, job: TrainingJob) -> list[MetricSeries]:
    """Every metric of the job by name, without its points."""
    return [_series(summary, []) for summary in _summaries(job)]


def training_job_metrics(*, job: TrainingJob, names: Collection[str] | None = None) -> list[MetricSeries]:
    """Every metric of the job by name, or those of `names`.

    Of a history of millions of points some thousands are read, so that an answer takes milliseconds.
    """
    found = [summary for summary in _summaries(job) if names is None or summary.name in names]
    counts = {summary.name: summary.n_points for summary in found}
    short = _short(counts)
    long = counts.keys() - short
    points = _points(job, counts, short, points_text()) | _points(job, counts, long, points_thin_text())
    return [_series(summary, points.get(summary.name, [])) for summary in found]


def points_text() -> Cast:
    """A chunk's column as text, for `chunks_points`: Django would read it with the slower of two readers."""
    return Cast("points", TextField())


def points_thin_text() -> Coalesce:
    """Instead of the whole chunk the few points that are stored beside them; all of one that is not full."""
    return Coalesce(KT("points__thin"), points_text(), output_field=TextField())


def chunks_points(chunks: QuerySet[MetricChunk, tuple[Any, str]]) -> Iterator[tuple[Any, list[Point]]]:
    """The points of chunks of which a key and one of the texts above were asked for, with that key."""
    for key, text in chunks.iterator(chunk_size=CHUNKS_AT_ONCE):
        yield key, points_of(orjson.loads(text))


def _summaries(job: TrainingJob) -> QuerySet[MetricSummary]:
    mine = MetricChunk.objects.filter(job=OuterRef("job"), name=OuterRef("name"))
    return job.metric_summaries.annotate(has_points=Exists(mine)).order_by("name")


def _short(counts: dict[str, int]) -> set[str]:
    """The metrics all of whose points are read, the shortest first."""
    short, n_read = set(), 0
    for name, n_points in sorted(counts.items(), key=itemgetter(1)):
        n_read += n_points
        if n_points <= POINTS_MAX or n_read <= READ_MAX:
            short.add(name)
    return short


def _points(
    job: TrainingJob, counts: dict[str, int], names: Collection[str], text: Cast | Coalesce
) -> dict[str, list[Point]]:
    if not names:
        return {}
    chunks = job.metric_chunks.filter(name__in=names).order_by("name", "first_step")
    read = groupby(chunks_points(chunks.values_list(F("name"), text)), key=itemgetter(0))
    return {
        name: points_joined((points for _name, points in group), n_points=counts[name], limit=POINTS_MAX)
        for name, group in read
    }


def _series(summary: Any, points: list[Point]) -> MetricSeries:
    return MetricSeries(
        name=summary.name,
        n_points=summary.n_points,
        last=summary.last,
        minimum=summary.minimum,
        maximum=summary.maximum,
        points=points,
        points_removed=summary.n_points > 0 and not summary.has_points,
    )
