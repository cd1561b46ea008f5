"""The pages of errors that no view raised as a `PlatformError`: Django's 400, 403, 404 and 500."""

from __future__ import annotations

import logging
import sys

from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from mlplatform.core.errors import PlatformError
from mlplatform.core.health.outages import outage_of
from mlplatform.core.request_id import request_id_of
from mlplatform.web.problems import problem_of, problem_response

logger = logging.getLogger(__name__)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=403)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    message = _("The form came without its security token, or the token is too old. Reload the page.")
    return problem_response(request, status=403, message=message)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return problem_response(request, status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """The page of a bug of ours, or of an outage met outside a view (session, token or body of a form)."""
    error = sys.exc_info()[1]
    outage = error if isinstance(error, PlatformError) else outage_of(error)
    try:
        if outage is not None:
            logger.warning("request %s: %s", request_id_of(request), error)
            return problem_of(request, outage)
        return problem_response(request, status=500)
    except Exception:
        logger.exception("the error page itself failed")
        text = (
            "<!doctype html><title>500</title><h1>Something went wrong on our side</h1><p>Request id {}</p>"
        )
        return HttpResponse(format_html(text, request_id_of(request)), status=500)
