"""The pages of errors that no view raised as a `PlatformError`: Django's 400, 403, 404 and 500."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from mlplatform.web.problems import problem_response


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    return problem_response(
        request,
        status=403,
        message=_("The form was sent without its security token, or the token is too old. Reload the page."),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return problem_response(request, status=500)
