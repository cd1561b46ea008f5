"""Many at once, for real: threads and processes with connections of their own against one database."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from jobs.models import JobEvent, TrainingJob
from jobs.runner.outcome import Outcome
from jobs.services.execution import training_job_run
from jobs.services.lifecycle import (
    Lease,
    LeaseLost,
    training_job_claim,
    training_job_finish,
    training_job_renew,
    training_job_report,
)
from jobs.services.sweeping import sweep_leases, sweep_stopping
from jobs.services.training import training_job_stop
from jobs.services.worker_state import WorkerState
from mlplatform.core import clock
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import Conflict
from mlplatform.core.log_lines import LogLines
from mlplatform.core.models import LogStream
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from tests.databases import database_url
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.scripts import MODEL, program
from tests.memory_broker import memory_broker
from tests.transitions import Transitions, transitions_recorded

pytestmark = pytest.mark.slow
COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")
ENDS = {"Completed", "Stopped", "Failed"}
CLAIM = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "mlplatform.settings"
import django
django.setup()
from jobs.services.lifecycle import training_job_claim
sys.stdin.readline()
for n in range(int(sys.argv[2])):
    lease = training_job_claim(job_id=int(sys.argv[1]), owner=f"process {os.getpid()} {n}")
    print("nothing" if lease is None else f"attempt {lease.attempt}")
"""


@pytest.fixture
def transitions(transactional_db: None) -> Iterator[Transitions]:
    with memory_broker(), transitions_recorded() as recorded:
        yield recorded


