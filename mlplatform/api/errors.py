"""Every error of the REST face as `application/problem+json` (RFC 9457): one form, no trace, path or SQL."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import Http404, JsonResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from rest_framework import exceptions as drf
from rest_framework.views import set_rollback

from mlplatform.api.refusals import refusal_audit
from mlplatform.core.errors import AccessDenied, DataError, FieldError, PlatformError
from mlplatform.core.health.outages import outage_of
from mlplatform.core.request_id import request_id_of
from mlplatform.core.translation import translated, translated_errors

logger = logging.getLogger(__name__)
PROBLEM_JSON = "application/problem+json"
_TITLES = {
    400: gettext_noop("Bad request"),
    401: gettext_noop("Not authenticated"),
    403: gettext_noop("Access denied"),
    404: gettext_noop("Not found"),
    405: gettext_noop("Method not allowed"),
    406: gettext_noop("Not acceptable"),
    408: gettext_noop("Request timed out"),
    409: gettext_noop("Conflict"),
    412: gettext_noop("Precondition failed"),
    413: gettext_noop("Too large"),
    415: gettext_noop("Unsupported media type"),
    422: gettext_noop("Unprocessable"),
    423: gettext_noop("Locked"),
    424: gettext_noop("Model error"),
    429: gettext_noop("Too many requests"),
    500: gettext_noop("Internal failure"),
    503: gettext_noop("Service unavailable"),
    507: gettext_noop("Insufficient storage"),
}
_DRF_CODES = {
    401: "MissingAuthenticationTokenException",
    403: "AccessDeniedException",
    404: "ResourceNotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    415: "UnsupportedMediaType",
    429: "ThrottlingException",
}
_RETRY_AFTER_S = 1


def problem_response(error: Exception, context: dict[str, Any]) -> JsonResponse:
    """The answer for any exception of a view (Django REST framework's `EXCEPTION_HANDLER`)."""
    set_rollback()
    if isinstance(error, AccessDenied):
        refusal_audit(request=context["request"], view=context["view"])
    request_id = request_id_of(context["request"]._request)
    status, code, detail, errors = _describe(error)
    if status == 500:
        logger.error("request %s failed", request_id, exc_info=error)
    response = problem(status=status, code=code, detail=detail, errors=errors, request_id=request_id)
    for name, value in _headers(error, status, context):
        response[name] = value
    return response


def problem(
    *, status: int, code: str, detail: str, errors: Iterable[FieldError] = (), request_id: str
) -> JsonResponse:
    """One problem document."""
    body = {
        "type": "about:blank",
        "title": _(_TITLES.get(status, "Error")),
        "status": status,
        "code": code,
        "detail": detail,
        "errors": [{"field": error.field, "message": error.message} for error in errors],
        "request_id": request_id,
    }
    return JsonResponse(
        body, status=status, content_type=PROBLEM_JSON, json_dumps_params={"ensure_ascii": False}
    )


def _describe(error: Exception) -> tuple[int, str, str, tuple[FieldError, ...]]:
    """Status, code, detail and field errors of an exception."""
    error = outage_of(error) or error
    if isinstance(error, PlatformError):
        return error.http_status, error.code, translated(error.message), translated_errors(error.errors)
    if isinstance(error, DataError):
        message = translated(error.text)
        return 400, "ValidationException", message, (FieldError("file", message),)
    if isinstance(error, drf.ValidationError):
        errors = tuple(_flatten(error.detail))
        detail = "; ".join(f"{item.field}: {item.message}" if item.field else item.message for item in errors)
        return 400, "ValidationException", detail, errors
    if isinstance(error, drf.APIException):
        status = int(error.status_code)
        return status, _DRF_CODES.get(status, "ValidationException"), str(error.detail), ()
    if isinstance(error, Http404):
        return 404, "ResourceNotFound", _("There is nothing at this address"), ()
    if isinstance(error, PermissionDenied):
        return 403, "AccessDeniedException", _("This is not allowed"), ()
    if isinstance(error, RequestDataTooBig):
        return 413, "RequestEntityTooLarge", _("The request body is too large"), ()
    if isinstance(error, SuspiciousOperation):
        return 400, "ValidationException", _("The request is malformed"), ()
    return 500, "InternalFailure", _("This failed for a reason of ours; our log has it by request id"), ()


def _flatten(detail: Any, path: str = "") -> Iterator[FieldError]:
    """Field errors out of the framework's nested lists and mappings, with dotted paths."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            yield from _flatten(inner, path if name == "non_field_errors" else f"{path}.{name}".lstrip("."))
    elif isinstance(detail, list):
        for position, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _flatten(inner, f"{path}.{position}".lstrip(".") if nested and inner else path)
    else:
        yield FieldError(path, str(detail))


def _headers(error: Exception, status: int, context: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if status == 401:
        yield "WWW-Authenticate", 'Bearer realm="mlplatform"'
    if status == 405:
        yield "Allow", ", ".join(context["view"].allowed_methods)
    wait = getattr(error, "wait", None) or getattr(error, "retry_after_s", None)
    if wait or status in {423, 429, 503, 507}:
        yield "Retry-After", str(int(wait or _RETRY_AFTER_S))
