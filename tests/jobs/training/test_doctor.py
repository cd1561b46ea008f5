"""What the doctor says of workers and of jobs that do not get on. Nobody's job is named."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.doctor import jobs_check, workers_check
from jobs.models import TrainingJob
from jobs.services.lifecycle import training_job_claim
from jobs.services.training import training_job_stop
from mlplatform.core import clock
from mlplatform.core.broker import app
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import PROCESS, node_beat
from mlplatform.core.process_identity import process_identity
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import redis_running

MINUTES = timedelta(minutes=1)


def only(findings: Any) -> Finding:
    found: list[Finding] = list(findings)
    assert len(found) == 1, [str(each.summary) for each in found]
    assert "alpha" not in found[0].summary and "secret-plan" not in found[0].summary
    assert found[0].remedy or found[0].level == Level.OK
    return found[0]


def worker_beats(*, queues: tuple[str, ...] = ("cpu",), concurrency: int = 2) -> None:
    node_beat(
        kind=NodeKind.WORKER,
        name="w-1",
        started_at=clock.now() - MINUTES,
        queues=list(queues),
        concurrency=concurrency,
    )


@pytest.fixture
def job(cast: Cast) -> TrainingJob:
    return job_make(cast.alice, "secret-plan")


def changed(job: TrainingJob, **values: Any) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(**values)


def test_without_a_worker_it_is_told_how_to_start_one(db: None) -> None:
    found = only(workers_check())
    assert found.level == Level.FAILED
    assert "No worker is alive" in found.summary
    assert "manage.py worker --queues cpu" in found.remedy


def test_a_worker_that_lives_is_in_order(db: None) -> None:
    worker_beats()
    assert only(workers_check()).level == Level.OK


def test_jobs_on_a_queue_that_nobody_serves_are_counted_with_their_waiting_time(job: TrainingJob) -> None:
    changed(job, queue="gpu", created_at=clock.now() - 12 * MINUTES)
    worker_beats()
    found = only(each for each in workers_check() if each.level != Level.OK)
    assert found.level == Level.FAILED
    assert "1 jobs wait on the queue gpu, the oldest for 12 min" in found.summary
    assert "manage.py worker --queues gpu" in found.remedy


def test_messages_that_no_living_worker_takes_are_told(db: None, tmp_path: Path, settings: Any) -> None:
    """The heart beats, nobody listens: the state that a restarted broker has left Celery in before."""
    worker_beats()
    with redis_running(tmp_path):
        assert only(workers_check()).level == Level.OK
        with app.connection(settings.CELERY_BROKER_URL) as broker:
            broker.default_channel.client.lpush("cpu", "a message")
            found = only(each for each in workers_check() if each.level != Level.OK)
            broker.default_channel.client.delete("cpu")
    assert found.level == Level.FAILED
    assert "1 messages wait in the broker, and no worker takes them" in found.summary
    assert "kill" not in found.remedy, "nobody would start another"


def test_messages_wait_for_a_worker_that_was_only_just_killed_or_started(
    db: None, tmp_path: Path, settings: Any
) -> None:
    worker_beats()
    with redis_running(tmp_path), app.connection(settings.CELERY_BROKER_URL) as broker:
        broker.default_channel.client.lpush("cpu", "a message")
        Node.objects.update(started_at=clock.now())
        assert only(workers_check()).level == Level.OK, "it may still be connecting"
        identity = process_identity().rpartition(".")[0] + ".1"
        Node.objects.update(started_at=clock.now() - 5 * MINUTES, info={PROCESS: identity})
        found = list(workers_check())
        broker.default_channel.client.delete("cpu")
    assert [each for each in found if "messages wait" in each.summary or "kill" in each.remedy] == []


def test_a_job_whose_lease_ran_out_and_was_not_swept_is_told(job: TrainingJob) -> None:
    assert training_job_claim(job_id=job.pk, owner="w-1") is not None
    assert only(jobs_check()).level == Level.OK
    changed(job, lease_expires_at=clock.now() - 5 * MINUTES)
    found = only(jobs_check())
    assert found.level == Level.FAILED
    assert "1 running jobs have lost their worker, the first 5 min ago" in found.summary
    assert "scheduler" in found.remedy


def test_a_stop_that_nobody_carries_out_is_told(cast: Cast, job: TrainingJob) -> None:
    assert training_job_claim(job_id=job.pk, owner="w-1") is not None
    training_job_stop(actor=cast.alice, name=job.name)
    changed(job, lease_owner="", lease_expires_at=None, stop_requested_at=clock.now() - 4 * MINUTES)
    assert "1 jobs were to be stopped 4 min ago" in only(jobs_check()).summary


def test_a_job_that_waits_beside_a_free_place_is_told(job: TrainingJob) -> None:
    worker_beats()
    assert only(jobs_check()).level == Level.OK
    changed(job, created_at=clock.now() - 10 * MINUTES)
    found = only(jobs_check())
    assert found.level == Level.FAILED
    assert "oldest for 10 min, although 2 places are free" in found.summary


def test_a_job_that_waits_because_all_places_are_taken_is_in_order(cast: Cast, job: TrainingJob) -> None:
    worker_beats(concurrency=1)
    changed(job, created_at=clock.now() - 10 * MINUTES)
    running = job_make(cast.alice, "running")
    assert training_job_claim(job_id=running.pk, owner="w-1") is not None
    found = only(jobs_check())
    assert found.level == Level.OK
    assert "1 running, 1 waiting" in found.summary
