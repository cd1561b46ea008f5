"""What SQLite suffers from: network disks, a journal that others hold up, a lock that is not let go, no room.

Called by the check of the database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from django.db import connection

from mlplatform.core.amounts import latency_text, size_text
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.storage.faults import DATABASE, storage_read_only
from mlplatform.core.storage.file_systems import file_system_type
from mlplatform.core.text import text as _

CHECK: Final = "database"
WAL_LARGE_BYTES: Final = 256 * 1024**2
WRITE_LOCK_S: Final = 2.0
_NETWORK: Final = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "fuse.glusterfs", "ceph", "lustre")


def sqlite_findings(latency_ms: float) -> Iterator[Finding]:
    """What is wrong with the file, its journal and its locks; or that it is in order."""
    mode = _pragma("journal_mode")
    wal = Path(f"{sqlite_path()}-wal")
    wal_bytes = wal.stat().st_size if wal.exists() else 0
    wrong = [
        *_on_network_disk(),
        *_journal(mode, wal_bytes),
        *_write_lock(),
    ]
    if not wrong:
        yield Finding(
            CHECK,
            Level.OK,
            _(
                "SQLite {version} answered in {latency}, takes writes; {size}, write-ahead log {wal}",
                version=sqlite3.sqlite_version,
                latency=latency_text(latency_ms),
                size=size_text(Path(sqlite_path()).stat().st_size),
                wal=size_text(wal_bytes),
            ),
        )
    yield from wrong


def _on_network_disk() -> Iterator[Finding]:
    kind = file_system_type(Path(sqlite_path()))
    if kind.startswith(_NETWORK):
        yield Finding(
            CHECK,
            Level.FAILED,
            _("The SQLite database lies on a network disk ({kind}), where its locks do not hold", kind=kind),
            _(
                "Move the data directory to a disk of this machine, or use Postgres (DATABASE_URL, docs/operations.md)."
            ),
        )


def _journal(mode: str, wal_bytes: int) -> Iterator[Finding]:
    if mode != "wal":
        yield Finding(
            CHECK,
            Level.WARNING,
            _(
                "SQLite's journal mode is {mode} and not wal: readers and writers hold one another up",
                mode=mode,
            ),
            _(
                "Restart the platform; if it stays, the disk does not allow shared memory files: choose another one."
            ),
        )
    if wal_bytes > WAL_LARGE_BYTES:
        yield Finding(
            CHECK,
            Level.WARNING,
            _(
                "SQLite's write-ahead log has grown to {size}: a reader keeps it from being emptied",
                size=size_text(wal_bytes),
            ),
            _(
                "Restart the platform; `sqlite3 {path} 'PRAGMA wal_checkpoint(TRUNCATE)'` empties it.",
                path=sqlite_path(),
            ),
        )


def _write_lock() -> Iterator[Finding]:
    """Takes the write lock and lets it go: a connection of its own, because it waits for a shorter time."""
    try:
        with closing(sqlite3.connect(sqlite_path(), timeout=WRITE_LOCK_S, isolation_level=None)) as own:
            own.execute("BEGIN IMMEDIATE")
            own.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            yield Finding(
                CHECK,
                Level.FAILED,
                _(
                    "A process has held SQLite's write lock for more than {limit} s",
                    limit=f"{WRITE_LOCK_S:g}",
                ),
                _(
                    "`fuser {path}` names the processes that have it open: end the one that is not ours, such as a "
                    "backup.",
                    path=sqlite_path(),
                ),
            )
            return
        read_only = storage_read_only(DATABASE)
        said = _("SQLite takes no writes: {error}", error=first_line(error))
        yield Finding(CHECK, Level.FAILED, said, read_only.message)


def _pragma(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"PRAGMA {name}")
        return str(cursor.fetchone()[0])


def sqlite_path() -> str:
    return str(connection.settings_dict["NAME"])


def first_line(error: BaseException) -> str:
    """What a driver says, without its details."""
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__
