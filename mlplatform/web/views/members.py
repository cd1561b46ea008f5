"""Members of a project: list, add, change role, remove."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.models import Membership, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.people.members import member_list, member_remove, member_set
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import short_list

_RANK = {Role.ADMIN: 0, Role.EDITOR: 1, Role.VIEWER: 2}
_ORDERS = {
    "user": lambda member: member.user.get_username(),
    "role": lambda member: _RANK[Role(member.role)],
    "since": lambda member: member.created_at,
}


@require_http_methods(["GET", "POST"])
def member_list_page(request: HttpRequest, project: str) -> HttpResponse:
    """The list; a post adds a user or changes a role."""
    actor = page_actor(request, project)
    if request.method == "GET":
        return _page(request, actor, {"role": Role.EDITOR.value})
    values = {"username": request.POST.get("username", "").strip(), "role": request.POST.get("role", "")}
    try:
        member = member_set(actor=actor, **values)
    except InvalidRequest as error:
        errors = {problem.field: translated(problem.message) for problem in error.errors}
        return _page(request, actor, values, errors)
    text = _("%(user)s is now %(role)s.") % {"user": values["username"], "role": member.get_role_display()}
    messages.success(request, text)
    return redirect("web:member-list", project=project)


@require_http_methods(["GET", "POST"])
def member_remove_page(request: HttpRequest, project: str, username: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.ADMIN)
    back = reverse("web:member-list", kwargs={"project": project})
    if request.method == "POST":
        member_remove(actor=actor, username=username)
        messages.success(request, _("%(user)s is no longer a member.") % {"user": username})
        return redirect("web:home" if username == actor.user.get_username() else back)
    _membership(actor, username)
    context = {
        "title": _("Remove %(user)s from this project?") % {"user": username},
        "text": _("Their access keys of this project stop working at once. What they made stays."),
        "action": _("Remove"),
        "back": back,
    }
    return page_response(request, "generic/confirm.html", context)


def _membership(actor: Actor, username: str) -> Membership:
    found = next(
        (member for member in member_list(actor=actor) if member.user.get_username() == username), None
    )
    if found is None:
        raise NotFound(f"{username[:80]!r} is not a member of this project")
    return found


def _page(
    request: HttpRequest, actor: Actor, values: dict[str, str], errors: dict[str, str] | None = None
) -> HttpResponse:
    members = member_list(actor=actor)
    context = {
        "members": short_list(members, request.GET, orders=_ORDERS, default="user", text=_text),
        "roles": Role.choices,
        "values": values,
        "errors": errors or {},
    }
    return page_response(request, "members/list.html", context, status=400 if errors else 200)


def _text(member: Membership) -> str:
    return f"{member.user.get_username()} {member.user.get_full_name()} {member.role}"
