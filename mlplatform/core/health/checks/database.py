"""The database: whether it answers, and whether its tables are those of this program. Each kind has its own module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.db import Error as DatabaseError
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from mlplatform.core.amounts import latency_text
from mlplatform.core.env import env_text
from mlplatform.core.health.checks.postgres import postgres_findings
from mlplatform.core.health.checks.sqlite import first_line, sqlite_findings, sqlite_path
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.outages import outage_of
from mlplatform.core.health.probes import database_missing, database_probe, database_write_probe
from mlplatform.core.startup.refusals import postgres_refusal
from mlplatform.core.storage.faults import (
    DATABASE,
    is_disk_full,
    is_read_only,
    storage_full,
    storage_read_only,
)
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

CHECK: Final = "database"
SLOW_MS: Final = 250.0


@doctor_check(CHECK, title=_("Database"))
def database_check() -> Iterator[Finding]:
    missing = database_missing()
    if missing is not None:
        said = _("There is no database {path}", path=str(missing))
        remedy = _(
            "`.venv/bin/python manage.py up` makes one at its first start; or restore a backup to that place."
        )
        yield Finding(CHECK, Level.FAILED, said, remedy)
        return
    try:
        latency_ms = database_probe()
    except DatabaseError as error:
        yield _away(error)
        return
    kind = sqlite_findings if connection.vendor == "sqlite" else postgres_findings
    found = [*_migrations(), *_slow(latency_ms), *kind(latency_ms)]
    wrong = [finding for finding in found if finding.level != Level.OK]
    if not wrong:
        wrong = list(_written())
    yield from wrong or found


@doctor_check("database_integrity", title=_("Database, every page"), reads_database=True, deep=True)
def database_integrity_check() -> Iterator[Finding]:
    """Reads the whole file. Postgres keeps checksums of its own."""
    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(3)")
        told = [str(row[0]) for row in cursor.fetchall()]
    if told == ["ok"]:
        yield Finding("database_integrity", Level.OK, _("SQLite's quick_check found nothing wrong"))
        return
    yield Finding(
        "database_integrity",
        Level.FAILED,
        _("SQLite's quick_check says: {said}", said="; ".join(told)[:300]),
        _("Stop the platform, keep a copy of the file, and restore the last backup (docs/operations.md)."),
    )


def _away(error: DatabaseError) -> Finding:
    if is_disk_full(error):
        full = storage_full(DATABASE)
        return Finding(
            CHECK, Level.FAILED, _("The database cannot be opened: its disk is full"), full.message
        )
    if is_read_only(error):
        read_only = storage_read_only(DATABASE)
        return Finding(
            CHECK, Level.FAILED, _("The database cannot be opened: its disk is read-only"), read_only.message
        )
    if connection.vendor == "sqlite":
        said = _("The database {path} cannot be opened: {error}", path=sqlite_path(), error=first_line(error))
        remedy = _(
            "See who owns the file and its folder (`ls -l`), and that the disk is not full or read-only; what is "
            "damaged is restored from a backup (docs/operations.md)."
        )
        return Finding(CHECK, Level.FAILED, said, remedy)
    host = str(connection.settings_dict.get("HOST") or "localhost")
    words, passes = postgres_refusal(str(error), env_text("DATABASE_URL"))
    if not passes:
        said = _("The database server on {host} lets nobody in: {reason}", host=host, reason=words)
        remedy = _(
            "Correct DATABASE_URL of every process, or what the server lets its user do, then start them again."
        )
        return Finding(CHECK, Level.FAILED, said, remedy)
    said = _("The database server on {host} does not answer ({error})", host=host, error=words)
    remedy = _(
        "Start it there (`systemctl start postgresql`), then check DATABASE_URL, its password and the network. The "
        "platform goes on by itself when it is back: running jobs keep what they print meanwhile."
    )
    return Finding(CHECK, Level.FAILED, said, remedy)


def _written() -> Iterator[Finding]:
    try:
        database_write_probe()
    except DatabaseError as error:
        fault = outage_of(error)
        said = _("The database can be read but takes no writes: {error}", error=first_line(error))
        remedy = fault.message if fault else _("The platform's own log has the whole error.")
        yield Finding(CHECK, Level.FAILED, said, remedy)


def _migrations() -> Iterator[Finding]:
    loader = MigrationLoader(connection)
    known = set(loader.disk_migrations)
    applied = set(loader.applied_migrations)
    ours = {app for app, _name in known}
    missing = sorted(f"{app}.{name}" for app, name in known - applied)
    unknown = sorted(f"{app}.{name}" for app, name in applied - known if app in ours)
    if missing:
        yield Finding(
            CHECK,
            Level.FAILED,
            _("{n} changes of the tables are not applied: {names}", n=len(missing), names=_listed(missing)),
            _("`.venv/bin/python manage.py migrate`, then restart every process of the platform."),
        )
    if unknown:
        yield Finding(
            CHECK,
            Level.WARNING,
            _("The tables are newer than this program: it does not know {names}", names=_listed(unknown)),
            _(
                "Run the same version of the platform on every machine; going back needs the backup of that version."
            ),
        )


def _slow(latency_ms: float) -> Iterator[Finding]:
    if latency_ms > SLOW_MS:
        yield Finding(
            CHECK,
            Level.WARNING,
            _("The database took {latency} for the smallest query", latency=latency_text(latency_ms)),
            _("Look at the load of its machine and disk (`top`, `iostat`)."),
        )


def _listed(names: list[str]) -> Text | str:
    if len(names) <= 4:
        return ", ".join(names)
    return _("{names} and {n} more", names=", ".join(names[:4]), n=len(names) - 4)


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
