"""The right of one worker to one run (of a table, or an evaluation): taken anew for every attempt, kept by the clock,
fenced by its owner.

An owner is never one twice, so what a worker writes that lost its lease, and even took the run again, reaches nothing.
Called by the services of runs only: `tables`, `evaluations`, `run_sweep`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.models import F, Model, QuerySet

from jobs.services.owners import owner_is_gone, owner_new
from jobs.services.worker_state import worker_state
from mlplatform.core import clock
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

logger = logging.getLogger(__name__)
LEASE_S = 60
RENEW_EVERY_S = 5.0
LOOK_EVERY_S = 1.0
ATTEMPTS_MAX = 3


@dataclass(frozen=True)
class RunKind:
    """A table of runs, with the columns `status`, `attempt`, `lease_owner`, `lease_expires_at`, `failure`, `created_at`
    and `ended_at`.

    Args:
        title: What a run is, for the log.
        task, queue: The message that has a worker take it, and where it is sent.
        in_progress, failed: Its statuses.
        stopping, stopped: Those of a run that can be stopped.
        fresh: Columns of progress as every attempt begins.
        where: What the rows of this kind have in common, where a table has several kinds.
        failed_as: What the column `failure` has for words of ours.
    """

    table: type[Model]
    title: str
    task: str
    queue: str
    in_progress: StrEnum
    failed: StrEnum
    stopping: StrEnum | None = None
    stopped: StrEnum | None = None
    fresh: Mapping[str, Any] = field(default_factory=dict)
    where: Mapping[str, Any] = field(default_factory=dict)
    failed_as: Callable[[str], Any] = field(default=lambda said: said)

    @property
    def rows(self) -> QuerySet[Any]:
        return self.table._default_manager.order_by().filter(**self.where)

    @property
    def waiting(self) -> QuerySet[Any]:
        """Runs that nobody has taken."""
        return self.rows.filter(status=self.in_progress, lease_owner="")

    @property
    def under_way(self) -> QuerySet[Any]:
        """Runs that have not ended."""
        held = [status for status in (self.in_progress, self.stopping) if status is not None]
        return self.rows.filter(status__in=held)

    @property
    def owned(self) -> QuerySet[Any]:
        """Runs that have not ended and that a worker has."""
        return self.under_way.exclude(lease_owner="")


@dataclass(frozen=True)
class RunLease:
    """One attempt at one run."""

    kind: RunKind
    run_id: int
    owner: str

    @property
    def rows(self) -> QuerySet[Any]:
        """The run, as long as it is this attempt's; every write of the attempt goes through it."""
        return self.kind.owned.filter(pk=self.run_id, lease_owner=self.owner)

    @property
    def is_over(self) -> bool:
        """Whether the run is to be stopped, or is this attempt's no more."""
        return not self.rows.filter(status=self.kind.in_progress).exists()


def run_lease_take(*, kind: RunKind, run_id: int, **values: Any) -> RunLease | None:
    """Takes a run that nobody has, with `values` for its other columns; None if there is none."""
    lease = RunLease(kind, run_id, owner_new(worker_name=worker_state().name))
    taken = kind.waiting.filter(pk=run_id).update(
        lease_owner=lease.owner,
        lease_expires_at=_lease_end(),
        attempt=F("attempt") + 1,
        **kind.fresh,
        **values,
    )
    return lease if taken else None


def run_lease_release(*, lease: RunLease) -> bool:
    """Gives the run back, to be taken by anybody; one that is to be stopped is stopped. Whether it was given."""
    given = _give_back(lease.rows, lease.kind)
    _stops_end(lease.kind)
    return given


@contextmanager
def run_lease_kept(*, lease: RunLease) -> Iterator[threading.Event]:
    """Renews the lease in a thread of its own, however long reading, an answer or the store may take.

    Gives an event that is set within seconds once the run is to be stopped, or is this attempt's no more.
    """
    over, ended = threading.Event(), threading.Event()
    keeper = threading.Thread(
        target=_keep, args=(lease, over, ended), name=f"{lease.kind.title} {lease.run_id}", daemon=True
    )
    keeper.start()
    try:
        yield over
    finally:
        ended.set()
        keeper.join()


def run_leases_sweep(*, kind: RunKind) -> list[int]:
    """Takes runs from workers that are gone. Those to be tried again; after the last attempt a run is Failed, and one
    that was to be stopped is Stopped.
    """
    now = clock.now()
    # Longer than any lease is one from before the clock was set back; its worker, if it lives, renews it as ever.
    kind.owned.filter(lease_expires_at__gt=now + timedelta(seconds=2 * LEASE_S)).update(
        lease_expires_at=_lease_end()
    )
    held = kind.owned.values_list("pk", "lease_owner", "lease_expires_at", "attempt")
    again = [
        run_id
        for run_id, owner, expires_at, attempt in held
        if _is_lost(owner, expires_at) and _lose(RunLease(kind, run_id, owner), expires_at, attempt)
    ]
    _stops_end(kind)
    return again


def _is_lost(owner: str, expires_at: datetime | None) -> bool:
    return expires_at is None or expires_at < clock.now() or owner_is_gone(owner=owner)


def _lose(lease: RunLease, expires_at: datetime | None, attempt: int) -> bool:
    """Whether it is to be tried again. One whose lease was renewed since it was looked at is not lost."""
    rows = lease.rows.filter(lease_expires_at=expires_at)
    logger.warning("%s %d: its worker was lost in attempt %d", lease.kind.title, lease.run_id, attempt)
    if attempt < ATTEMPTS_MAX:
        return _give_back(rows, lease.kind)
    said = _("The worker that carried out this run was lost, in each of {n} attempts", n=attempt)
    going_on = rows.filter(status=lease.kind.in_progress)
    status_update(going_on, to=lease.kind.failed, failure=lease.kind.failed_as(said), ended_at=clock.now())
    _give_back(rows, lease.kind)
    return False


def _give_back(rows: QuerySet[Any], kind: RunKind) -> bool:
    """Leaves the run without an owner. Whether it is one to be tried again: one to be stopped is not."""
    free = {"lease_owner": "", "lease_expires_at": None}
    if rows.filter(status=kind.in_progress).update(**free, **kind.fresh):
        return True
    if kind.stopping is not None:
        rows.filter(status=kind.stopping).update(**free)
    return False


def _stops_end(kind: RunKind) -> None:
    """Ends the runs that are to be stopped and that no worker has."""
    if kind.stopping is not None and kind.stopped is not None:
        left = kind.rows.filter(status=kind.stopping, lease_owner="")
        status_update(left, to=kind.stopped, ended_at=clock.now())


def _keep(lease: RunLease, over: threading.Event, ended: threading.Event) -> None:
    renew_at = time.monotonic() + RENEW_EVERY_S
    try:
        while not ended.wait(LOOK_EVERY_S):
            try:
                if lease.is_over:
                    over.set()
                if time.monotonic() >= renew_at:
                    lease.rows.update(lease_expires_at=_lease_end())
                    renew_at = time.monotonic() + RENEW_EVERY_S
            except (DatabaseError, InterfaceError) as error:
                logger.warning(
                    "the lease of %s %d is not renewed now: %s", lease.kind.title, lease.run_id, error
                )
                connection.close()
    finally:
        connection.close()


def _lease_end() -> datetime:
    return clock.now() + timedelta(seconds=LEASE_S)
