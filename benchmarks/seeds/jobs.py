"""Training jobs with their log streams, inputs and events, and what removed ones have cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.seeds.covertype import HYPERPARAMETERS, MANIFEST
from benchmarks.seeds.rows import PRICED, Rows, as_json, at, numbered, owned, rows, uid, when
from benchmarks.seeds.sizes import Sizes

_FAILURE: Final = {
    "kind": "AlgorithmError",
    "reason": "the sampled data has fewer rows than k",
    "said": None,
    "log_tail": [f"line {number} of what the job printed before it failed" for number in range(20)],
    "first_line": 180,
}
_ENDED: Final = "when i % 11 = 0 then 'Failed' when i % 25 = 0 then 'Stopped' else 'Completed' end"


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.jobs
    yield rows("core.LogStream", n, uid=uid("l"), n_bytes="80000", n_lines="1000", ended="true")
    yield _training_jobs(n)
    yield rows(
        "jobs.TrainingInput",
        2 * n,
        job_id="(i + 1) / 2",
        channel=when("i % 2 = 0", "'train'", "'test'"),
        dataset_version_id=f"1 + i % {sizes.datasets}",
        dataset_reference=f"{numbered('dataset', f'1 + i % {sizes.datasets}')} || '@1'",
        uri="'s3://b/datasets/' || i",
        content_type="'text/csv'",
    )
    yield rows(
        "jobs.JobEvent",
        6 * n,
        job_id="1 + (i - 1) / 6",
        attempt="1",
        secondary_status="(array['Pending','Starting','Training','Uploading','Completed'])[1 + i % 5]",
        message="'Training in progress'",
    )
    yield rows(
        "jobs.SpentRecord",
        n // 5,
        project_id="1",
        kind="'training_job'",
        name="'gone-' || i",
        detail="'local.cpu'",
        seconds="i % 1000",
        amount="0.01",
        currency="'USD'",
        at=at(max(1, n // 5)),
    )


def _training_jobs(n: int) -> Rows:
    """The newest 150 wait, the 50 before them run, all others have ended."""
    has_ended, has_begun, is_script = f"i <= {n} - 200", f"i <= {n} - 150", "i % 5 = 3"
    runs = f"i > {n} - 200 and {has_begun}"
    return owned(
        "jobs.TrainingJob",
        n,
        name="(array['knn','xgboost','covtype','churn','forest'])[1 + i % 5] || '-' || lpad(i::text, 7, '0')",
        letter="t",
        algorithm="(array['knn','xgboost','catboost','script','linear-learner'])[1 + i % 5]",
        framework=when(is_script, "'pytorch'", "''"),
        entry_point=when(is_script, "'train.py'", "''"),
        source_id=when(is_script, "1 + i % 500"),
        hyperparameters=as_json(HYPERPARAMETERS),
        instance_type="(array['local.cpu','ml.m5.large','ml.m5.xlarge'])[1 + i % 3]",
        queue="'cpu'",
        tags=as_json({"team": "forest", "stage": "research"}),
        status=f"case when i > {n} - 200 then 'InProgress' {_ENDED}",
        secondary_status=f"case when i > {n} - 150 then 'Pending' when i > {n} - 200 then 'Training' {_ENDED}",
        failure=when(f"{has_ended} and i % 11 = 0", as_json(_FAILURE)),
        progress=as_json({"fraction": 1.0, "text": "", "recent": [[1, 0.5], [2, 1.0]]}),
        final_metrics="jsonb_build_object('validation:accuracy', i % 1000 / 1000.0, 'train:loss', i % 77 / 7.0)",
        attempt="1",
        lease_owner=when(runs, "'node-1'", "''"),
        lease_expires_at=when(runs, "now() + interval '1 day'"),
        artifact_uri="'s3://b/artifacts/' || i",
        artifact_bytes="500000 + i",
        manifest=as_json(MANIFEST),
        log_id="i",
        started_at=when(has_begun, at(n)),
        ended_at=when(has_ended, f"{at(n)} + interval '1 minute' * (i % 59)"),
        billable_s=when(has_ended, "i % 3600"),
        price_per_hour=when(has_ended, PRICED["price_per_hour"]),
        currency=when(has_ended, PRICED["currency"], "''"),
    )
