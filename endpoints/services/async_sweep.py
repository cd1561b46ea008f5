"""Mends what lost workers left of asynchronous requests, and sends for a worker wherever some wait and none is at them.

Called every few seconds by hosts, and by the scheduler where there is none.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef

from endpoints.models import AsyncInvocation, Endpoint
from endpoints.services.async_invocations import QUEUE, TASK, async_invocation_fail
from endpoints.services.run_lease import ATTEMPTS_MAX, LEASE_S
from jobs.services.owners import owner_is_gone
from jobs.services.sweeping import Resending
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.errors import TransientError
from mlplatform.core.nodes import queues_served
from mlplatform.core.status import AsyncInvocationStatus, EndpointStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)


def async_sweep(*, resending: Resending | None = None) -> int:
    """Has what lost workers claimed wait again, and sends for a worker where requests wait and none is at them.

    Returns:
        How many claims were lost.
    """
    lost = sum(_lost(row) for row in _claimed())
    if resending is None or QUEUE not in queues_served():
        return lost
    waiting = [endpoint_id for endpoint_id in _with_waiting() if not is_drained(endpoint_id)]
    for endpoint_id in resending.due_of(waiting):
        if not dispatch_now(TASK, object_id=endpoint_id, queue=QUEUE):
            break
        resending.sent(endpoint_id)
    return lost


def _with_waiting() -> list[int]:
    """Endpoints with requests that wait, also of those that are asynchronous no more: what was taken in is answered."""
    pending = AsyncInvocation.objects.filter(endpoint=OuterRef("pk"), status=AsyncInvocationStatus.PENDING)
    there = Endpoint.objects.exclude(status=EndpointStatus.DELETING)
    return list(there.filter(Exists(pending.order_by())).order_by("pk").values_list("pk", flat=True))


def _claimed() -> list[AsyncInvocation]:
    held = AsyncInvocation.objects.filter(
        lease_expires_at__isnull=False, status=AsyncInvocationStatus.IN_PROGRESS
    )
    return list(held.select_related("endpoint")[:1000]) if held.exists() else []


def _lost(row: AsyncInvocation) -> bool:
    """Whether its worker was gone, so that it waits again, or has failed."""
    now = clock.now()
    assert row.lease_expires_at is not None
    is_early = row.lease_expires_at > now + timedelta(
        seconds=2 * LEASE_S
    )  # from before the clock was set back
    if not is_early and row.lease_expires_at >= now and not owner_is_gone(owner=row.lease_owner):
        return False
    held = {"lease_owner": row.lease_owner, "lease_expires_at": row.lease_expires_at}
    rows = AsyncInvocation.objects.filter(pk=row.pk, **held)
    if is_early and not owner_is_gone(owner=row.lease_owner):
        rows.update(lease_expires_at=lease_end())
        return False
    logger.warning("asynchronous request %s: its worker was lost in attempt %d", row.uid, row.attempt)
    if row.attempt < ATTEMPTS_MAX:
        free = {"lease_owner": "", "lease_expires_at": None, "started_at": None}
        return bool(status_update(rows, to=AsyncInvocationStatus.PENDING, **free))
    said = _("The worker that carried out this run was lost, in each of {n} attempts", n=row.attempt)
    try:
        return async_invocation_fail(row=row, status=500, code="InternalFailure", message=said, **held)
    except TransientError:
        return False


def is_drained(endpoint_id: int) -> bool:
    """Whether a worker that lives has claimed requests of the endpoint: it goes on until none waits."""
    held = AsyncInvocation.objects.filter(endpoint=endpoint_id, status=AsyncInvocationStatus.IN_PROGRESS)
    owners = held.filter(lease_expires_at__gt=clock.now()).values_list("lease_owner", flat=True).distinct()
    return any(not owner_is_gone(owner=owner) for owner in owners)


def lease_end() -> datetime:
    """Until when a claim holds that is made or renewed now."""
    return clock.now() + timedelta(seconds=LEASE_S)
