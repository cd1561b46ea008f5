"""Mends what a lost worker or message left: expired leases, stops that nobody carries out, pending jobs never
delivered.

Called every second or two by the scheduler; any number of schedulers may run, every change is conditional.
"""

from __future__ import annotations

import contextlib
import logging
import time
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from django.db import transaction

from jobs.models import TrainingJob
from jobs.selectors.instances import queue_use
from jobs.services.lifecycle import (
    ACTIVE,
    ATTEMPTS_MAX,
    LEASE_S,
    TASK,
    LeaseLost,
    training_job_end_unowned,
    training_job_lose,
    training_job_requeue,
)
from jobs.services.owners import owner_is_gone
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.models import Node
from mlplatform.core.nodes import queues_served
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
PENDING_S: Final = 5
RESEND_FIRST_S: Final = 5.0
RESEND_MAX_S: Final = 60.0
BATCH: Final = 200
NODE_FORGET_S: Final = 3600


@dataclass
class Resending:
    """When the message of each pending job was last sent again, and how long to wait before the next time."""

    due: dict[int, tuple[float, float]] = field(default_factory=dict)

    def due_of(self, pending: list[int]) -> list[int]:
        """Those of the pending jobs whose message is to be sent again now; all others are forgotten."""
        now = time.monotonic()
        self.due = {job_id: self.due.get(job_id, (now, RESEND_FIRST_S)) for job_id in pending}
        return [job_id for job_id, (at, _) in self.due.items() if at <= now]

    def sent(self, job_id: int) -> None:
        """The next time is later, each time twice as much."""
        wait_s = self.due[job_id][1]
        self.due[job_id] = (time.monotonic() + wait_s, min(2 * wait_s, RESEND_MAX_S))


def jobs_sweep(*, resending: Resending, leases: bool) -> None:
    """All of the sweeps below, in their order; one question where no job is under way.

    Args:
        leases: Whether workers have had the time to prolong theirs.
    """
    if not TrainingJob.objects.filter(status__in=ACTIVE).exists():
        resending.due.clear()
        return
    if leases:
        sweep_leases()
    sweep_owners()
    sweep_stopping()
    sweep_pending(resending=resending)


def sweep_leases() -> int:
    """Jobs whose worker has not prolonged its lease: started again, stopped, or failed after the last
    attempt.
    """
    now = clock.now()
    owned = TrainingJob.objects.filter(status__in=ACTIVE).exclude(lease_owner="")
    # Longer than any lease is one from before the clock was set back; its worker, if it lives, prolongs it as ever.
    owned.filter(lease_expires_at__gt=now + timedelta(seconds=2 * LEASE_S)).update(
        lease_expires_at=now + timedelta(seconds=LEASE_S)
    )
    expired = owned.filter(lease_expires_at__lt=now)
    return sum(_sweep_lease(job) for job in expired[:BATCH])


def sweep_owners() -> int:
    """Jobs whose worker was a process of this machine that is gone: the same, without waiting for the lease."""
    owned = (
        TrainingJob.objects.filter(status__in=ACTIVE)
        .exclude(lease_owner="")
        .only("uid", "status", "attempt", "lease_owner", "lease_expires_at")
    )
    return sum(_sweep_lease(job) for job in owned if owner_is_gone(owner=job.lease_owner))


def sweep_stopping() -> int:
    """Jobs to be stopped that no worker has."""
    waiting = TrainingJob.objects.filter(status=TrainingJobStatus.STOPPING, lease_owner="")
    swept = 0
    for job in waiting[:BATCH]:
        with contextlib.suppress(LeaseLost):
            training_job_end_unowned(rows=waiting.filter(pk=job.pk))
            swept += 1
    return swept


def sweep_pending(*, resending: Resending) -> int:
    """Sends again the message of jobs that are pending although a worker of their queue has a free place: the
    broker may have lost it. Nothing is sent to a queue that takes nothing, so that it does not fill up.
    """
    now = clock.now()
    # Its own message is still on its way; a creation in the future is one from before the clock was set back.
    pending = TrainingJob.objects.exclude(created_at__range=(now - timedelta(seconds=PENDING_S), now)).filter(
        status=TrainingJobStatus.IN_PROGRESS,
        secondary_status=SecondaryStatus.PENDING,
        queue__in=[queue for queue in queues_served() if queue_use(queue=queue).has_place],
    )
    queues = dict(pending.order_by("created_at", "pk").values_list("pk", "queue")[:BATCH])
    sent = 0
    for job_id in resending.due_of(list(queues)):
        if not dispatch_now(TASK, object_id=job_id, queue=queues[job_id]):
            break  # A broker that is away would keep this and every other sweep waiting for each of them.
        resending.sent(job_id)
        sent += 1
    return sent


def _sweep_lease(job: TrainingJob) -> bool:
    """One job, if its lease is still the expired one that was seen."""
    rows = TrainingJob.objects.filter(
        pk=job.pk,
        attempt=job.attempt,
        lease_owner=job.lease_owner,
        lease_expires_at=job.lease_expires_at,
        status=job.status,
    )
    logger.warning("job %s: %s was lost in attempt %s", job.uid, job.lease_owner, job.attempt)
    try:
        if job.status == TrainingJobStatus.STOPPING:
            training_job_end_unowned(rows=rows)
        elif job.attempt >= ATTEMPTS_MAX:
            training_job_lose(rows=rows, attempt=job.attempt)
        else:
            with transaction.atomic():
                message = _(
                    "The worker of attempt {attempt} was lost; the job will be started again",
                    attempt=job.attempt,
                )
                return training_job_requeue(rows=rows, message=message)
    except LeaseLost:
        return False
    return True


def sweep_nodes() -> int:
    """Forgets processes that have shown no sign of life for an hour, or only before the clock was set back."""
    now, aside = clock.now(), timedelta(seconds=NODE_FORGET_S)
    deleted, _by_model = Node.objects.exclude(seen_at__range=(now - aside, now + aside)).delete()
    return deleted
