"""What retention removed is told where it was shown: the log and metrics of a job, by page and by REST."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import TrainingJob
from jobs.runner.outcome import Outcome
from jobs.services.lifecycle import training_job_claim, training_job_finish, training_job_report
from jobs.services.metrics import MetricPoint
from mlplatform.core import clock
from mlplatform.core.keeping.retention import retention_sweep
from mlplatform.core.log_lines import LogLines
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from tests.jobs.training.cast import job_make
from tests.web.conftest import Visitor

COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")


@pytest.fixture
def old_job(alice: Visitor) -> TrainingJob:
    job = job_make(alice.actor, "old")
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    lines, points = [LogLines.of("only line", 0)], [MetricPoint("loss", 0, 2.0)]
    training_job_report(lease=lease, stream=job.log, lines=lines, points=points)
    training_job_finish(lease=lease, outcome=COMPLETED)
    TrainingJob.objects.update(ended_at=clock.now() - timedelta(days=91))
    while retention_sweep().n_done:
        pass
    return job


def test_the_pages_of_an_old_job_say_what_was_removed(alice: Visitor, old_job: TrainingJob) -> None:
    today = f"{clock.now():%Y-%m-%d}"
    page = alice.get("training-job-detail", {"tab": "logs"}, name="old").content.decode()
    assert f"This log of 1 line was removed on {today}" in page and "<x-log" not in page
    page = alice.get("training-job-detail", {"tab": "metrics"}, name="old").content.decode()
    assert "The points were removed" in page and "<x-chart" not in page
    assert "loss" in page, "the summary stays"
    page = alice.get("training-job-detail", name="old").content.decode()
    assert "loss" in page


def test_rest_says_that_the_log_was_removed(alice: Visitor, old_job: TrainingJob) -> None:
    answer = alice.client.get(f"/api/v1/projects/{alice.project.name}/training-jobs/old/logs/").json()
    assert answer["text"] == "" and answer["end"] is True and answer["next"] == 10
    assert answer["removed_at"].startswith(f"{clock.now():%Y-%m-%d}T")
