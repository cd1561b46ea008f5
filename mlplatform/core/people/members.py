"""Members of a project: add, change role, remove. A project always keeps at least one administrator."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction

from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, InvalidRequest, NotFound
from mlplatform.core.models import Membership, Project, Role
from mlplatform.core.people.access import Actor, project_lock
from mlplatform.core.revisions import revision_bump
from mlplatform.core.text import text as _


def member_list(*, actor: Actor) -> list[Membership]:
    return list(
        Membership.objects.select_related("user").filter(project=actor.project).order_by("user__username")
    )


def member_set(*, actor: Actor, username: str, role: str) -> Membership:
    """Adds a user to the project or changes the role. Needs administrator."""
    actor.require(Role.ADMIN)
    if role not in Role.values:
        raise InvalidRequest.for_field(
            "role",
            _(
                "{value} is not a role; use {accepted}",
                value=repr(role[:40]),
                accepted=", ".join(Role.values),
            ),
        )
    user = User.objects.filter(username=username, is_active=True).first()
    if user is None:
        raise InvalidRequest.for_field(
            "username",
            _(
                "there is no user {name}; an operator adds users in the admin console",
                name=repr(username[:80]),
            ),
        )
    with transaction.atomic():
        project_lock(actor.project)
        before = (
            Membership.objects.filter(project=actor.project, user=user).values_list("role", flat=True).first()
        )
        membership, _created = Membership.objects.update_or_create(
            project=actor.project, user=user, defaults={"role": role}
        )
        _keep_an_administrator(actor.project)
        revision_bump()
        audit_record(
            actor=actor, action="member.set", target=username, detail={"role": role, "before": before}
        )
    return membership


def member_remove(*, actor: Actor, username: str) -> None:
    """Takes a user out of the project; their keys stop working at once. Needs administrator."""
    actor.require(Role.ADMIN)
    with transaction.atomic():
        project_lock(actor.project)
        deleted, _by_table = Membership.objects.filter(
            project=actor.project, user__username=username
        ).delete()
        if not deleted:
            raise NotFound(_("{name} is not a member of this project", name=repr(username[:80])))
        _keep_an_administrator(actor.project)
        revision_bump()
        audit_record(actor=actor, action="member.remove", target=username)


def _keep_an_administrator(project: Project) -> None:
    if not Membership.objects.filter(project=project, role=Role.ADMIN).exists():
        raise Conflict(
            _("A project needs at least one administrator; make somebody else administrator first")
        )
