"""Middleware: every request has an id, in the log, in error answers and in the `X-Request-Id` header."""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

_LEGAL = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_id_of(request: HttpRequest) -> str:
    """The request's id, made at first use; a well-formed `X-Request-Id` of the caller is kept."""
    known = getattr(request, "request_id", None)
    if isinstance(known, str):
        return known
    given = request.headers.get("X-Request-Id", "")
    fresh = given if _LEGAL.fullmatch(given) else secrets.token_hex(12)
    request.request_id = fresh  # type: ignore[attr-defined]
    return fresh


@sync_and_async_middleware
def RequestIdMiddleware(
    get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            request_id = request_id_of(request)
            response: HttpResponseBase = await get_response(request)
            response["X-Request-Id"] = request_id
            return response

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request_id = request_id_of(request)
        response: HttpResponseBase = get_response(request)  # type: ignore[assignment]
        response["X-Request-Id"] = request_id
        return response

    return middleware
