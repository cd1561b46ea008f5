"""What a Postgres server suffers from: age, standby, too many connections, transactions that nobody ends.

Called by the check of the database.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.db import connection

from mlplatform.core.amounts import latency_text, time_text
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.text import text as _

CHECK: Final = "database"
IDLE_TRANSACTION_S: Final = 300
OLDEST: Final = 14
CONNECTIONS_NEAR: Final = 0.8


def postgres_findings(latency_ms: float) -> Iterator[Finding]:
    """What is wrong with the server; or that it is in order."""
    version = _value("SHOW server_version")
    n_used = int(_value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    n_limit = int(_value("SHOW max_connections"))
    wrong = [
        *_old(version),
        *_standby(),
        *_crowded(n_used, n_limit),
        *_idle_transactions(),
    ]
    if not wrong:
        yield Finding(
            CHECK,
            Level.OK,
            _(
                "Postgres {version} answered in {latency}; {n} of {limit} connections in use",
                version=version.split(" ")[0],
                latency=latency_text(latency_ms),
                n=n_used,
                limit=n_limit,
            ),
        )
    yield from wrong


def _old(version: str) -> Iterator[Finding]:
    if int(version.split(".")[0]) < OLDEST:
        yield Finding(
            CHECK,
            Level.WARNING,
            _("Postgres {version} is older than {oldest}", version=version, oldest=OLDEST),
            _("Upgrade the database server."),
        )


def _standby() -> Iterator[Finding]:
    if _value("SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'"):
        yield Finding(
            CHECK,
            Level.FAILED,
            _("The database server takes no writes: it is a standby, or set to read-only"),
            _("Point DATABASE_URL at the primary server, or promote this one (`pg_ctl promote`)."),
        )


def _crowded(n_used: int, n_limit: int) -> Iterator[Finding]:
    if n_used >= CONNECTIONS_NEAR * n_limit:
        yield Finding(
            CHECK,
            Level.WARNING,
            _("{n} of {limit} connections of the database server are in use", n=n_used, limit=n_limit),
            _("Raise max_connections in postgresql.conf, or put PgBouncer (session mode) in front."),
        )


def _idle_transactions() -> Iterator[Finding]:
    oldest_s = _value(
        "SELECT coalesce(extract(epoch FROM max(clock_timestamp() - xact_start)), 0) FROM pg_stat_activity "
        "WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    if float(oldest_s) > IDLE_TRANSACTION_S:
        yield Finding(
            CHECK,
            Level.WARNING,
            _(
                "A connection has been idle in a transaction for {time}: it may hold locks",
                time=time_text(float(oldest_s)),
            ),
            _(
                "Find it with `SELECT pid, query FROM pg_stat_activity WHERE state = 'idle in transaction'` and end it."
            ),
        )


def _value(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0]
