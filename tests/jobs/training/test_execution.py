"""Attempts with real job processes, from claim to recorded outcome."""

from __future__ import annotations

import io
import json
import tarfile

from jobs.selectors.training import training_job_artifact, training_job_metrics
from jobs.services.clearing import work_dir
from jobs.services.execution import training_job_run
from jobs.services.worker_state import WorkerState
from mlplatform.core.logs import log_read
from tests.jobs.training.cast import Cast, job_make


def test_a_job_trains_and_leaves_model_log_metrics_and_events(
    threads_cast: Cast, worker: WorkerState
) -> None:
    job = job_make(threads_cast.alice, "flags-knn")

    assert training_job_run(job_id=job.pk, worker=worker)

    job.refresh_from_db()
    text = log_read(stream=job.log).text
    assert (job.status, job.failure) == ("Completed", None), text
    assert [event.secondary_status for event in job.events.all()] == [
        "Pending",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert "#quality_metric: host=algo-1, test accuracy <score>=1" in text
    assert job.final_metrics["test:accuracy"] == 1.0
    assert [series.name for series in training_job_metrics(job=job)] >= ["test:accuracy"]
    assert job.progress["fraction"] == 1.0
    assert job.billable_s is not None and job.billable_s >= 1
    assert log_read(stream=job.log).end
    assert not list(work_dir().iterdir())
    chunks, filename, size = training_job_artifact(actor=threads_cast.alice, name="flags-knn")
    data = b"".join(chunks)
    assert (filename, size) == ("flags-knn-model.tar.gz", len(data))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert names == ["manifest.json", "model_algo-1", "model_algo-1.json", "model_algo-1.labels"]
    assert manifest["label_mapping"] == {"no": 0, "yes": 1}
    assert manifest["feature_names"] == ["a", "b"]
    assert set(manifest["files"]) == set(names) - {"manifest.json"}
