"""Who calls the REST face, and whether the view's rule lets them in. Deny by default.

Every view declares `access`: a `Rule` per method. A method without a rule is refused for everybody; a test
walks the URL table for routes without one. The views find the admitted member as `request.actor`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from mlplatform.core import clock
from mlplatform.core.audit.middleware import client_address
from mlplatform.core.errors import AccessDenied, NotAuthenticated, NotFound
from mlplatform.core.models import AccessKey, Membership, Role
from mlplatform.core.people.access import Actor, actor_for_user, operator_require
from mlplatform.core.people.key_attempts import actor_for_token
from mlplatform.core.people.sessions import session_goes_on
from mlplatform.core.text import text as _

if TYPE_CHECKING:
    # At run time a circle: the framework's views load this module as a setting.
    from rest_framework.views import APIView

BEARER = "Bearer"
_HOW = _("use Authorization: Bearer <key id>.<secret>")


class Rule(Enum):
    """Who may use one method of one route."""

    PUBLIC = "public"
    SIGNED_IN = "signed in"
    OPERATOR = "operator"
    VIEWER = Role.VIEWER.value
    EDITOR = Role.EDITOR.value
    ADMIN = Role.ADMIN.value

    @property
    def role(self) -> Role | None:
        """The role needed in the project of the path; None where the path has no project."""
        return None if self in {Rule.PUBLIC, Rule.SIGNED_IN, Rule.OPERATOR} else Role(self.value)


class AccessKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer <key id>.<secret>`; its project and role come as `request.auth`."""

    def authenticate(self, request: Request) -> tuple[User, Actor] | None:
        scheme, _blank, token = request.headers.get("Authorization", "").partition(" ")
        if not scheme:
            return None
        if scheme.lower() != BEARER.lower():
            raise NotAuthenticated(
                _("Authorization: {value} is not accepted; {how}", value=repr(scheme[:20]), how=_HOW)
            )
        actor = actor_for_token(token=token.strip(), address=client_address(request._request))
        return actor.user, actor

    def authenticate_header(self, request: Request) -> str:
        return f'{BEARER} realm="mlplatform"'


class DenyByDefault(BasePermission):
    """Lets a request in by the view's declared rule, and by nothing else."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        method = str(request.method)
        if method not in view.allowed_methods:
            raise MethodNotAllowed(method)
        rule: Rule | None = getattr(view, "access", {}).get("GET" if method == "HEAD" else method)
        if rule is Rule.PUBLIC:
            return True
        if not request.user:
            raise NotAuthenticated(_("This needs an access key or a login; {how}", how=_HOW))
        if rule is None:
            raise AccessDenied("Nobody may do this: the route declares no rule for it")
        if rule is Rule.OPERATOR:
            operator_require(request.user)
        if rule.role is not None:
            request.actor = member_of(request, str(view.kwargs["project"]))  # type: ignore[attr-defined]
            request.actor.require(rule.role)  # type: ignore[attr-defined]
        return True


def signed_in(request: Request) -> User:
    """The user, in a view whose rule lets nobody else in."""
    user: Any = request.user
    if not isinstance(user, User):
        raise NotAuthenticated(_("This needs an access key or a login; {how}", how=_HOW))
    return user


def member_of(request: Request, project_name: str) -> Actor:
    """The caller as a member of the project. A key opens its own project only. Raises NotFound."""
    key_actor: Any = request.auth
    if not isinstance(key_actor, Actor):
        return actor_for_user(user=signed_in(request), project_name=project_name)
    if key_actor.project.name != project_name:
        raise NotFound(_("There is no project {name} that you are a member of", name=repr(project_name[:63])))
    return key_actor


def still_admitted(request: Request, actor: Actor) -> bool:
    """Whether the actor is still a member, with a key or session that is still good: asked while a stream is open."""
    membership = Membership.objects.filter(project=actor.project, user=actor.user, user__is_active=True)
    if actor.key is None:
        return session_goes_on(request._request) and membership.exists()
    key = AccessKey.objects.filter(pk=actor.key.pk, revoked_at=None)
    usable = key.filter(expires_at=None) | key.filter(expires_at__gt=clock.now())
    return membership.exists() and usable.exists()
