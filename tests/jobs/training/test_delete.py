"""Deleting a job deletes all of it, or refuses and says why."""

from __future__ import annotations

import pytest

from endpoints.models import Model
from jobs.models import JobEvent, MetricChunk, MetricSummary, TrainingInput, TrainingJob
from jobs.runner.outcome import Outcome
from jobs.services.lifecycle import Artifact, training_job_claim, training_job_finish, training_job_report
from jobs.services.metrics import MetricPoint
from jobs.services.training import training_job_delete
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, NotFound
from mlplatform.core.log_lines import LogLines
from mlplatform.core.models import LogChunk, LogStream
from mlplatform.core.names import uri
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import Cast, job_make, store_path

COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")


def _completed(cast: Cast, name: str) -> TrainingJob:
    job = job_make(cast.alice, name)
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    training_job_report(
        lease=lease, stream=job.log, lines=[LogLines.of("m=1", 0)], points=[MetricPoint("m", 0, 1.0)]
    )
    stored = object_store().put_bytes(
        b"model", uri(cast.alice.project.bucket, f"training-jobs/{job.uid}/m.tar.gz")
    )
    artifact = Artifact(stored.uri, stored.sha256, stored.size_bytes, {})
    training_job_finish(lease=lease, outcome=COMPLETED, artifact=artifact)
    job.refresh_from_db()
    return job


def _model_of(cast: Cast, job: TrainingJob, artifact_uri: str) -> Model:
    return Model.objects.create(
        project=job.project,
        name="served",
        uid="u" * 26,
        training_job=job,
        algorithm="knn",
        artifact_uri=artifact_uri,
        artifact_sha256=job.artifact_sha256,
        artifact_bytes=5,
        created_by=cast.alice.user,
        created_at=clock.now(),
    )


def test_nothing_of_a_deleted_job_remains(cast: Cast, django_capture_on_commit_callbacks) -> None:  # type: ignore[no-untyped-def]
    artifact = store_path(_completed(cast, "old").artifact_uri)
    assert artifact.exists()
    with django_capture_on_commit_callbacks(execute=True):
        training_job_delete(actor=cast.alice, name="old")
    for table in (TrainingJob, TrainingInput, JobEvent, MetricChunk, MetricSummary, LogStream, LogChunk):
        assert not table.objects.exists(), table
    assert not artifact.exists()
    with pytest.raises(NotFound):
        training_job_delete(actor=cast.alice, name="old")


def test_a_job_is_deleted_although_the_store_cannot_delete(
    cast: Cast,
    django_capture_on_commit_callbacks,  # type: ignore[no-untyped-def]
) -> None:
    artifact = store_path(_completed(cast, "old").artifact_uri)
    artifact.unlink()
    (artifact / "in the way").mkdir(parents=True)
    with django_capture_on_commit_callbacks(execute=True):
        training_job_delete(actor=cast.alice, name="old")
    assert not TrainingJob.objects.exists()


def test_a_running_job_is_not_deleted(cast: Cast) -> None:
    job_make(cast.alice, "running")
    with pytest.raises(Conflict, match="stop it"):
        training_job_delete(actor=cast.alice, name="running")
    assert TrainingJob.objects.count() == 1


def test_a_job_whose_artifact_a_model_uses_is_kept_and_the_model_named(cast: Cast) -> None:
    job = _completed(cast, "used")
    _model_of(cast, job, job.artifact_uri)
    with pytest.raises(Conflict, match="used by model served"):
        training_job_delete(actor=cast.alice, name="used")
    assert store_path(job.artifact_uri).exists()


def test_a_model_with_a_copy_of_its_own_does_not_keep_the_job(cast: Cast) -> None:
    job = _completed(cast, "copied")
    model = _model_of(cast, job, uri(job.project.bucket, "models/copy.tar.gz"))
    training_job_delete(actor=cast.alice, name="copied")
    model.refresh_from_db()
    assert model.training_job is None
