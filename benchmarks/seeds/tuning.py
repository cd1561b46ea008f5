"""Tuning jobs and their trials."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.seeds.rows import Rows, as_json, numbered, owned, rows, when
from benchmarks.seeds.sizes import Sizes


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.tuning_jobs
    yield owned(
        "jobs.TuningJob",
        n,
        name=numbered("tuning"),
        letter="h",
        strategy="(array['Bayesian','Random','Grid','Hyperband'])[1 + i % 4]",
        objective_metric="'validation:accuracy'",
        objective_type="'Maximize'",
        ranges=as_json([{"name": "k", "type": "Integer", "min": 1, "max": 100, "scaling": "Linear"}]),
        max_jobs=str(sizes.trials),
        algorithm="'knn'",
        instance_type="'local.cpu'",
        status=when(f"i > {n} - 5", "'InProgress'", "'Completed'"),
    )
    yield rows(
        "jobs.TuningTrial",
        min(sizes.jobs, n * sizes.trials),
        afterwards="UPDATE jobs_tuningjob SET best_trial_id = (SELECT min(id) FROM jobs_tuningtrial "
        "WHERE tuning_job_id = jobs_tuningjob.id)",
        tuning_job_id=f"1 + (i - 1) / {sizes.trials}",
        number=f"1 + (i - 1) % {sizes.trials}",
        parameters=as_json({"k": "10"}),
        job_name="'trial-' || i",
        training_job_id="i",
        status="'Completed'",
        value="i % 1000 / 1000.0",
        steps=as_json([[step, step / 30] for step in range(30)]),
    )
