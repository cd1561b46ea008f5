"""What the REST face refuses for the caller's role goes to the audit log, by the name of the operation."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.views import APIView

from mlplatform.core.audit.record import audit_refuse
from mlplatform.core.people.access import Actor


def refusal_audit(*, request: Request, view: APIView) -> None:
    """Called after the view's transaction was rolled back; nothing for a caller whom nobody knows."""
    actor: Any = getattr(request, "actor", None)
    user: Any = request.user
    if not isinstance(actor, Actor) and not isinstance(user, User):
        return
    named = (view.kwargs.get(place) for place in ("name", "username", "key_id"))
    audit_refuse(
        actor=actor,
        user=user,
        action=action_of(view, str(request.method)),
        target=str(next((name for name in named if name), "")),
    )


def action_of(view: APIView, method: str) -> str:
    """`training_job_create` is audited as `training_job.create`, as its service does."""
    described = getattr(getattr(view, method.lower(), None), "operation", None)
    entity, _, verb = (described.id if described else "request_refuse").rpartition("_")
    return f"{entity}.{verb}"
