"""The audit log's way in: who did what, when and from where. Services call `audit_record` in their own transaction.

There is no act without its event and no event without its act, because both are one commit. Where an act comes from
(address, face, request) is in a context variable that `mlplatform.core.audit.middleware` sets for every request; what
runs without a request is a command. Invocations of endpoints are traffic and not audited. Reading: `audit_log`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User

from mlplatform.core import clock
from mlplatform.core.models import AuditEvent, AuditOutcome, Project

if TYPE_CHECKING:
    # At run time a circle: keys and projects are audited too.
    from mlplatform.core.people.access import Actor

REFUSALS_EVERY = timedelta(minutes=1)
"""The same refusal of the same person is kept once in this time, so that nobody can fill the log with them."""
REFUSALS_MAX = 60
"""So many in this time of one person at one address are kept with what they were about; of more, only the actions."""
OPERATOR = "operator"
"""Who acts from the command line: whoever has the machine, and no user of the platform."""


class Face(StrEnum):
    """By which way somebody acts; by the scheduler, where the platform goes on with what they have asked for."""

    WEB = "web"
    API = "api"
    ADMIN = "admin"
    COMMAND = "command"
    SCHEDULER = "scheduler"


@dataclass(frozen=True)
class Origin:
    """Where an act comes from. `user` is asked for whom the request is signed in as, if an act does not say."""

    face: Face = Face.COMMAND
    address: str | None = None
    request_id: str = ""
    user: Callable[[], User | None] = lambda: None


_COMMAND = Origin()
_origin: ContextVar[Origin] = ContextVar("audit_origin", default=_COMMAND)


def origin_now() -> Origin:
    return _origin.get()


@contextmanager
def audit_origin(origin: Origin) -> Iterator[None]:
    """Everything inside comes from `origin`."""
    before = _origin.get()
    _origin.set(origin)
    try:
        yield
    finally:
        _origin.set(before)


def audit_record(
    *,
    actor: Actor | None = None,
    action: str,
    target: str = "",
    outcome: AuditOutcome = AuditOutcome.DONE,
    detail: Mapping[str, Any] | None = None,
    user: User | None = None,
    project: Project | None = None,
) -> None:
    """Writes one event, in the transaction of the act.

    Args:
        actor: Who acts in a project; else `user`, or whoever the request is signed in as.
        action: `<entity>.<verb>`, as the service's name has them: `training_job.create`.
        target: Name of what is acted on.
        detail: What was changed, in words and numbers that may be shown. Never a secret, nor a value that may be one.
        user, project: For an act without an actor.
    """
    origin = _origin.get()
    who = actor.user if actor else user or origin.user()
    where = actor.project if actor else project
    nobody = OPERATOR if origin.face is Face.COMMAND else ""
    AuditEvent.objects.create(
        at=clock.now(),
        action=action,
        target=_clean(target, 200),
        outcome=outcome,
        user_id=who.pk if who else None,
        username=_clean(who.get_username(), 150) if who else nobody,
        key_id=actor.key.key_id if actor and actor.key else "",
        project_id=where.pk if where else None,
        project_name=where.name if where else "",
        address=origin.address,
        face=origin.face.value,
        request_id=origin.request_id[:64],
        detail=dict(detail or {}),
    )


def audit_refuse(
    *, action: str, target: str = "", actor: Actor | None = None, user: User | None = None, reason: str = ""
) -> None:
    """Writes that somebody tried what they may not; the same again within a minute is not written again.

    Called by the faces, after the transaction of what was tried has been rolled back.
    """
    who = actor.user if actor else user
    recent = AuditEvent.objects.filter(
        at__gt=clock.now() - REFUSALS_EVERY,
        outcome=AuditOutcome.REFUSED,
        user_id=who.pk if who else None,
        address=_origin.get().address,
    )
    if recent.count() >= REFUSALS_MAX:
        target = ""
    project_id = actor.project.pk if actor else None
    if not recent.filter(action=action, target=_clean(target, 200), project_id=project_id).exists():
        audit_record(
            actor=actor,
            action=action,
            target=target,
            outcome=AuditOutcome.REFUSED,
            detail={"reason": reason} if reason else {},
            user=user,
        )


def _clean(text: str, limit: int) -> str:
    return text.replace("\0", "")[:limit]
