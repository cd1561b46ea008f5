"""Middleware: every request says where its acts come from, for the audit log.

The address is that of the client as the gateway saw it: the gateway drops what a client says about itself and believes
`X-Forwarded-For` of trusted proxies only (`endpoints.gateway.headers`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable

from asgiref.sync import iscoroutinefunction
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from mlplatform.core.audit.record import Face, Origin, audit_origin
from mlplatform.core.request_id import request_id_of

_FACES = (("/api/", Face.API), ("/admin/", Face.ADMIN))


def client_address(request: HttpRequest) -> str | None:
    """The client's address; None for a caller that has none, on the unix socket."""
    try:
        found = ipaddress.ip_address(request.META.get("REMOTE_ADDR") or "")
    except ValueError:
        return None
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found).partition("%")[0]


def request_origin(request: HttpRequest) -> Origin:
    face = next((face for start, face in _FACES if request.path_info.startswith(start)), Face.WEB)

    def user() -> User | None:
        found = getattr(request, "user", None)
        return found if isinstance(found, User) else None

    return Origin(face, client_address(request), request_id_of(request), user)


@sync_and_async_middleware
def AuditOriginMiddleware(
    get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]:
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            with audit_origin(request_origin(request)):
                response: HttpResponseBase = await get_response(request)
                return response

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        with audit_origin(request_origin(request)):
            response: HttpResponseBase = get_response(request)  # type: ignore[assignment]
            return response

    return middleware
