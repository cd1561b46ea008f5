"""What a fault of the database or of a disk is told as, where no service has said it already. Called by the faces.

Whatever a request was doing when the database went away or a disk was full, its sender gets 503 or 507 with what to do,
and not the answer for a bug of ours.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection
from django.db import Error as DatabaseFault

from mlplatform.core.errors import InvalidRequest, PlatformError, TransientError
from mlplatform.core.storage.faults import DATABASE, storage_fault, storage_full, storage_read_only
from mlplatform.core.text import text as _

_BUGS: Final = ("no such table", "no such column", "does not exist", "syntax error")
_NUL: Final = ("NUL", r"\u0000")
"""In a text, and in JSON, such as the name of a column."""
_IMPATIENT_MS: Final = 250
_RETRY_S: Final = 0.5
T = TypeVar("T")


class DatabaseAway(TransientError):
    """The database cannot be reached, or is locked for longer than anybody waits."""


def outage_of(error: BaseException | None) -> PlatformError | None:
    """The error to tell a person; None for what is no outage, nor a text that Postgres takes nowhere."""
    if error is None:
        return None
    if isinstance(error, OSError):
        return storage_fault(error)
    if isinstance(error, DatabaseFault):
        return _of_database(error)
    return None


def is_outage(error: BaseException | None) -> bool:
    """Whether it passes: the same may be tried again."""
    return isinstance(outage_of(error), TransientError)


def patiently(write: Callable[[], T], *, within_s: float) -> T:
    """What `write` answers; while the database is away it is tried again, for so long at most.

    A write whose commit succeeded although the answer was lost is made twice: it must be one that allows it.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            return write()
        except DatabaseFault as error:
            connection.close()
            if not is_outage(error) or time.monotonic() > until:
                raise
            time.sleep(_RETRY_S)


def is_database_away(error: BaseException | None) -> bool:
    """Whether reading may fail as well, so that an error's page must do without the database."""
    return isinstance(error, DatabaseAway)


@contextmanager
def impatient() -> Iterator[None]:
    """Inside, a write waits a quarter of a second for a lock at most: for writes that are not worth waiting for."""
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        patience_ms = int(cursor.fetchone()[0])
        cursor.execute(f"PRAGMA busy_timeout = {_IMPATIENT_MS}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {patience_ms}")


def _of_database(error: DatabaseFault) -> PlatformError | None:
    said = str(error)
    if "disk is full" in said:
        return storage_full(DATABASE)
    if "readonly database" in said:
        return storage_read_only(DATABASE)
    fault = storage_fault(error, DATABASE)  # Postgres repeats the system's words
    if fault is not None:
        return fault
    if isinstance(error, DataError) and any(nul in said for nul in _NUL):
        return InvalidRequest(_("A text has the character NUL in it, which none may have"))
    if isinstance(error, IntegrityError | DataError) or any(bug in said for bug in _BUGS):
        return None
    if isinstance(error, OperationalError | InterfaceError):
        return DatabaseAway(
            _(
                "The database does not answer at the moment, or is busy for too long. Whether this was done is not "
                "certain: look before you do it again"
            )
        )
    return None
