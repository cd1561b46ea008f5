"""What the floor keeps: the sweep of tombstones, how long its own rows stay, and its folders that may have leftovers.

Registered when Django starts, before the rooms above.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import QuerySet

from mlplatform.core import clock
from mlplatform.core.keeping.leftovers import leftovers
from mlplatform.core.keeping.orphans import orphans_sweep
from mlplatform.core.keeping.retention import PAUSE_S, retention
from mlplatform.core.keeping.sweeps import Swept, sweep
from mlplatform.core.keeping.tombstones import BATCH, LEASE_S, tombstones_carry_out
from mlplatform.core.models import (
    AuditEvent,
    IdempotentRequest,
    ObjectTombstone,
    Session,
    SignInThrottle,
)
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import files_below, is_staged
from mlplatform.core.text import text as _

__all__ = ["orphans_sweep"]
TOMBSTONES_EVERY_S = 2
"""While some are due; the first of them within five seconds, as with all that nobody waits for."""
FREE_PAGES_KEPT = 2_500
"""Ten megabytes of a SQLite file, ready for the next rows."""
VACUUM_PAGES = 1_000
VACUUM_S = 5.0
_INCREMENTAL = 2


def _tombstones_due() -> bool:
    return ObjectTombstone.objects.filter(due_at__lte=clock.now()).exists()


@sweep("tombstones", every_s=TOMBSTONES_EVERY_S, lease_s=LEASE_S, wanted=_tombstones_due)
def tombstones_sweep() -> Swept:
    """Carries out what is due; a store that is away is asked again with growing pauses, for ever."""
    carried = tombstones_carry_out()
    return Swept(carried.n_deleted, again=carried.n_taken >= BATCH and not carried.n_failed)


@sweep("database", every_s=3600, wanted=lambda: connection.vendor == "sqlite")
def database_sweep() -> Swept:
    """Gives pages of a SQLite file that removals left free back to the disk, a few at a time so that others write."""
    until = time.monotonic() + VACUUM_S
    n_freed, n_free = 0, _pragma("freelist_count") if _pragma("auto_vacuum") == _INCREMENTAL else 0
    while n_free > FREE_PAGES_KEPT:
        # As a script: a statement is stepped once only, which frees a single page.
        connection.connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
        freed, n_free = n_free - _pragma("freelist_count"), _pragma("freelist_count")
        n_freed += max(0, freed)
        if freed <= 0:
            break
        if time.monotonic() > until:
            return Swept(n_freed, again=True)
        time.sleep(PAUSE_S)
    return Swept(n_freed)


@retention("sessions", title=_("Sessions that have expired"))
def sessions_remove(before: datetime, limit: int) -> int:
    return _remove(Session.objects.filter(expire_date__lt=before), limit)


@retention("sign_in_throttles", title=_("Counts of failed sign-ins"))
def sign_in_throttles_remove(before: datetime, limit: int) -> int:
    return _remove(SignInThrottle.objects.filter(forget_at__lt=before), limit)


@retention("idempotent_requests", title=_("Answers to repeated requests"), fixed_days=1)
def idempotent_requests_remove(before: datetime, limit: int) -> int:
    return _remove(IdempotentRequest.objects.filter(created_at__lt=before), limit)


@retention("audit_events", title=_("Audit log"), setting="MLPLATFORM_KEEP_AUDIT_DAYS")
def audit_events_remove(before: datetime, limit: int) -> int:
    return _remove(AuditEvent.objects.filter(at__lt=before), limit)


@leftovers("staging")
def staging() -> Iterator[Path]:
    """Uploads and other temporary files of requests; whatever is in use is younger than the grace time."""
    folder = Path(settings.DATA_DIR) / "tmp"
    if folder.is_dir():
        yield from folder.iterdir()


@leftovers("process logs")
def process_logs() -> Iterator[Path]:
    """Files an operator or a process has put into `logs/`, when logs are no longer kept."""
    oldest = time.time() - settings.MLPLATFORM_KEEP_LOGS_DAYS * 86400
    if settings.MLPLATFORM_KEEP_LOGS_DAYS > 0:
        for path, status in files_below(Path(settings.DATA_DIR) / "logs"):
            if status.st_mtime < oldest:
                yield path


@leftovers("half-written objects")
def half_written_objects() -> Iterator[Path]:
    """Files of a store that is a folder whose writer died before it gave them their name."""
    folder = object_store().folder
    if folder is not None:
        yield from (path for path, _status in files_below(folder) if is_staged(path.name))


def _remove(rows: QuerySet[Any], limit: int) -> int:
    keys = list(rows.order_by().values_list("pk", flat=True)[:limit])
    n_removed: int = rows.model._default_manager.filter(pk__in=keys).delete()[0]
    return n_removed


def _pragma(name: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return int(cursor.fetchone()[0])
