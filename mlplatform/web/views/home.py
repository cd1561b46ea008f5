"""The home page: to the project a person worked in last, or to making the first one."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET, require_http_methods

from mlplatform.core.errors import AccessDenied, PlatformError
from mlplatform.core.people.access import project_create, project_list
from mlplatform.core.translation import translated
from mlplatform.web.access import page_actor, page_user
from mlplatform.web.context import LAST_PROJECT
from mlplatform.web.overview import overview_get
from mlplatform.web.rendering import page_response


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    user = page_user(request)
    names = [membership.project.name for membership in project_list(user=user)]
    if not names:
        return render(request, "web/no_project.html")
    last = request.session.get(LAST_PROJECT)
    return redirect("web:project-home", project=last if last in names else names[0])


@require_GET
def project_home(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    if request.session.get(LAST_PROJECT) != actor.project.name:
        request.session[LAST_PROJECT] = actor.project.name
    return page_response(request, "web/home.html", {"overview": overview_get(actor=actor)})


@require_http_methods(["GET", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    """Staff make projects; whoever makes one is its first administrator."""
    user = page_user(request)
    if not user.is_staff:
        raise AccessDenied("Only staff may create projects")
    values = {key: request.POST.get(key, "").strip() for key in ("name", "display_name")}
    if request.method == "GET":
        return render(request, "web/project_new.html", {"values": values})
    try:
        project = project_create(user=user, **values)
    except PlatformError as error:
        return render(
            request,
            "web/project_new.html",
            {"values": values, "error": translated(error.message)},
            status=400,
        )
    return redirect("web:project-home", project=project.name)
