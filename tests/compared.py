"""Training jobs and evaluations that have ended, many at once and without training: for comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any

from django.contrib.auth.models import User

from endpoints.models import Evaluation
from jobs.models import MetricChunk, MetricSummary, TrainingInput, TrainingJob
from mlplatform.core import clock
from mlplatform.core.models import LogStream, Project
from mlplatform.core.names import uid_new
from tests.web.evaluations import Made, facts_made, result_made

INDEXES = ("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ")
SIZES = (2_000, 20_000, 200_000, 500_000)
INSTANCES = ("ml.c5.large", "ml.c5.xlarge", "ml.m5.large")
CHUNK = 500
Changes = Callable[[int], dict[str, Any]]


def jobs_made(
    project: Project,
    user: User,
    n: int,
    *,
    prefix: str = "run",
    n_points: int = 0,
    changes: Changes = lambda place: {},
) -> list[TrainingJob]:
    """`prefix-1` … `prefix-n`, newest last, each on `flags@1`, with a loss curve of `n_points`."""
    begin = clock.now() - timedelta(hours=n)
    logs = LogStream.objects.bulk_create([LogStream(uid=uid_new()) for _ in range(n)])
    jobs = TrainingJob.objects.bulk_create(
        TrainingJob(
            **(
                _job(project, user, f"{prefix}-{place + 1}", place)
                | {"log": logs[place], "created_at": begin + timedelta(hours=place)}
                | changes(place)
            )
        )
        for place in range(n)
    )
    TrainingInput.objects.bulk_create(
        TrainingInput(
            job=job, channel="train", dataset_reference="flags@1", uri="s3://b/flags", content_type="text/csv"
        )
        for job in jobs
    )
    if n_points:
        for job in jobs:
            curve_made(job, "train:loss", [_loss(job.pk, step) for step in range(n_points)])
    return jobs


def curve_made(job: TrainingJob, name: str, values: list[float | None]) -> None:
    """The history of a metric, as a worker leaves it."""
    points = [[1_790_000_000_000 + 1000 * step, step, value] for step, value in enumerate(values)]
    known = [value for value in values if value is not None]
    MetricChunk.objects.bulk_create(
        MetricChunk(job=job, name=name, first_step=begin, points=points[begin : begin + CHUNK])
        for begin in range(0, len(points), CHUNK)
    )
    MetricSummary.objects.create(
        job=job, name=name, n_points=len(points), last=values[-1], minimum=min(known), maximum=max(known)
    )


def evaluations_made(project: Project, user: User, n: int, *, prefix: str = "eval") -> list[Evaluation]:
    """`prefix-1` … `prefix-n`: a classifier's scores for k up to 20, each a little different."""
    summary, result, _content = result_made(Made())
    now = clock.now()
    return Evaluation.objects.bulk_create(
        Evaluation(
            project=project,
            name=f"{prefix}-{place + 1}",
            uid=uid_new(),
            endpoint_name=f"cell-{place + 1}",
            instance_type=INSTANCES[place % len(INSTANCES)],
            dataset_reference="flags@1",
            facts=facts_made(Made())
            | {
                "hyperparameters": {
                    "k": "10",
                    "index_type": INDEXES[place % 3],
                    "sample_size": str(SIZES[place % 4]),
                },
                "price_per_hour": (0.102, 0.204, 0.115)[place % 3],
            },
            status="Completed",
            summary=summary | {"value": 0.7 + Random(place).random() / 5, "single_p99_ms": 1 + place % 7},
            result=result,
            created_by=user,
            created_at=now - timedelta(hours=n - place),
            started_at=now - timedelta(minutes=2),
            ended_at=now,
        )
        for place in range(n)
    )


def _job(project: Project, user: User, name: str, place: int) -> dict[str, Any]:
    random = Random(place)
    size = SIZES[place % len(SIZES)]
    accuracy = 0.7 + 0.06 * math.log10(size / 2000) + random.random() / 20
    now = clock.now()
    return {
        "project": project,
        "name": name,
        "uid": uid_new(),
        "algorithm": "knn",
        "hyperparameters": {
            "k": str((1, 3, 5, 10, 100)[place % 5]),
            "predictor_type": "classifier",
            "sample_size": str(size),
            "index_type": INDEXES[place % 3],
        },
        "instance_type": INSTANCES[place % len(INSTANCES)],
        "queue": "cpu",
        "status": "Completed",
        "secondary_status": "Completed",
        "attempt": 1,
        "final_metrics": {
            "train:throughput": 5000 + 200_000 * random.random(),
            "test:accuracy": accuracy,
            "test:macro_f_1.000": accuracy - random.random() / 10,
        },
        "created_by": user,
        "started_at": now - timedelta(seconds=5 + size / 5000 + place % 9),
        "ended_at": now,
        "billable_s": 5 + size // 5000,
    }


def _loss(seed: int, step: int) -> float:
    return 0.05 * (seed % 7 + 1) + math.exp(-step / (40 + seed % 60)) + 0.02 * math.sin(step * (seed % 5 + 1))
