"""For tests that no act goes without its event, and no event without its act."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection

from mlplatform.core.models import AuditEvent
from tests.databases import writes_refused

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
    with writes_refused(
        {"audit_log_broken": ""},
        on="BEFORE INSERT",
        table="core_auditevent",
        message="the audit log is broken",
    ):
        yield
