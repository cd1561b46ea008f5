"""The audit log: read-only, for administrators of the project."""

from __future__ import annotations

from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, page_response
from mlplatform.api.schema import operation
from mlplatform.api.serializers.audit import AuditEvent, AuditEventQuery
from mlplatform.api.serializers.lists import listed
from mlplatform.core.audit.log import AuditFilter, audit_event_list, audit_event_row

_PAGE = ("order", "limit", "cursor")


class AuditEventListView(ApiView):
    tag = "audit log"
    access = {"GET": Rule.ADMIN}

    @operation(
        "audit_event_list", "Who did what, the newest first", answer=listed(AuditEvent), query=AuditEventQuery
    )
    def get(self, request: Request, project: str) -> Response:
        """Every change in the project, and every one that a role refused. Predictions are not in it."""
        asked: dict[str, Any] = self.query(AuditEventQuery)
        place = {name: asked.pop(name) for name in _PAGE}
        page = audit_event_list(actor=self.actor, wanted=AuditFilter(**asked), **place)
        return page_response(page, audit_event_row)
