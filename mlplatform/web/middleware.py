"""What every page needs around it: errors and outages as readable pages, and nothing of a signed-in person in a cache.

The REST API translates errors itself.
"""

from __future__ import annotations

import logging

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from mlplatform.core.audit.record import audit_refuse
from mlplatform.core.errors import AccessDenied, NotAuthenticated, PlatformError
from mlplatform.core.health.outages import outage_of
from mlplatform.core.people.sessions import session_touch
from mlplatform.core.request_id import request_id_of
from mlplatform.web.access import request_actor
from mlplatform.web.acts import act_of
from mlplatform.web.problems import problem_of

logger = logging.getLogger(__name__)


class SignedInMiddleware(MiddlewareMixin):
    """What was made for somebody's session is kept by no cache; a page that is opened keeps the session alive.

    What scripts fetch does not: a page left open asks for its fragments by itself, for ever.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if not request.session.accessed:
            return response
        response.setdefault("Cache-Control", "private, no-store")
        opened = request.headers.get("Sec-Fetch-Mode", "navigate") == "navigate"
        if opened and response.status_code < 400 and "HX-Request" not in request.headers:
            session_touch(request)
        return response


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
        if isinstance(error, AccessDenied):
            _audit(request)
        if error is not exception:
            logger.warning("request %s: %s", request_id_of(request), exception)
        return problem_of(request, error)


def _to_login(request: HttpRequest) -> HttpResponse:
    if not getattr(request, "htmx", False):
        return redirect_to_login(request.get_full_path())
    response = HttpResponse(status=204)
    response["HX-Redirect"] = redirect_to_login(request.htmx.current_url_abs_path or "/").url  # type: ignore[attr-defined]
    return response


def _audit(request: HttpRequest) -> None:
    act = act_of(request)
    if act is not None and request.user.is_authenticated:
        audit_refuse(action=act.action, target=act.target, actor=request_actor(request), user=request.user)
