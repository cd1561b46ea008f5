"""The life of a training job's row after its creation: claim, renew, move on, release, finish, lose.

Every change is a conditional UPDATE whose row count is checked. A worker writes under its lease (owner and
attempt), so that one which lost it changes nothing; an end is written only from a status that the table of
legal transitions allows. Called by the worker (`execution`, `reporting`), the sweeper and the stop service;
never by a page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db import transaction
from django.db.models import F, QuerySet

from jobs.models import JobEvent, MetricSummary, TrainingJob
from jobs.runner.outcome import Outcome, failure_named, failure_of
from jobs.selectors.prices import prices_now
from jobs.services.metrics import MetricPoint, metric_points_append, metric_points_clear
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import LogFenced, log_append, log_end
from mlplatform.core.models import LogStream
from mlplatform.core.status import ACTIVE_TRAINING, FailureKind, SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.storable import storable
from mlplatform.core.text import Text, to_json
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

LEASE_S: Final = 30
RENEW_S: Final = 5
ATTEMPTS_MAX: Final = 3
TASK: Final = "jobs.training_job_run"
ACTIVE: Final = tuple(ACTIVE_TRAINING)


_end_listeners: Final[list[Callable[[int], None]]] = []


def training_job_end_listen(listener: Callable[[int], None]) -> None:
    """Has `listener` called, in this process, with the id of each job whose end is written here, once that is
    committed. What it raises is logged and hurts nobody.
    """
    _end_listeners.append(listener)


class LeaseLost(Exception):
    """Another attempt, a stop or the sweeper has taken the job: whatever this worker has is of no use any
    more.
    """


@dataclass(frozen=True)
class Lease:
    """The right of one worker to one attempt of a job."""

    job_id: int
    attempt: int
    owner: str

    @property
    def row(self) -> QuerySet[TrainingJob]:
        """The job's row while this lease holds; empty afterwards."""
        return TrainingJob.objects.filter(
            pk=self.job_id, attempt=self.attempt, lease_owner=self.owner, status__in=ACTIVE
        )


@dataclass(frozen=True)
class Artifact:
    """The stored model of a job."""

    uri: str
    sha256: str
    size_bytes: int
    manifest: Mapping[str, Any]


@dataclass(frozen=True)
class StoredOutput:
    """What a job left beside its model, as one archive."""

    uri: str
    sha256: str
    size_bytes: int


def training_job_claim(*, job_id: int, owner: str) -> Lease | None:
    """Takes a pending job for `owner`; None when there is nothing to claim (a late or second delivery, a
    stop).
    """
    now = clock.now()
    with transaction.atomic():
        claimed = TrainingJob.objects.filter(
            pk=job_id,
            status=TrainingJobStatus.IN_PROGRESS,
            secondary_status=SecondaryStatus.PENDING,
            lease_owner="",
        ).update(
            attempt=F("attempt") + 1,
            lease_owner=owner,
            lease_expires_at=now + timedelta(seconds=LEASE_S),
            secondary_status=SecondaryStatus.STARTING,
            started_at=now,
            progress={},
        )
        if not claimed:
            return None
        attempt = TrainingJob.objects.values_list("attempt", flat=True).get(pk=job_id)
        if attempt > 1:
            metric_points_clear(job_id=job_id)
        message = (
            _("Starting the training job")
            if attempt == 1
            else _("Starting the training job, attempt {attempt}", attempt=attempt)
        )
        job_event_add(job_id=job_id, attempt=attempt, status=SecondaryStatus.STARTING, message=message)
    return Lease(job_id=job_id, attempt=attempt, owner=owner)


def training_job_renew(*, lease: Lease) -> TrainingJobStatus:
    """Prolongs the lease and tells the job's status. Raises LeaseLost."""
    _hold(lease)
    return training_job_look(lease=lease)


def training_job_look(*, lease: Lease) -> TrainingJobStatus:
    """The job's status, without writing. Raises LeaseLost."""
    status = lease.row.values_list("status", flat=True).first()
    if status is None:
        raise LeaseLost
    return TrainingJobStatus(status)


def training_job_report(
    *,
    lease: Lease,
    stream: LogStream,
    lines: Sequence[LogLines] = (),
    points: Sequence[MetricPoint] = (),
    progress: Mapping[str, Any] | None = None,
    truncated: bool = False,
) -> None:
    """Appends log lines and metric points, sets progress and prolongs the lease: all of it or nothing.

    Raises:
        LeaseLost: the job is another's, or its log was continued by another.
    """
    before = stream.n_bytes, stream.n_lines, stream.truncated
    try:
        with transaction.atomic():
            _hold(lease, **({} if progress is None else {"progress": dict(progress)}))
            log_append(stream=stream, lines=lines, truncated=truncated)
            metric_points_append(job_id=lease.job_id, points=points)
    except LogFenced as error:
        raise LeaseLost from error
    except BaseException:
        stream.n_bytes, stream.n_lines, stream.truncated = before
        raise


def training_job_move(*, lease: Lease, status: SecondaryStatus, message: str) -> None:
    """The next secondary status, with its event; a job that is being stopped keeps `Stopping`. Raises
    LeaseLost.
    """
    with transaction.atomic():
        _hold(lease)
        if lease.row.filter(status=TrainingJobStatus.IN_PROGRESS).update(secondary_status=status):
            job_event_add(job_id=lease.job_id, attempt=lease.attempt, status=status, message=message)


def training_job_note(*, lease: Lease, message: str) -> None:
    """An event that is no change of status. Raises LeaseLost."""
    with transaction.atomic():
        _hold(lease)
        job_event_add(job_id=lease.job_id, attempt=lease.attempt, message=message)


