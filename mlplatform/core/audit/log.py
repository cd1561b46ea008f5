"""Reading the audit log: a project's administrators see their project's events, a page at a time or as a file.

Written by `mlplatform.core.audit.record`. Nothing here or anywhere changes an event; retention removes the oldest.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Q, QuerySet

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.models import AuditEvent, AuditOutcome, Role
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.spreadsheet import csv_chunks
from mlplatform.core.text import text as _

ORDERS: Final = {"at": "id"}
FORMATS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class AuditFilter:
    """Which events: of a user, of an action (`training_job.create`) or of all of an entity (`training_job`)."""

    user: str = ""
    action: str = ""
    outcome: str = ""
    search: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def __bool__(self) -> bool:
        return self != AuditFilter()


def audit_event_list(
    *,
    actor: Actor,
    wanted: AuditFilter | None = None,
    order: str = "-at",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[AuditEvent]:
    """A page of the project's events. Needs administrator.

    Raises:
        InvalidRequest: an unknown outcome or order, a limit or cursor that is wrong.
        AccessDenied.
    """
    events = _events(actor, wanted or AuditFilter())
    return page_of(events, orders=ORDERS, order=order, limit=limit, cursor=cursor)


def audit_event_export(*, actor: Actor, format: str, wanted: AuditFilter | None = None) -> Iterator[bytes]:
    """The project's events as a CSV file or a JSON array, the newest first, read in pieces. Raises as the list does."""
    if format not in FORMATS:
        raise InvalidRequest.for_field(
            "format",
            _(
                "{value} is not a format; use {accepted}",
                value=repr(format[:20]),
                accepted=", ".join(FORMATS),
            ),
        )
    rows = map(audit_event_row, _in_pieces(_events(actor, wanted or AuditFilter())))
    return _csv(rows) if format == "csv" else _json(rows)


def audit_event_row(event: AuditEvent) -> dict[str, Any]:
    """An event as clients and files have it."""
    return {
        "id": event.pk,
        "at": f"{event.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{event.at.microsecond // 1000:03d}Z",
        "action": event.action,
        "target": event.target,
        "outcome": event.outcome,
        "username": event.username,
        "key_id": event.key_id,
        "address": event.address,
        "face": event.face,
        "request_id": event.request_id,
        "detail": event.detail,
    }


def _events(actor: Actor, wanted: AuditFilter) -> QuerySet[AuditEvent]:
    actor.require(Role.ADMIN)
    events = AuditEvent.objects.filter(project_id=actor.project.pk)
    if wanted.outcome and wanted.outcome not in AuditOutcome.values:
        raise InvalidRequest.for_field(
            "outcome",
            _(
                "{value} is not an outcome; use {accepted}",
                value=repr(wanted.outcome[:20]),
                accepted=", ".join(AuditOutcome.values),
            ),
        )
    exact = {
        "username": wanted.user,
        "outcome": wanted.outcome,
        "at__gte": wanted.since,
        "at__lt": wanted.until,
    }
    events = events.filter(**{name: value for name, value in exact.items() if value})
    if wanted.action:
        whole = "action" if "." in wanted.action else "action__startswith"
        events = events.filter(**{whole: wanted.action if "." in wanted.action else f"{wanted.action}."})
    if wanted.search:
        part = wanted.search[:100]
        found = Q(target__icontains=part) | Q(username__icontains=part) | Q(request_id=part)
        events = events.filter(found | Q(address=part) if _is_address(part) else found)
    return events


def _is_address(text: str) -> bool:
    """Postgres takes nothing else for a column of addresses."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _in_pieces(events: QuerySet[AuditEvent]) -> Iterator[AuditEvent]:
    """All events, the newest first; a query per thousand, because a download may outlive a connection."""
    newest = events.order_by("-pk")
    piece = list(newest[:_BATCH])
    while piece:
        yield from piece
        piece = list(newest.filter(pk__lt=piece[-1].pk)[:_BATCH])


def _csv(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    names = list(audit_event_row(AuditEvent(at=datetime.fromtimestamp(0, UTC))))
    return csv_chunks(names, ([row[name] for name in names] for row in rows))


def _json(rows: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield b"["
    separator = b"\n"
    for row in rows:
        yield separator + json.dumps(row, ensure_ascii=False).encode()
        separator = b",\n"
    yield b"\n]\n"