def test_fifty_deliveries_of_one_message_run_one_attempt_and_one_process(
    threads_cast: Cast,
    transitions: Transitions,
    worker: WorkerState,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLPLATFORM_SANDBOX", "off")  # from within one it could not be told that it was begun
    job = job_make(threads_cast.alice)
    begun = tmp_path / "begun"
    script = f"open({str(begun)!r}, 'a').write('begun ')\n{MODEL}\nprint('trained')\n"
    command = program(tmp_path, script)
    took = _at_once([lambda: training_job_run(job_id=job.pk, worker=worker, program=command)] * 50)
    assert Counter(took) == {True: 1, False: 49}
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("Completed", 1)
    assert begun.read_text() == "begun "
    assert _ends(job) == [("Completed", 1)]
    assert not transitions.illegal()


def test_deliveries_to_several_processes_run_one_attempt(
    threads_cast: Cast, transitions: Transitions, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice)
    path = tmp_path / "claim.py"
    path.write_text(CLAIM)
    workers = [
        subprocess.Popen(
            [sys.executable, str(path), str(job.pk), "13"],
            env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT), "DATABASE_URL": database_url()},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for popen in workers:  # all have started when the first is told to go
        assert popen.stdin is not None
        popen.stdin.write("go\n")
        popen.stdin.flush()
    said = [line for popen in workers for line in popen.communicate(timeout=120)[0].splitlines()]
    assert Counter(said) == {"attempt 1": 1, "nothing": 51}
    job.refresh_from_db()
    assert (job.attempt, job.secondary_status) == (1, "Starting")
    assert not transitions.illegal()


def test_a_stop_racing_with_the_natural_end_leaves_exactly_one_outcome_200_times(
    threads_cast: Cast, transitions: Transitions
) -> None:
    seen: Counter[str] = Counter()
    for n in range(200):
        job = job_make(threads_cast.alice, f"race-{n}")
        lease = _claim(job)

        def end(lease: Lease = lease) -> str:
            try:
                training_job_finish(lease=lease, outcome=COMPLETED)
            except LeaseLost:
                return "lost"
            return "ended"

        def stop(name: str = job.name) -> str:
            try:
                return str(training_job_stop(actor=threads_cast.alice, name=name).status)
            except Conflict:
                return "refused"

        answers = _at_once(_shuffled([end, stop], n))
        job.refresh_from_db()
        assert "ended" in answers, answers
        assert job.status == "Completed"  # it had ended by itself when its worker heard of the stop
        assert (job.stop_requested_at is None) == ("refused" in answers)
        assert _ends(job) == [("Completed", 1)]
        stopping = JobEvent.objects.filter(job=job, secondary_status="Stopping").count()
        assert stopping == (job.stop_requested_at is not None)
        seen["refused" if "refused" in answers else "stopped in time"] += 1
    assert not transitions.illegal()
    assert len(seen) == 2, f"only one order was ever seen: {seen}"


def test_a_stop_racing_with_claim_end_and_sweepers_leaves_exactly_one_outcome(
    threads_cast: Cast, transitions: Transitions
) -> None:
    for n in range(40):
        job = job_make(threads_cast.alice, f"race-{n}")

        def work(job: TrainingJob = job) -> None:
            lease = training_job_claim(job_id=job.pk, owner="w")
            if lease is not None:
                training_job_finish(lease=lease, outcome=COMPLETED)

        def stop(name: str = job.name) -> None:
            try:
                training_job_stop(actor=threads_cast.alice, name=name)
            except Conflict:
                return

        _at_once(_shuffled([work, stop, sweep_stopping, sweep_leases], n))
        sweep_stopping()
        job.refresh_from_db()
        assert job.status in {"Completed", "Stopped"}
        assert _ends(job) == [(job.status, job.attempt)]
    assert not transitions.illegal()


def test_of_200_concurrent_creates_of_one_name_one_succeeds_and_199_are_conflicts(
    threads_cast: Cast, transitions: Transitions
) -> None:
    job_make(threads_cast.alice, "makes-the-dataset")

    def create() -> str:
        try:
            job_make(threads_cast.alice, "wanted")
        except Conflict as conflict:
            return conflict.code
        return "created"

    assert Counter(_at_once([create] * 200)) == {"created": 1, Conflict.code: 199}
    job = TrainingJob.objects.get(name="wanted")
    assert [event.secondary_status for event in job.events.all()] == ["Pending"]
    assert job.inputs.count() == 2
    assert LogStream.objects.count() == 2
    assert not transitions.illegal()


def test_sweepers_at_once_start_a_lost_job_again_once(threads_cast: Cast, transitions: Transitions) -> None:
    job = job_make(threads_cast.alice)
    for attempt in (1, 2, 3):
        _claim(job)
        _expire(job)
        assert sum(_at_once([sweep_leases] * 6)) == 1
        interrupted = JobEvent.objects.filter(job=job, secondary_status="Interrupted").count()
        assert interrupted == min(attempt, 2)
    job.refresh_from_db()
    assert _ends(job) == [("Failed", 3)]
    assert job.failure is not None and job.failure["kind"] == "LostWorker"
    assert not transitions.illegal()


@pytest.mark.parametrize("what", ["renew", "report", "finish"])
def test_a_lease_that_runs_out_while_its_worker_writes_is_either_kept_or_lost_and_never_both(
    threads_cast: Cast, transitions: Transitions, what: str
) -> None:
    seen: Counter[str] = Counter()
    for n in range(40):
        job = job_make(threads_cast.alice, f"late-{n}")
        lease = _claim(job)
        stream = LogStream.objects.get(pk=job.log_id)
        _expire(job)

        def write(lease: Lease = lease, stream: LogStream = stream) -> str:
            try:
                if what == "renew":
                    training_job_renew(lease=lease)
                elif what == "report":
                    training_job_report(lease=lease, stream=stream, lines=[LogLines.of("late", 0)])
                else:
                    training_job_finish(lease=lease, outcome=COMPLETED)
            except LeaseLost:
                return "lost"
            return "kept"

        answers = [str(answer) for answer in _at_once(_shuffled([write, sweep_leases], n))]
        kept = "kept" in answers
        assert sorted(answers) == sorted(["kept", "0"] if kept else ["lost", "1"])
        job.refresh_from_db()
        after = {"renew": "Starting", "report": "Starting", "finish": "Completed"}[what]
        assert job.secondary_status == (after if kept else "Pending")
        log = LogStream.objects.get(pk=job.log_id)
        assert log.n_lines == (what == "report" and kept)
        seen["kept" if kept else "lost"] += 1
    assert not transitions.illegal()


def _claim(job: TrainingJob) -> Lease:
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    return lease


def _expire(job: TrainingJob) -> None:
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))


def _ends(job: TrainingJob) -> list[tuple[str, int]]:
    return list(
        JobEvent.objects.filter(job=job, secondary_status__in=ENDS).values_list("secondary_status", "attempt")
    )


def _shuffled(calls: Sequence[Callable[[], object]], seed: int) -> list[Callable[[], object]]:
    shuffled = list(calls)
    random.Random(seed).shuffle(shuffled)
    return shuffled


def _at_once(calls: Sequence[Callable[[], object]]) -> list[object]:
    """What the calls answer, each on a thread and a connection of its own that all begin together."""
    answers: list[object] = [None] * len(calls)
    gate = threading.Barrier(len(calls))

    def run(n: int) -> None:
        try:
            gate.wait()
            answers[n] = calls[n]()
        except BaseException as error:
            answers[n] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    faults = [answer for answer in answers if isinstance(answer, BaseException)]
    if faults:
        raise faults[0]
    return answers
