"""Pages of the audit log: a project's events for its administrators, and the same as a file."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_GET

from mlplatform.core import clock
from mlplatform.core.audit.log import FORMATS, AuditFilter, audit_event_export, audit_event_list
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.models import AuditOutcome, Role
from mlplatform.core.people.members import member_list
from mlplatform.core.text import text as _
from mlplatform.web.access import page_actor
from mlplatform.web.audit_words import action_options
from mlplatform.web.preferences import page_settings
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import search_text

_YEARS = range(2000, 2200)


@require_GET
def audit_event_list_page(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    wanted = _filter(request)
    context = {
        "page": audit_event_list(actor=actor, wanted=wanted, cursor=request.GET.get("cursor")),
        "filtered": bool(wanted),
        "members": [member.user.get_username() for member in member_list(actor=actor)],
        "outcomes": AuditOutcome.choices,
        "action_groups": action_options(),
        "zone": page_settings(request).time_zone or "UTC",
    }
    return page_response(request, "audit/list.html", context)


@require_GET
def audit_event_download(request: HttpRequest, project: str) -> HttpResponseBase:
    actor = page_actor(request, project)
    actor.require(Role.ADMIN)
    format = request.GET.get("format", "csv")
    chunks = audit_event_export(actor=actor, format=format, wanted=_filter(request))
    filename = f"audit-{actor.project.name}-{clock.now():%Y%m%d}.{format}"
    return DownloadResponse(chunks, filename=filename, content_type=FORMATS[format])


def _filter(request: HttpRequest) -> AuditFilter:
    """The filter of the query string; days are those of the time zone in the preferences, else of UTC."""
    zone = zoneinfo.ZoneInfo(page_settings(request).time_zone or "UTC")
    until = _day(request, "until")
    return AuditFilter(
        user=request.GET.get("user", "").strip(),
        action=request.GET.get("action", "").strip(),
        outcome=request.GET.get("outcome", ""),
        search=search_text(request.GET),
        since=_midnight(_day(request, "since"), zone),
        until=_midnight(until and until + timedelta(days=1), zone),
    )


def _day(request: HttpRequest, name: str) -> date | None:
    given = request.GET.get(name, "").strip()
    if not given:
        return None
    try:
        day = date.fromisoformat(given)
    except ValueError:
        day = None
    if day is None or day.year not in _YEARS:
        raise InvalidRequest.for_field(
            name, _("{value} is not a day; use one such as 2026-01-31", value=repr(given[:20]))
        )
    return day


def _midnight(day: date | None, zone: tzinfo) -> datetime | None:
    return datetime.combine(day, time(), zone).astimezone(UTC) if day else None
