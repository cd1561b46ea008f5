"""An error as a page, or as a fragment for htmx: what happened, the request's id and what to do next."""

from __future__ import annotations

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.translation import gettext as _

from mlplatform.core.errors import PlatformError
from mlplatform.core.health.outages import is_database_away
from mlplatform.core.request_id import request_id_of
from mlplatform.core.translation import translated
from mlplatform.web.preferences import page_settings

_RETRY_AFTER_S = 5


def problem_response(request: HttpRequest, *, status: int, message: str = "", code: str = "") -> HttpResponse:
    """The page of an error; for an htmx request only the message, to be shown in place."""
    htmx = bool(getattr(request, "htmx", False)) and not request.htmx.boosted  # type: ignore[attr-defined]
    context = {
        "status": status,
        "title": _title(status),
        "message": message,
        "code": code,
        "next_step": _next_step(status),
        "request_id": request_id_of(request),
    }
    response = render(request, "web/_problem.html" if htmx else "web/problem.html", context, status=status)
    if htmx:
        response["HX-Retarget"] = "#messages"
        response["HX-Reswap"] = "innerHTML"
    return response


def problem_of(request: HttpRequest, error: PlatformError) -> HttpResponse:
    """The page of a `PlatformError`; without navigation where it is the database that cannot be read."""
    if is_database_away(error):
        response = _outage_page(request, error)
    else:
        response = problem_response(
            request, status=error.http_status, message=translated(error.message), code=error.code
        )
    if error.http_status in {429, 503, 507}:
        response["Retry-After"] = str(getattr(error, "retry_after_s", _RETRY_AFTER_S))
    return response


def _outage_page(request: HttpRequest, error: PlatformError) -> HttpResponse:
    context = {
        "status": error.http_status,
        "title": _title(error.http_status),
        "message": translated(error.message),
        "code": error.code,
        "next_step": _next_step(error.http_status),
        "request_id": request_id_of(request),
        "page_settings": page_settings(request),
        "again": request.get_full_path() if request.method == "GET" else "",
    }
    return HttpResponse(render_to_string("web/outage.html", context), status=error.http_status)


def _title(status: int) -> str:
    titles = {
        400: _("This request cannot be carried out"),
        401: _("Sign in first"),
        403: _("You may not do this"),
        404: _("There is nothing here"),
        409: _("This conflicts with the present state"),
        413: _("This is too large"),
        429: _("Too many requests"),
        503: _("Not available at the moment"),
        507: _("There is no room left"),
    }
    if status >= 500:
        return titles.get(status) or _("Something went wrong on our side")
    return titles.get(status) or HTTPStatus(status).phrase


def _next_step(status: int) -> str:
    if status == 403:
        return _("Ask an administrator of the project for the role this needs.")
    if status == 404:
        return _(
            "It may have been deleted or renamed, or it belongs to a project that you are not a member of."
        )
    if status == 507:
        return _(
            "Tell an operator, who can enlarge the disk or free a few MiB on it. As soon as there is a little room, "
            "deleting datasets, jobs and models that are no longer needed makes more."
        )
    if status >= 500:
        return _("Try again in a moment. If it stays, give an operator the request id below.")
    return _("Go back, change the request and send it again.")
