"""Points of metrics are appended in chunks, whatever the size of the reports."""

from __future__ import annotations

import math
import random

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.metric_points import CHUNK_POINTS, THIN_POINTS, points_of
from jobs.models import MetricChunk, MetricSummary
from jobs.selectors import metrics
from jobs.selectors.metrics import POINTS_MAX, training_job_metrics
from jobs.services.metrics import MetricPoint, metric_points_append
from tests.jobs.training.cast import Cast, job_make

pytestmark = pytest.mark.django_db


def test_points_of_reports_of_all_sizes_are_all_there_in_order_in_full_chunks(cast: Cast) -> None:
    job = job_make(cast.alice)
    dice = random.Random(0)
    points = [MetricPoint("ab"[n % 2], 1000 + n, dice.random()) for n in range(4000)]
    points[7] = MetricPoint("b", 1007, math.nan)
    rest = points
    while rest:
        n = dice.choice([1, 3, 200, 1700])
        metric_points_append(job_id=job.pk, points=rest[:n])
        rest = rest[n:]
    for name in "ab":
        chunks = [points_of(chunk.points) for chunk in MetricChunk.objects.filter(job=job, name=name)]
        assert [len(chunk) for chunk in chunks] == [CHUNK_POINTS] * 4
        mine = [point for point in points if point.name == name]
        values = [None if math.isnan(point.value) else point.value for point in mine]
        assert [row for chunk in chunks for row in chunk] == [
            [point.at_ms, step, value] for step, (point, value) in enumerate(zip(mine, values, strict=True))
        ]
        summary = MetricSummary.objects.get(job=job, name=name)
        known = [value for value in values if value is not None]
        assert (summary.n_points, summary.last) == (2000, values[-1])
        assert (summary.minimum, summary.maximum) == (min(known), max(known))


def test_a_report_costs_four_statements_however_many_metrics_it_has(cast: Cast) -> None:
    job = job_make(cast.alice)
    for n in range(2):
        points = [MetricPoint(f"m{metric}", n, 1.0) for metric in range(40)]
        with CaptureQueriesContext(connection) as said:
            metric_points_append(job_id=job.pk, points=points)
    statements = [query["sql"] for query in said if query["sql"].startswith(("SELECT", "INSERT", "UPDATE"))]
    assert len(statements) == 4
    assert MetricSummary.objects.filter(job=job, n_points=2).count() == 40


def test_a_long_history_is_read_thinned_and_keeps_ends_and_extremes(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "READ_MAX", 0)
    job = job_make(cast.alice)
    n_points, low, high = 30_250, 12_345, 30_249
    values = [math.sin(n) for n in range(n_points)]
    values[low], values[high] = -5.0, 5.0
    points = [MetricPoint("long", n, value) for n, value in enumerate(values)]
    metric_points_append(job_id=job.pk, points=[*points, MetricPoint("short", 0, 1.0)])
    long, short = training_job_metrics(job=job)
    n_chunks = n_points // CHUNK_POINTS
    assert n_chunks < len(long.points) <= n_chunks * THIN_POINTS + CHUNK_POINTS <= POINTS_MAX
    steps = [point[1] for point in long.points]
    assert steps == sorted(set(steps)) and (steps[0], steps[-1]) == (0, n_points - 1)
    assert {low, high} <= set(steps)
    assert all(
        tuple(point) == (step, step, values[step]) for point, step in zip(long.points, steps, strict=True)
    )
    assert [tuple(point) for point in short.points] == [(0, 0, 1.0)]
    assert [series.name for series in training_job_metrics(job=job, names=["short"])] == ["short"]
    assert not long.points_removed
    MetricChunk.objects.all().delete()
    assert all(series.points_removed and not series.points for series in training_job_metrics(job=job))
