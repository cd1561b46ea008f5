"""Claims, leases, fencing, stops and sweeps: one outcome per job, and nothing in progress for ever."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from jobs.management.commands import scheduler
from jobs.models import JobEvent, TrainingJob
from jobs.runner.outcome import Outcome, internal_failure
from jobs.services import sweeping
from jobs.services.lifecycle import (
    ATTEMPTS_MAX,
    LEASE_S,
    Artifact,
    Lease,
    LeaseLost,
    stopped,
    training_job_claim,
    training_job_finish,
    training_job_move,
    training_job_note,
    training_job_release,
    training_job_renew,
    training_job_report,
)
from jobs.services.metrics import MetricPoint
from jobs.services.sweeping import Resending, sweep_leases, sweep_nodes, sweep_pending, sweep_stopping
from jobs.services.training import training_job_delete, training_job_stop
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, NotFound
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_read
from mlplatform.core.models import LogStream, Node, NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.text import text
from tests.driven_clock import clock_driven
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import redis_running

COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")


def _claim(job: TrainingJob, owner: str = "w1") -> Lease:
    lease = training_job_claim(job_id=job.pk, owner=owner)
    assert lease is not None
    return lease


def _worker(concurrency: int) -> None:
    node_beat(
        kind=NodeKind.WORKER, name="w1", started_at=clock.now(), queues=["cpu"], concurrency=concurrency
    )


def _expire(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))


def _state(job: TrainingJob) -> tuple[str, str]:
    job.refresh_from_db()
    return job.status, job.secondary_status


def test_a_job_is_claimed_once(cast: Cast) -> None:
    job = job_make(cast.alice)
    assert _claim(job).attempt == 1
    assert training_job_claim(job_id=job.pk, owner="w2") is None
    assert training_job_claim(job_id=10**9, owner="w2") is None
    assert _state(job) == ("InProgress", "Starting")


def test_fifty_deliveries_of_one_message_run_it_once(threads_cast: Cast) -> None:
    job = job_make(threads_cast.alice)
    leases: list[Lease | None] = []

    def deliver(n: int) -> None:
        leases.append(training_job_claim(job_id=job.pk, owner=f"w{n}"))
        connection.close()

    threads = [threading.Thread(target=deliver, args=(n,)) for n in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([lease for lease in leases if lease is not None]) == 1
    assert len(leases) == 50


def test_the_outcome_is_written_once_and_a_terminal_job_never_changes(cast: Cast) -> None:
    job = job_make(cast.alice)
    lease = _claim(job)
    training_job_finish(lease=lease, outcome=COMPLETED)
    for outcome in (COMPLETED, stopped(), internal_failure("late")):
        with pytest.raises(LeaseLost):
            training_job_finish(lease=lease, outcome=outcome)
    with pytest.raises(LeaseLost):
        training_job_move(lease=lease, status=SecondaryStatus.UPLOADING, message="late")
    with pytest.raises(LeaseLost):
        training_job_release(lease=lease, message="late")
    assert _state(job) == ("Completed", "Completed")
    assert job.log.ended
    assert job.ended_at is not None


def test_a_worker_that_lost_its_lease_changes_nothing(cast: Cast) -> None:
    job = job_make(cast.alice)
    old = _claim(job, "old")
    stream = LogStream.objects.get(pk=job.log_id)
    _expire(job)
    assert sweep_leases() == 1
    new = _claim(job, "new")
    assert new.attempt == 2
    events = JobEvent.objects.count()
    line = [LogLines.of("from the dead", 0)]
    for late in (
        lambda: training_job_renew(lease=old),
        lambda: training_job_move(lease=old, status=SecondaryStatus.TRAINING, message="late"),
        lambda: training_job_report(lease=old, stream=stream, lines=line, points=[MetricPoint("m", 0, 1.0)]),
        lambda: training_job_finish(lease=old, outcome=COMPLETED),
        lambda: training_job_release(lease=old, message="late"),
    ):
        with pytest.raises(LeaseLost):
            late()
    assert _state(job) == ("InProgress", "Starting")
    assert JobEvent.objects.count() == events
    assert log_read(stream=job.log).text == ""
    assert not job.metric_summaries.exists()
    training_job_finish(lease=new, outcome=COMPLETED)


def test_a_report_is_all_or_nothing(cast: Cast) -> None:
    job = job_make(cast.alice)
    lease = _claim(job)
    stale = LogStream.objects.get(pk=job.log_id)
    stream = LogStream.objects.get(pk=job.log_id)
    training_job_report(lease=lease, stream=stream, lines=[LogLines.of("one", 0)])
    with pytest.raises(LeaseLost):
        training_job_report(
            lease=lease,
            stream=stale,
            lines=[LogLines.of("two", 0)],
            points=[MetricPoint("m", 0, 1.0)],
            progress={"a": 1},
        )
    job.refresh_from_db()
    assert (job.progress, job.metric_summaries.count()) == ({}, 0)
    assert log_read(stream=job.log).text == "one\n"


def test_an_expired_lease_starts_the_job_again_until_the_attempts_are_used_up(cast: Cast) -> None:
    job = job_make(cast.alice)
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert _claim(job).attempt == attempt
        assert sweep_leases() == 0
        _expire(job)
        assert sweep_leases() == 1
        assert sweep_leases() == 0
    assert _state(job) == ("Failed", "Failed")
    assert job.failure is not None
    assert job.failure["kind"] == "LostWorker"
    assert [event.secondary_status for event in job.events.all()].count("Interrupted") == ATTEMPTS_MAX - 1


def test_metrics_begin_anew_with_the_next_attempt(cast: Cast) -> None:
    job = job_make(cast.alice)
    lease = _claim(job)
    training_job_report(
        lease=lease, stream=job.log, points=[MetricPoint("m", 0, 1.0)], progress={"fraction": 0.5}
    )
    _expire(job)
    sweep_leases()
    _claim(job)
    job.refresh_from_db()
    assert (job.metric_summaries.count(), job.progress) == (0, {})


def test_a_prolonged_lease_is_not_swept(cast: Cast) -> None:
    job = job_make(cast.alice)
    lease = _claim(job)
    _expire(job)
    assert training_job_renew(lease=lease) == "InProgress"
    assert sweep_leases() == 0


def test_a_pending_job_stops_at_once(cast: Cast) -> None:
    job = job_make(cast.alice, "waiting")
    assert training_job_stop(actor=cast.alice, name="waiting").status == "Stopped"
    assert _state(job) == ("Stopped", "Stopped")
    assert (job.billable_s, job.log.ended) == (0, True)
    assert training_job_claim(job_id=job.pk, owner="w1") is None


def test_a_running_job_is_stopping_until_its_worker_has_stopped_it(cast: Cast) -> None:
    job = job_make(cast.alice, "running")
    lease = _claim(job)
    for _ in range(2):
        assert training_job_stop(actor=cast.alice, name="running").status == "Stopping"
    assert [event.secondary_status for event in job.events.all()].count("Stopping") == 1
    training_job_move(lease=lease, status=SecondaryStatus.UPLOADING, message="Uploading")
    assert _state(job) == ("Stopping", "Stopping")
    training_job_finish(lease=lease, outcome=stopped())
    assert _state(job) == ("Stopped", "Stopped")


def test_a_job_that_ended_by_itself_while_stopping_is_completed(cast: Cast) -> None:
    job = job_make(cast.alice, "running")
    lease = _claim(job)
    training_job_stop(actor=cast.alice, name="running")
    training_job_finish(lease=lease, outcome=COMPLETED)
    assert _state(job) == ("Completed", "Completed")


def test_a_job_that_has_ended_cannot_be_stopped(cast: Cast) -> None:
    job = job_make(cast.alice, "done")
    training_job_finish(lease=_claim(job), outcome=COMPLETED)
    with pytest.raises(Conflict, match="ended already"):
        training_job_stop(actor=cast.alice, name="done")


def test_a_stop_that_nobody_carries_out_is_swept(cast: Cast) -> None:
    job = job_make(cast.alice, "running")
    _claim(job)
    training_job_stop(actor=cast.alice, name="running")
    _expire(job)
    assert sweep_leases() == 1
    assert _state(job) == ("Stopped", "Stopped")
    other = job_make(cast.alice, "given-back")
    training_job_release(lease=_claim(other), message="shutting down")
    TrainingJob.objects.filter(pk=other.pk).update(status="Stopping")
    assert sweep_stopping() == 1
    assert _state(other) == ("Stopped", "Stopped")


def test_a_job_given_back_is_pending_and_one_being_stopped_is_stopped(cast: Cast) -> None:
    job = job_make(cast.alice, "one")
    training_job_release(lease=_claim(job), message="Worker is shutting down")
    assert _state(job) == ("InProgress", "Pending")
    lease = _claim(job)
    training_job_stop(actor=cast.alice, name="one")
    training_job_release(lease=lease, message="Worker is shutting down")
    assert _state(job) == ("Stopped", "Stopped")


def test_a_stop_racing_with_claim_and_end_leaves_one_end(threads_cast: Cast) -> None:
    for n in range(15):
        job = job_make(threads_cast.alice, f"race-{n}")

        def work(job: TrainingJob = job) -> None:
            lease = training_job_claim(job_id=job.pk, owner="w")
            if lease is not None:
                training_job_finish(lease=lease, outcome=COMPLETED)
            connection.close()

        def stop(name: str = job.name) -> None:
            try:
                training_job_stop(actor=threads_cast.alice, name=name)
            except Conflict:
                pass
            finally:
                connection.close()

        threads = [threading.Thread(target=work), threading.Thread(target=stop)]
        random.Random(n).shuffle(threads)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        job.refresh_from_db()
        ends = [
            event.secondary_status
            for event in job.events.all()
            if event.secondary_status in {"Completed", "Stopped"}
        ]
        assert ends == [job.status]


def test_pending_jobs_are_sent_again_ever_more_rarely(cast: Cast, tmp_path: Path) -> None:
    job = job_make(cast.alice)
    _worker(concurrency=1)
    resending = Resending()
    with redis_running(tmp_path):
        assert sweep_pending(resending=resending) == 0
        TrainingJob.objects.update(created_at=clock.now() - timedelta(seconds=60))
        assert sweep_pending(resending=resending) == 1
        assert sweep_pending(resending=resending) == 0
        _claim(job)
        sweep_pending(resending=resending)
    assert not resending.due


def test_while_the_broker_is_away_nothing_counts_as_sent(cast: Cast, tmp_path: Path) -> None:
    for _ in range(3):
        job_make(cast.alice)
    _worker(concurrency=1)
    TrainingJob.objects.update(created_at=clock.now() - timedelta(seconds=60))
    resending = Resending()
    assert sweep_pending(resending=resending) == 0
    assert sweep_pending(resending=resending) == 0
    with redis_running(tmp_path):
        assert sweep_pending(resending=resending) == 3


def test_a_clock_that_is_set_back_keeps_neither_a_dead_worker_nor_a_lost_message_for_longer(
    cast: Cast,
) -> None:
    with clock_driven(sweeping) as driven:
        held, waiting = job_make(cast.alice), job_make(cast.alice)
        lease = _claim(held)
        driven.jump(-86400)
        _worker(concurrency=9)
        assert sweep_leases() == 0
        driven.go_on(LEASE_S + 1)
        assert sweep_leases() == 1
        assert _state(held) == ("InProgress", "Pending")
        _worker(concurrency=9)
        resending = Resending()
        assert sweep_pending(resending=resending) == 0  # nobody listens, so nothing is sent
        assert set(resending.due) == {held.pk, waiting.pk}
        with pytest.raises(LeaseLost):
            training_job_renew(lease=lease)


@pytest.mark.parametrize("seconds", [86400, -86400])
def test_after_a_jump_of_the_clock_living_workers_have_time_to_prolong_their_leases(
    cast: Cast, seconds: int
) -> None:
    with clock_driven(clock, scheduler) as driven:
        job = job_make(cast.alice)
        lease = _claim(job, "a living worker")
        sweeper = scheduler.Sweeper("s")

        def sweep_for(seconds: int) -> None:
            for _ in range(seconds):
                sweeper.turn()
                driven.go_on(1)

        driven.jump(seconds)
        sweep_for(5)
        training_job_renew(lease=lease)
        sweep_for(LEASE_S)
        assert _state(job) == ("InProgress", "Starting")
        sweep_for(2)
        assert _state(job) == ("InProgress", "Pending")


def test_nothing_is_sent_to_a_queue_without_a_free_place(cast: Cast, tmp_path: Path) -> None:
    busy, waiting = job_make(cast.alice), job_make(cast.alice)
    TrainingJob.objects.update(created_at=clock.now() - timedelta(seconds=60))
    resending = Resending()
    assert sweep_pending(resending=resending) == 0
    _worker(concurrency=1)
    lease = _claim(busy)
    assert sweep_pending(resending=resending) == 0
    training_job_finish(lease=lease, outcome=COMPLETED)
    with redis_running(tmp_path):
        assert sweep_pending(resending=resending) == 1
    assert waiting.pk in resending.due


def test_whatever_characters_a_job_ends_with_its_outcome_is_written(cast: Cast) -> None:
    """Postgres takes no NUL and nothing takes half a surrogate: a refused outcome would be tried for ever."""
    job = job_make(cast.alice)
    lease = _claim(job)
    said = "a\0b \ud800 \udcff 😀"
    training_job_note(lease=lease, message=text("Not in the model: {names}", names=said))
    outcome = internal_failure(said)
    assert outcome.failure is not None
    outcome.failure["log_tail"] = [said]
    artifact = Artifact("s3://b/k", "0" * 64, 1, {"files": [{"name": said}]})
    training_job_finish(lease=lease, outcome=outcome, artifact=artifact)
    job.refresh_from_db()
    clean = "a\ufffdb \ufffd \ufffd 😀"
    assert job.failure and (job.failure["reason"], job.failure["log_tail"]) == (clean, [clean])
    assert job.manifest == {"files": [{"name": clean}]}
    note = job.events.get(secondary_status="")
    assert note.message == f"Not in the model: {clean}" and note.said["params"] == {"names": clean}


def test_processes_that_are_long_gone_are_forgotten(cast: Cast) -> None:
    _worker(concurrency=1)
    assert sweep_nodes() == 0
    Node.objects.update(seen_at=clock.now() - timedelta(hours=2))
    assert sweep_nodes() == 1


def test_somebody_elses_job_can_neither_be_stopped_nor_deleted(cast: Cast) -> None:
    job = job_make(cast.alice, "mine")
    for act in (training_job_stop, training_job_delete):
        with pytest.raises(NotFound, match="There is no training job 'mine'"):
            act(actor=cast.charlie, name="mine")
        with pytest.raises(AccessDenied):
            act(actor=cast.bob, name="mine")
    assert _state(job) == ("InProgress", "Pending")
