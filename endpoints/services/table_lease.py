"""The right of one worker to one table run: taken once, kept by the clock and not by what the run's process prints.

Called by `endpoints.services.tables` only.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connection

from endpoints.models import TableRun
from mlplatform.core import clock
from mlplatform.core.status import TableRunStatus

logger = logging.getLogger(__name__)
LEASE_S = 60
RENEW_EVERY_S = 5.0


def table_lease_take(*, run_id: int) -> bool:
    """Takes a run that nobody has; False if there is none."""
    free = TableRun.objects.filter(
        pk=run_id, status=TableRunStatus.IN_PROGRESS, lease_expires_at__isnull=True
    )
    return bool(free.update(lease_expires_at=_lease_end()))


@contextmanager
def table_lease_kept(*, run_id: int) -> Iterator[None]:
    """Renews the lease in a thread of its own, however long reading, an answer or the store may take."""
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(run_id, ended), name=f"table-run-{run_id}", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        ended.set()
        keeper.join()


def _keep(run_id: int, ended: threading.Event) -> None:
    mine = TableRun.objects.filter(pk=run_id, status=TableRunStatus.IN_PROGRESS)
    try:
        while not ended.wait(RENEW_EVERY_S):
            try:
                mine.update(lease_expires_at=_lease_end())
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the lease of table run %d is not renewed now: %s", run_id, error)
                connection.close()
    finally:
        connection.close()


def _lease_end() -> datetime:
    return clock.now() + timedelta(seconds=LEASE_S)
