"""k-NN jobs of every engine in turn, two threads each, run by one worker process: none hangs.

A process that has computed with OpenMP and then forks hangs for ever (faiss and others alike). Every job is exec'ed
anew by a parent that has never computed; this runs enough of them, two at a time, for a hang to show.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
from pathlib import Path

import pytest

from jobs.models import TrainingJob
from jobs.services.channels import ChannelRequest
from mlplatform.core.logs import log_read
from tests.faults.stage import assert_one_outcome, until
from tests.jobs.training.cast import Cast, dataset_make, job_make
from tests.jobs.training.processes import managed, worker_running

pytestmark = [pytest.mark.slow, pytest.mark.once]

N_JOBS = 50
JOB_WITHIN_S = 120
N_ROWS = 300
"""faiss.IVFPQ trains 256 centroids."""
ENGINES = (
    {"index_type": "faiss.Flat"},
    {"index_type": "faiss.IVFFlat"},
    {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "2"},
)


def _rows() -> list[tuple[float, float, float, float, int]]:
    dice = random.Random(0)
    return [(*(dice.random() + n % 2 for _ in range(4)), n % 2) for n in range(N_ROWS)]  # type: ignore[misc]


def _jobs(cast: Cast) -> list[TrainingJob]:
    dataset_make(
        cast.alice,
        "numbers",
        rows=_rows(),
        columns=("a", "b", "c", "d", "y"),
        types=("fractional",) * 4 + ("integral",),
        label=4,
    )
    kinds = itertools.cycle(itertools.product(("classifier", "regressor"), ENGINES))
    channel = ChannelRequest(dataset="numbers")
    return [
        job_make(
            cast.alice,
            f"knn-{n}",
            hyperparameters={"k": "3", "sample_size": str(N_ROWS), "predictor_type": kind, **engine},
            channels={"train": channel, "test": channel},
            max_runtime_s=JOB_WITHIN_S,
        )
        for n, (kind, engine) in zip(range(N_JOBS), kinds, strict=False)
    ]


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="two threads need two processors")
def test_fifty_jobs_of_different_engines_with_two_threads_never_hang(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    jobs = _jobs(threads_cast)
    with worker_running(tmp_path), managed(tmp_path / "scheduler.log", "scheduler"):
        for job in jobs:
            until(job, timeout_s=JOB_WITHIN_S)
    for job in jobs:
        assert_one_outcome(job, status="Completed", attempt=1)
        metric = "test:accuracy" if job.hyperparameters["predictor_type"] == "classifier" else "test:mse"
        assert metric in job.final_metrics
    assert "2 thread(s)" in log_read(stream=jobs[0].log).text
