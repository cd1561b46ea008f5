"""kill -9 of a worker in every secondary status of a job, with real workers, scheduler and Redis."""

from __future__ import annotations

import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.models import TrainingJob
from jobs.services.clearing import leftovers_clear
from jobs.services.lifecycle import ATTEMPTS_MAX
from jobs.services.sweeping import sweep_owners
from jobs.services.training import training_job_stop
from mlplatform.core import clock
from mlplatform.core.logs import log_read
from mlplatform.core.status import SecondaryStatus
from tests.faults.stage import (
    ENDED,
    assert_one_outcome,
    fall_asleep,
    folders_of,
    held_job,
    job_processes,
    moves_refused,
    until,
    until_gone,
)
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import managed, python_running, worker_running
from tests.jobs.training.scripts import FOREVER, program
from tests.polling import wait_until

pytestmark = pytest.mark.slow


def test_a_job_survives_the_death_of_its_worker_in_every_status(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """One worker dies with a job in each status; another takes them over, long before the leases run out."""
    starting, downloading, uploading = (
        job_make(threads_cast.alice, name) for name in ("starting", "downloading", "uploading")
    )
    training, training_data = held_job(threads_cast, "training")
    stopping, stopping_data = held_job(threads_cast, "stopping")
    jobs = {job.name: job for job in (starting, downloading, training, uploading, stopping)}
    held = moves_refused(
        (starting, SecondaryStatus.DOWNLOADING),
        (downloading, SecondaryStatus.TRAINING),
        (uploading, SecondaryStatus.COMPLETED),
    )
    with training_data, stopping_data, managed(tmp_path / "scheduler.log", "scheduler"):
        with held, worker_running(tmp_path, "w1", concurrency=5) as worker:
            for name, job in jobs.items():
                until(job, "Training" if name == "stopping" else name.capitalize())
            for job in (training, stopping):
                wait_until(lambda job=job: bool(job_processes(job)), what="the job process")  # type: ignore[misc]
            for process in job_processes(stopping):
                process.suspend()  # it cannot obey, so the stop takes its time
            training_job_stop(actor=threads_cast.alice, name="stopping")
            processes = job_processes(*jobs.values())
            assert len(folders_of(*jobs.values())) == 4, "one per job but the one that is starting"
            leases = {job.pk: _lease_end(job) for job in jobs.values()}
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            until_gone(processes)
        training_data.release()
        with worker_running(tmp_path, "w2"):
            for job in jobs.values():
                until(job)
            wait_until(lambda: not folders_of(*jobs.values()), timeout_s=40, what="the end of the folders")
    for job in (starting, downloading, training, uploading):
        assert_one_outcome(job, status="Completed", attempt=2)
        assert _lost_at(job) < leases[job.pk], "it was waited for the end of the lease"
    assert_one_outcome(stopping, status="Stopped", attempt=1)
    assert stopping.ended_at is not None and stopping.ended_at < leases[stopping.pk]


def test_a_worker_that_slept_too_long_finds_its_job_taken_and_changes_nothing(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """A machine that was suspended, a process that was stopped: it comes back after its lease has run out."""
    job, data = held_job(threads_cast, "slept")
    with data, managed(tmp_path / "scheduler.log", "scheduler"), worker_running(tmp_path, "w1") as sleeper:
        until(job, "Training")
        wait_until(lambda: bool(job_processes(job)), what="the job process")
        processes = job_processes(job)
        fall_asleep(sleeper)
        TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))
        data.release()
        with worker_running(tmp_path, "w2"):
            until(job)
        until_gone(processes)  # before its own worker is awake: the next attempt has ended them
        events, artifact = job.events.count(), job.artifact_sha256
        sleeper.send_signal(signal.SIGCONT)
        wait_until(
            lambda: "lost its lease" in (tmp_path / "w1.log").read_text(),
            timeout_s=40,
            what=lambda: f"what it says: {(tmp_path / 'w1.log').read_text()}",
        )
    assert_one_outcome(job, status="Completed", attempt=2)
    assert (job.events.count(), job.artifact_sha256) == (events, artifact)


def test_a_job_whose_worker_dies_every_time_fails_with_that_cause(threads_cast: Cast, tmp_path: Path) -> None:
    """A job that makes its machine end the worker must not be tried for ever."""
    job = job_make(threads_cast.alice, "deadly")
    log = tmp_path / "attempt.log"
    for attempt in range(1, ATTEMPTS_MAX + 1):
        command = program(tmp_path, FOREVER)
        with python_running(log, "-m", "tests.faults.attempt", str(job.pk), *command) as worker:
            wait_until(
                lambda attempt=attempt: log_read(stream=job.log).text.count("ready") == attempt,  # type: ignore[misc]
                timeout_s=60,
                what=lambda: f"attempt {attempt}: {log.read_text()}",  # noqa: B023
            )
            processes = job_processes(job)
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        assert sweep_owners() == 1
        leftovers_clear()
        until_gone(processes)
    assert_one_outcome(job, status="Failed", attempt=ATTEMPTS_MAX)
    assert job.failure is not None and job.failure["kind"] == "LostWorker"
    assert "lost 3 times" in job.failure["reason"] and "not tried again" in job.failure["reason"]


def _lease_end(job: TrainingJob):  # type: ignore[no-untyped-def]
    job.refresh_from_db()
    assert job.secondary_status not in ENDED and job.lease_expires_at is not None
    return job.lease_expires_at


def _lost_at(job: TrainingJob):  # type: ignore[no-untyped-def]
    [lost] = job.events.filter(secondary_status="Interrupted")
    assert lost.message == "The worker of attempt 1 was lost; the job will be started again"
    return lost.at
