"""The right of one worker to one table run: taken anew for every attempt, kept by the clock, fenced by its owner.

An owner is never one twice, so what a worker writes that lost its lease, and even took the run again, reaches nothing.
Called by `endpoints.services.tables` only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, QuerySet

from endpoints.models import TableRun
from jobs.services.owners import owner_is_gone, owner_new
from jobs.services.worker_state import worker_state
from mlplatform.core import clock
from mlplatform.core.status import TableRunStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)
LEASE_S = 60
RENEW_EVERY_S = 5.0
ATTEMPTS_MAX = 3


@dataclass(frozen=True)
class TableLease:
    """One attempt at one run."""

    run_id: int
    owner: str

    @property
    def rows(self) -> QuerySet[TableRun]:
        """The run, as long as it is this attempt's; every write of the attempt goes through it."""
        return TableRun.objects.filter(
            pk=self.run_id, status=TableRunStatus.IN_PROGRESS, lease_owner=self.owner
        )


def table_lease_take(*, run_id: int) -> TableLease | None:
    """Takes a run that nobody has; None if there is none."""
    lease = TableLease(run_id, owner_new(worker_name=worker_state().name))
    free = TableRun.objects.filter(pk=run_id, status=TableRunStatus.IN_PROGRESS, lease_owner="")
    taken = free.update(
        lease_owner=lease.owner, lease_expires_at=_lease_end(), attempt=F("attempt") + 1, n_done=0
    )
    return lease if taken else None


@contextmanager
def table_lease_kept(*, lease: TableLease) -> Iterator[None]:
    """Renews the lease in a thread of its own, however long reading, an answer or the store may take."""
    ended = threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(lease, ended), name=f"table-run-{lease.run_id}", daemon=True
    )
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def table_leases_sweep() -> list[int]:
    """Takes runs from workers that are gone. Those to be tried again; after the last attempt a run is Failed."""
    now = clock.now()
    owned = TableRun.objects.filter(status=TableRunStatus.IN_PROGRESS).exclude(lease_owner="")
    # Longer than any lease is one from before the clock was set back; its worker, if it lives, renews it as ever.
    owned.filter(lease_expires_at__gt=now + timedelta(seconds=2 * LEASE_S)).update(
        lease_expires_at=_lease_end()
    )
    held = owned.values_list("pk", "lease_owner", "lease_expires_at", "attempt")
    return [
        run_id
        for run_id, owner, expires_at, attempt in held
        if _is_lost(owner, expires_at) and _lose(TableLease(run_id, owner), expires_at, attempt)
    ]


def _is_lost(owner: str, expires_at: datetime | None) -> bool:
    return expires_at is None or expires_at < clock.now() or owner_is_gone(owner=owner)


def _lose(lease: TableLease, expires_at: datetime | None, attempt: int) -> bool:
    """Whether it is to be tried again. One whose lease was renewed since it was looked at is not lost."""
    rows = lease.rows.filter(lease_expires_at=expires_at)
    logger.warning("table run %d: its worker was lost in attempt %d", lease.run_id, attempt)
    if attempt < ATTEMPTS_MAX:
        return bool(rows.update(lease_owner="", lease_expires_at=None, n_done=0))
    said = _("The worker that carried out this run was lost, in each of {n} attempts", n=attempt)
    status_update(rows, to=TableRunStatus.FAILED, failure=said, ended_at=clock.now())
    return False


def _keep(lease: TableLease, ended: threading.Event) -> None:
    try:
        while not ended.wait(RENEW_EVERY_S):
            try:
                lease.rows.update(lease_expires_at=_lease_end())
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the lease of table run %d is not renewed now: %s", lease.run_id, error)
                connection.close()
    finally:
        connection.close()


def _lease_end() -> datetime:
    return clock.now() + timedelta(seconds=LEASE_S)
