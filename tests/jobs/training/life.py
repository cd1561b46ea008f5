"""The life of jobs as it ought to be: every operation is done for real and, beside it, in a model of a few lines.

The model knows what each operation must do; `test_state_machine` chooses operations at random and, after each, compares
the database and the store with the model. Workers are played: an `Attempt` is what a worker holds, dead or alive.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection

from jobs.metric_points import points_of
from jobs.models import JobEvent, MetricChunk, MetricSummary, TrainingJob
from jobs.runner.outcome import Outcome, internal_failure
from jobs.selectors.instances import instance_type_usage
from jobs.selectors.training import training_job_counts, training_job_get, training_job_list
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
from jobs.services.sweeping import Resending, sweep_leases, sweep_pending, sweep_stopping
from jobs.services.training import training_job_delete, training_job_stop
from mlplatform.core.errors import AccessDenied, Conflict, NotFound
from mlplatform.core.keeping.orphans import orphans_bury
from mlplatform.core.keeping.tombstones import tombstones_carry_out
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_download, log_read
from mlplatform.core.models import LogStream, NodeKind, ObjectTombstone
from mlplatform.core.names import uri
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.objects import object_store, objects_take_back
from tests.driven_clock import DrivenClock
from tests.interleaving import before_transactions
from tests.jobs.training.cast import Cast, job_make
from tests.memory_broker import MemoryBroker
from tests.transitions import Transitions

ENDS = {
    "Completed": Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed"),
    "Stopped": stopped(),
    "Failed": internal_failure("made up"),
}
END_EVENTS = {"Completed", "Stopped", "Failed", "MaxRuntimeExceeded"}
STAGES = [SecondaryStatus.DOWNLOADING, SecondaryStatus.TRAINING, SecondaryStatus.UPLOADING]


@dataclass
class Attempt:
    """What one worker has of one attempt, its right to it lost or not. `stream` is the log as that worker knows it."""

    job: Known
    lease: Lease
    stream: LogStream
    until: datetime
    artifact: Artifact | None = None

    @property
    def number(self) -> int:
        return self.lease.attempt

    @property
    def holds(self) -> bool:
        return self.job.holder is self


@dataclass
class Known:
    """A job as it ought to be."""

    row_id: int
    uid: str
    log_id: int
    name: str
    owner: Actor
    created_at: datetime
    status: str = "InProgress"
    secondary: str = "Pending"
    attempt: int = 0
    holder: Attempt | None = None
    stop_requested: bool = False
    log: bytes = b""
    n_points: int = 0
    artifact: Artifact | None = None
    ended: Any = None
    """The whole row and its events, as they were first seen after the end."""

    @property
    def is_over(self) -> bool:
        return self.status in ENDS

    def end(self, status: str, secondary: str | None = None) -> None:
        self.status, self.secondary, self.holder = status, secondary or status, None


@dataclass
class Life:
    """The stage: two projects, a clock, a broker, some workers; and all jobs that ought to be there."""

    cast: Cast
    clock: DrivenClock
    broker: MemoryBroker
    transitions: Transitions
    folder: Path
    jobs: dict[int, Known] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    row_ids: list[int] = field(default_factory=list)
    issued: set[tuple[int, int]] = field(default_factory=set)
    resending: Resending = field(default_factory=Resending)
    n_written: int = 0
    looked_up: set[tuple[int, str, int | None]] = field(default_factory=set)
    """By whom, under which name, and which row it was: lists are compared after every step, and one by one each row
    once, and at the end once more.
    """

    # ---- what people do

    def create(self, actor: Actor, name: str) -> None:
        try:
            row = job_make(actor, name)
        except Conflict:
            assert self._visible(actor, name), f"{name} is free"
            return
        assert not self._visible(actor, name), f"{name} was taken"
        self.jobs[row.pk] = Known(row.pk, row.uid, row.log_id, name, actor, self.clock.at)
        self.row_ids.append(row.pk)

    def stop(self, actor: Actor, name: str) -> None:
        refused = _refused(lambda: training_job_stop(actor=actor, name=name))
        job = self._visible(actor, name)
        if not self._may(actor, job, refused):
            return
        assert job is not None
        if job.is_over:
            assert (refused is None) == job.stop_requested, f"{name} has ended: {refused!r}"
            return
        assert refused is None, refused
        job.stop_requested = True
        if job.holder is None:
            job.end("Stopped")
        else:
            job.status = job.secondary = "Stopping"

    def delete(self, actor: Actor, name: str) -> None:
        refused = _refused(lambda: training_job_delete(actor=actor, name=name))
        job = self._visible(actor, name)
        if not self._may(actor, job, refused):
            return
        assert job is not None
        if not job.is_over:
            assert isinstance(refused, Conflict), f"{name} runs and was deleted"
            return
        assert refused is None, refused
        del self.jobs[job.row_id]

    def _visible(self, actor: Actor, name: str) -> Known | None:
        mine = (job for job in self.jobs.values() if job.owner.project == actor.project and job.name == name)
        return next(mine, None)

    def _may(self, actor: Actor, job: Known | None, refused: Exception | None) -> bool:
        """Whether `actor` may do this to `job`, as the answer has told too."""
        if not actor.may_edit:
            assert isinstance(refused, AccessDenied), refused
            return False
        if job is None:
            assert isinstance(refused, NotFound), f"not his to see, and: {refused!r}"
            return False
        return True

    # ---- what workers do

    def deliver(self, row_id: int, worker: str) -> Attempt | None:
        """The message comes to a worker: the first time, again, late, or never having been sent."""
        lease = training_job_claim(job_id=row_id, owner=worker)
        job = self.jobs.get(row_id)
        free = job is not None and job.status == "InProgress" and job.holder is None
        assert (lease is not None) == free, f"{lease} of {job}"
        if lease is None or job is None:
            return None
        assert lease.attempt == job.attempt + 1
        assert (row_id, lease.attempt) not in self.issued, "one attempt was given out twice"
        self.issued.add((row_id, lease.attempt))
        job.attempt, job.secondary, job.n_points = lease.attempt, "Starting", 0
        job.holder = Attempt(job, lease, LogStream.objects.get(pk=job.log_id), self._lease_end())
        self.attempts.append(job.holder)
        return job.holder

    def move(self, attempt: Attempt, stage: SecondaryStatus) -> None:
        if self._held(attempt, lambda: training_job_move(lease=attempt.lease, status=stage, message="on")):
            job = attempt.job
            job.secondary = job.secondary if job.status == "Stopping" else stage.value

    def renew(self, attempt: Attempt) -> None:
        self._held(attempt, lambda: training_job_renew(lease=attempt.lease))

    def note(self, attempt: Attempt) -> None:
        self._held(attempt, lambda: training_job_note(lease=attempt.lease, message="by the way"))

    def write(self, attempt: Attempt, lines: list[str], n_points: int) -> None:
        """What its process prints reaches the database, or nothing of it does."""
        self.n_written += 1
        said = [LogLines.of(f"{line} {self.n_written}", 0) for line in lines]
        points = [MetricPoint("m", n, float(n)) for n in range(n_points)]

        def report() -> None:
            training_job_report(lease=attempt.lease, stream=attempt.stream, lines=said, points=points)

        if self._held(attempt, report):
            attempt.job.log += b"".join(line.data for line in said)
            attempt.job.n_points += n_points

    def upload(self, attempt: Attempt) -> None:
        """Stores a model, as a worker does before it writes the outcome."""
        packed = self.folder / "packed"
        packed.write_bytes(hashlib.sha256(repr((attempt.job.uid, attempt.number)).encode()).digest() * 50)
        key = f"training-jobs/{attempt.job.uid}/{attempt.number}/output/model.tar.gz"
        stored = object_store().put_file(packed, uri(attempt.job.owner.project.bucket, key), move=True)
        attempt.artifact = Artifact(stored.uri, stored.sha256, stored.size_bytes, {"files": {}})

    def finish(self, attempt: Attempt, end: str) -> None:
        artifact = attempt.artifact if end != "Failed" else None

        def record() -> None:
            training_job_finish(lease=attempt.lease, outcome=ENDS[end], artifact=artifact)

        if self._held(attempt, record):
            attempt.job.artifact = artifact
            attempt.job.end(end)
        elif artifact is not None and attempt.job.artifact is not artifact:  # as a worker asks the database
            objects_take_back([artifact.uri])
        self._leave(attempt)

    def release(self, attempt: Attempt) -> None:
        job = attempt.job
        if self._held(attempt, lambda: training_job_release(lease=attempt.lease, message="shutting down")):
            self._pending_again(job)
        self._leave(attempt)

    def kill(self, worker: str) -> None:
        """The worker's process is gone: nothing more comes from its attempts, what it had stays as it is."""
        for attempt in [a for a in self.attempts if a.lease.owner == worker]:
            self._leave(attempt)

    def _leave(self, attempt: Attempt) -> None:
        if attempt in self.attempts:
            self.attempts.remove(attempt)

    def _held(self, attempt: Attempt, write: Callable[[], object]) -> bool:
        """Writes; exactly the one who holds the attempt can, and thereby prolongs it."""
        try:
            write()
        except LeaseLost:
            assert not attempt.holds, f"attempt {attempt.number} of {attempt.job.name} holds and was refused"
            return False
        assert attempt.holds, f"attempt {attempt.number} of {attempt.job.name} is lost and wrote"
        attempt.until = self._lease_end()
        return True

    def _lease_end(self) -> datetime:
        return self.clock.at + timedelta(seconds=LEASE_S)

    def _pending_again(self, job: Known) -> None:
        job.holder = None
        if job.status == "Stopping":
            job.end("Stopped")
        else:
            job.secondary = "Pending"

    # ---- what the platform does

    def sweep(self) -> None:
        sweep_leases()
        sweep_stopping()
        sweep_pending(resending=self.resending)
        for job in self.jobs.values():
            if job.holder is not None and job.holder.until > self.clock.at + timedelta(seconds=2 * LEASE_S):
                job.holder.until = self._lease_end()
            if job.holder is not None and job.holder.until < self.clock.at:
                if job.status == "InProgress" and job.attempt >= ATTEMPTS_MAX:
                    job.end("Failed")
                else:
                    self._pending_again(job)

    # ---- comparing

    def check(self) -> None:
        rows = {row.pk: row for row in TrainingJob.objects.all()}
        assert rows.keys() == self.jobs.keys()
        for job in self.jobs.values():
            self._check_row(job, rows[job.row_id])
            self._check_log(job)
            self._check_metrics(job)
        assert not self.transitions.illegal()
        self._check_store()
        self._check_projects()

    def _check_row(self, job: Known, row: TrainingJob) -> None:
        said = (row.status, row.secondary_status, row.attempt, row.lease_owner)
        holder = job.holder.lease.owner if job.holder else ""
        assert said == (job.status, job.secondary, job.attempt, holder), f"{said} is not {job}"
        assert row.lease_expires_at == (job.holder.until if job.holder else None)
        assert (row.stop_requested_at is not None) == job.stop_requested
        events = list(JobEvent.objects.filter(job_id=job.row_id).order_by("pk").values())
        ends = [event for event in events if event["secondary_status"] in END_EVENTS]
        assert [(end["secondary_status"], end["attempt"]) for end in ends] == (
            [(job.secondary, job.attempt)] if job.is_over else []
        ), f"{ends} of {job}"
        assert [event["attempt"] for event in events] == sorted(event["attempt"] for event in events)
        assert [event.pk for event in row.events.all()] == [event["id"] for event in events]
        if job.is_over:
            now = (TrainingJob.objects.filter(pk=job.row_id).values().get(), events)
            job.ended = job.ended or now
            assert now == job.ended, "a job that had ended has changed"
            assert row.ended_at is not None and row.log.ended

    def _check_log(self, job: Known) -> None:
        stream = LogStream.objects.get(pk=job.log_id)
        assert b"".join(log_download(stream=stream)) == job.log
        assert (stream.n_bytes, stream.n_lines) == (len(job.log), job.log.count(b"\n"))
        offset = line = 0
        for chunk in stream.chunks.order_by("offset"):
            assert (chunk.offset, chunk.first_line) == (offset, line)
            assert len(chunk.data) == chunk.n_bytes and len(chunk.line_times) == 4 * chunk.n_lines
            offset, line = offset + chunk.n_bytes, line + chunk.n_lines
        assert (offset, line) == (stream.n_bytes, stream.n_lines)

    def _check_metrics(self, job: Known) -> None:
        summary = MetricSummary.objects.filter(job_id=job.row_id, name="m").first()
        chunks = MetricChunk.objects.filter(job_id=job.row_id, name="m").order_by("first_step")
        steps = [step for chunk in chunks for _, step, _ in points_of(chunk.points)]
        assert steps == list(range(job.n_points))
        assert (summary.n_points if summary else 0) == job.n_points

    def _check_store(self) -> None:
        """Every artifact that a row names is there, whole. Objects that no row names are what `orphans` is about."""
        for row in TrainingJob.objects.exclude(artifact_uri=""):
            job = self.jobs[row.pk]
            assert job.artifact is not None and row.artifact_uri == job.artifact.uri
            data = object_store().get_bytes(row.artifact_uri)
            assert (hashlib.sha256(data).hexdigest(), len(data)) == (row.artifact_sha256, row.artifact_bytes)

    def _check_projects(self) -> None:
        """Each sees its own names and counts, and nothing of the other's."""
        for actor in (self.cast.alice, self.cast.bob, self.cast.charlie):
            mine = [job for job in self.jobs.values() if job.owner.project == actor.project]
            page = training_job_list(actor=actor, order="name")
            assert sorted(row.name for row in page.items) == sorted(job.name for job in mine)
            counts = {status: n for status, n in training_job_counts(actor=actor).items() if n}
            assert counts == _count(job.status for job in mine)
            used = sum(instance_type_usage(project=actor.project).values())
            assert used == sum(not job.is_over for job in mine)
            own = {job.name: job.row_id for job in mine}
            for name in {job.name for job in self.jobs.values()}:
                look = (actor.user.pk, name, own.get(name))
                if look not in self.looked_up:
                    found = _refused(lambda: training_job_get(actor=actor, name=name))  # noqa: B023
                    assert (found is None) == (name in own)
                    self.looked_up.add(look)

    def check_log_from(self, job: Known, offset: int) -> None:
        """Whoever reads on from any offset gets whole lines and, in the end, every byte that follows once."""
        stream = LogStream.objects.get(pk=job.log_id)
        at = min(offset, len(job.log))
        begin = at if at == 0 or job.log[at - 1 : at] in (b"\n", b"") else job.log.find(b"\n", at) + 1
        read, last = b"", -1
        while at != last:
            last = at
            piece = log_read(stream=stream, after=at, limit_bytes=40)
            read, at = read + piece.text.encode(), piece.next
        assert read == job.log[begin:]

    # ---- the end of all faults

    def come_to_rest(self) -> None:
        """Nobody fails any more and messages are sent by the sweep only: every job comes to its end."""
        self.broker.take()
        for turn in range(12):
            if all(job.is_over for job in self.jobs.values()):
                self._check_files()
                self.looked_up.clear()
                self._check_projects()
                return
            self.clock.go_on(LEASE_S + 1)
            self.beat()
            self.sweep()
            for message in self.broker.take():
                attempt = self.deliver(message.object_id, f"good-{turn}")
                if attempt is not None:
                    self.write(attempt, ["well"], 1)
                    self.upload(attempt)
                    self.finish(attempt, "Completed")
            self.check()
        raise AssertionError(f"not over: {[job for job in self.jobs.values() if not job.is_over]}")

    def _check_files(self) -> None:
        """When the grace time is over there is a row for every file; what dead and fenced workers left is gone."""
        self.clock.at = datetime.now(tz=UTC) + timedelta(hours=1)
        orphans_bury(grace_s=60)
        tombstones_carry_out()
        there = {
            found.uri
            for actor in (self.cast.alice, self.cast.charlie)
            for found in object_store().list(uri(actor.project.bucket, "training-jobs"))
        }
        assert there == {job.artifact.uri for job in self.jobs.values() if job.artifact}
        assert not ObjectTombstone.objects.exists()

    def beat(self) -> None:
        """Says that there is a worker with places enough."""
        node_beat(kind=NodeKind.WORKER, name="w", started_at=self.clock.at, queues=["cpu"], concurrency=99)

    def close(self) -> None:
        """Takes everything away again, for the next example."""
        TrainingJob.objects.all().delete()
        LogStream.objects.all().delete()
        ObjectTombstone.objects.all().delete()
        self.transitions.forget()
        self.broker.take()


@contextmanager
def interrupted_by(rival: Callable[[], None], *, after: int = 0) -> Iterator[None]:
    """Does `rival` right before the block's first transaction, or the one `after` it; at the end if there is none."""
    rivals = [rival]
    begun = itertools.count()

    def step() -> None:
        if rivals and next(begun) >= after:
            rivals.pop()()

    def execute_after(execute: Any, sql: str, *arguments: Any) -> Any:
        if not connection.in_atomic_block and sql.startswith("UPDATE"):
            step()
        return execute(sql, *arguments)

    with before_transactions(step), connection.execute_wrapper(execute_after):
        yield
    while rivals:
        rivals.pop()()


def _refused(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except (AccessDenied, Conflict, NotFound) as error:
        return error
    return None


def _count(statuses: Iterator[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for status in statuses:
        counts[status] = counts.get(status, 0) + 1
    return counts
