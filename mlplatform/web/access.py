"""Who asks for a page: the signed-in user as a member of the project in the address."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.http import HttpRequest

from mlplatform.core.errors import NotAuthenticated
from mlplatform.core.models import Membership
from mlplatform.core.people.access import Actor, actor_for_user, operator_require, project_list


def page_user(request: HttpRequest) -> User:
    """The signed-in user. Raises NotAuthenticated, which the middleware turns into the sign-in page."""
    if not request.user.is_authenticated:
        raise NotAuthenticated("Sign in to see this page")
    return request.user


def page_operator(request: HttpRequest) -> User:
    """The signed-in user as an operator of the installation. Raises NotAuthenticated, AccessDenied."""
    user = page_user(request)
    operator_require(user)
    return user


def page_actor(request: HttpRequest, project: str) -> Actor:
    """The user in the project; remembered on the request, because the navigation shows it too.

    Raises:
        NotAuthenticated: nobody is signed in.
        NotFound: no such project, or one the user is no member of.
    """
    actor = actor_for_user(
        user=page_user(request), project_name=project, memberships=request_memberships(request)
    )
    request.actor = actor  # type: ignore[attr-defined]
    return actor


def request_memberships(request: HttpRequest) -> list[Membership]:
    """The memberships of whoever asks, by project; read once per request, for the door and for the navigation."""
    known: list[Membership] | None = getattr(request, "memberships", None)
    if known is None:
        user = getattr(request, "user", None)
        known = project_list(user=user) if user is not None and user.is_authenticated else []
        request.memberships = known  # type: ignore[attr-defined]
    return known


def request_actor(request: HttpRequest) -> Actor | None:
    """The actor that `page_actor` found for this request, if the page belongs to a project."""
    actor = getattr(request, "actor", None)
    return actor if isinstance(actor, Actor) else None
