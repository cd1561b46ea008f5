"""Turns errors of the platform, and outages beneath it, into readable pages. The REST API translates them itself."""

from __future__ import annotations

import logging

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.utils.deprecation import MiddlewareMixin

from mlplatform.core.errors import NotAuthenticated, PlatformError
from mlplatform.core.outages import outage_of
from mlplatform.core.request_id import request_id_of
from mlplatform.web.problems import problem_of

logger = logging.getLogger(__name__)


class ProblemPageMiddleware(MiddlewareMixin):
    """`PlatformError` raised by a page becomes its error page; `NotAuthenticated` the way to the sign-in page.

    A database that is away or a disk that is full is no bug of a view and becomes 503 or 507.
    """

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        error = exception if isinstance(exception, PlatformError) else outage_of(exception)
        if error is None or request.path.startswith("/api/"):
            return None
        if isinstance(error, NotAuthenticated):
            return _to_login(request)
        if error is not exception:
            logger.warning("request %s: %s", request_id_of(request), exception)
        return problem_of(request, error)


def _to_login(request: HttpRequest) -> HttpResponse:
    if not getattr(request, "htmx", False):
        return redirect_to_login(request.get_full_path())
    response = HttpResponse(status=204)
    response["HX-Redirect"] = redirect_to_login(request.htmx.current_url_abs_path or "/").url  # type: ignore[attr-defined]
    return response
