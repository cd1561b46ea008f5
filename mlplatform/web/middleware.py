"""Turns errors of the platform into readable pages. The REST API translates them itself."""

from __future__ import annotations

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from mlplatform.core.errors import NotAuthenticated, PlatformError
from mlplatform.web.problems import problem_of


class ProblemPageMiddleware(MiddlewareMixin):
    """`PlatformError` raised by a page becomes its error page; `NotAuthenticated` the way to the sign-in page."""

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        if not isinstance(exception, PlatformError) or request.path.startswith("/api/"):
            return None
        if isinstance(exception, NotAuthenticated):
            return _to_login(request)
        return problem_of(request, exception)


def _to_login(request: HttpRequest) -> HttpResponse:
    if not getattr(request, "htmx", False):
        return redirect_to_login(request.get_full_path())
    response = HttpResponse(status=204)
    response["HX-Redirect"] = redirect_to_login(request.htmx.current_url_abs_path or "/").url  # type: ignore[attr-defined]
    return response
