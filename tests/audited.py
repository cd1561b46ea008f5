"""For tests that no act goes without its event, and no event without its act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection

from mlplatform.core.models import AuditEvent

_NOT_ACTS = {
    "core_session",
    "core_auditevent",
    "core_idempotentrequest",
    "core_objecttombstone",
    "django_admin_log",
    "sqlite_sequence",
}
"""Sessions move with every request; a tombstone is how what was half made is taken back."""


def newest_event_id() -> int:
    return AuditEvent.objects.order_by("-pk").values_list("pk", flat=True).first() or 0


def events_after(event_id: int) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(pk__gt=event_id).order_by("pk"))


def everything() -> dict[str, list[Any]]:
    """All rows of all tables that acts change."""
    rows: dict[str, list[Any]] = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table not in _NOT_ACTS:
                cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
                rows[table] = sorted(cursor.fetchall(), key=repr)
    return rows


@contextmanager
def audit_log_broken() -> Iterator[None]:
    """Every attempt to write an event fails in the database itself."""
    if connection.vendor != "sqlite":
        pytest.skip("breaks the table by a trigger of SQLite")
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER audit_log_broken BEFORE INSERT ON core_auditevent"
            " BEGIN SELECT RAISE(ABORT, 'the audit log is broken'); END"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER audit_log_broken")