def training_job_finish(
    *,
    lease: Lease,
    outcome: Outcome,
    artifact: Artifact | None = None,
    output: StoredOutput | None = None,
    input_bytes: int | None = None,
) -> None:
    """Writes the one outcome of the job. Raises LeaseLost when it is not this worker's to write.

    Args:
        input_bytes: What was placed in its channels, or fed into their pipes; None where it was not begun.
    """
    with transaction.atomic():
        _end(lease.row, outcome=outcome, artifact=artifact, output=output, input_bytes=input_bytes)


def training_job_release(*, lease: Lease, message: str) -> None:
    """Gives the job back, to be started again by any worker; a job that was being stopped is stopped. Raises
    LeaseLost.
    """
    with transaction.atomic():
        if not training_job_requeue(rows=lease.row, message=message):
            _end(lease.row, outcome=stopped())


def training_job_requeue(*, rows: QuerySet[TrainingJob], message: str) -> bool:
    """Makes the one job of `rows` pending again, without an owner, and sends its message. False if there is
    none, or it is to be stopped.
    """
    going_on = rows.filter(status=TrainingJobStatus.IN_PROGRESS)
    job = going_on.only("pk", "attempt", "queue").first()
    if job is None or not going_on.update(
        secondary_status=SecondaryStatus.PENDING, lease_owner="", lease_expires_at=None, progress={}
    ):
        return False
    job_event_add(job_id=job.pk, attempt=job.attempt, status=SecondaryStatus.INTERRUPTED, message=message)
    dispatch_after_commit(TASK, object_id=job.pk, queue=job.queue)
    return True


def training_job_lose(*, rows: QuerySet[TrainingJob], attempt: int) -> None:
    """Fails a job whose worker was lost for the last time. Raises LeaseLost if `rows` is empty."""
    kind = FailureKind.LOST_WORKER
    reason = _(
        "The worker that ran the job was lost {n} times (it ended or could not be reached); "
        "the job is not tried again",
        n=attempt,
    )
    outcome = Outcome(
        TrainingJobStatus.FAILED,
        SecondaryStatus.FAILED,
        failure_named(kind, reason),
        failure_of(kind, reason),
    )
    with transaction.atomic():
        _end(rows, outcome=outcome)


def training_job_end_unowned(*, rows: QuerySet[TrainingJob]) -> None:
    """Stops a job that no worker has. Raises LeaseLost if `rows` is empty."""
    with transaction.atomic():
        _end(rows, outcome=stopped())


def stopped() -> Outcome:
    return Outcome(TrainingJobStatus.STOPPED, SecondaryStatus.STOPPED, _("Training job stopped"))


def job_event_add(
    *,
    job_id: int,
    attempt: int,
    message: str,
    status: SecondaryStatus | None = None,
    at: datetime | None = None,
) -> JobEvent:
    message = storable(message)
    return JobEvent.objects.create(
        job_id=job_id,
        attempt=attempt,
        secondary_status=status.value if status else "",
        message=message[:1000],
        said=to_json(message) if isinstance(message, Text) else None,
        at=at or clock.now(),
    )


def _hold(lease: Lease, **changes: Any) -> None:
    until = clock.now() + timedelta(seconds=LEASE_S)
    if not lease.row.update(lease_expires_at=until, **changes):
        raise LeaseLost


def _end(
    rows: QuerySet[TrainingJob],
    *,
    outcome: Outcome,
    artifact: Artifact | None = None,
    output: StoredOutput | None = None,
    input_bytes: int | None = None,
) -> None:
    """Sets the terminal status on the one job of `rows`, if the table allows it from where the job is."""
    now = clock.now()
    job = rows.select_for_update(of=("self",)).select_related("log").first()
    if job is None:
        raise LeaseLost
    price = prices_now().of(job.instance_type)
    changes: dict[str, Any] = {
        "secondary_status": outcome.secondary_status,
        "failure": storable(outcome.failure),
        "final_metrics": _final_metrics(job.pk),
        "lease_owner": "",
        "lease_expires_at": None,
        "ended_at": now,
        "billable_s": _billable_s(job.started_at, now) * job.instance_count,
        "price_per_hour": price.per_hour,
        "currency": price.currency,
    }
    if outcome.status is TrainingJobStatus.COMPLETED:
        changes["progress"] = {"fraction": 1.0, "text": ""}
    if artifact is not None:
        changes |= {
            "artifact_uri": artifact.uri,
            "artifact_sha256": artifact.sha256,
            "artifact_bytes": artifact.size_bytes,
            "manifest": storable(dict(artifact.manifest)),
        }
    if output is not None:
        changes |= {
            "output_uri": output.uri,
            "output_sha256": output.sha256,
            "output_bytes": output.size_bytes,
        }
    if input_bytes is not None:
        changes["input_bytes"] = input_bytes
    if not status_update(rows, to=outcome.status, **changes):
        raise LeaseLost
    transaction.on_commit(partial(_tell_ended, job.pk), robust=True)
    job_event_add(
        job_id=job.pk, attempt=job.attempt, status=outcome.secondary_status, message=outcome.message, at=now
    )
    log_end(stream=job.log)


def _tell_ended(job_id: int) -> None:
    for listener in _end_listeners:
        listener(job_id)


def _final_metrics(job_id: int) -> dict[str, float]:
    summaries = MetricSummary.objects.filter(job_id=job_id, last__isnull=False)
    return {name: last for name, last in summaries.values_list("name", "last") if last is not None}


def _billable_s(started_at: datetime | None, ended_at: datetime) -> int:
    return 0 if started_at is None else max(1, math.ceil((ended_at - started_at).total_seconds()))
