"""Request bodies end at a limit before anything of them is kept: the outermost part of the ASGI application.

Django spools a body to disk before any view, and so any rule, is asked. Nobody in particular may therefore send only
what a form needs; a larger body is taken from somebody who is signed in or has an access key, up to the upload limit
and while the disk it is kept on is not below its floor.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from importlib import import_module

from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.db import Error as DatabaseFault

from mlplatform.core.asgi_types import Application, Message, Receive, Send
from mlplatform.core.errors import NotAuthenticated, PlatformError, ServiceUnavailable, Throttled, TooLarge
from mlplatform.core.health.outages import outage_of
from mlplatform.core.keeping.disk_room import disk_room_check
from mlplatform.core.people.key_attempts import actor_for_token
from mlplatform.core.text import text as _

FORM_OVERHEAD_BYTES = 1024 * 1024
_AWAY = "Who sends this cannot be told at the moment; try again"


class _Refused(Exception):
    """More came than was announced or may be sent, or than there is room for."""

    def __init__(self, error: PlatformError) -> None:
        super().__init__(error.message)
        self.error = error


class BodyLimit:
    """`application` behind the limit."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            limit = await _limit(headers, (scope.get("client") or ("",))[0])
            if _declared(headers) > limit:
                raise _too_large(limit)
            if limit > _small():
                await sync_to_async(disk_room_check)(n_bytes=_declared(headers))
        except DatabaseFault as error:
            refusal = outage_of(error) or ServiceUnavailable(_AWAY)
            await _answer(send, refusal, headers.get(b"x-request-id", ""))
        except PlatformError as error:
            await _answer(send, error, headers.get(b"x-request-id", ""))
        else:
            await self._counted(scope, receive, send, limit)

    async def _counted(self, scope: Message, receive: Receive, send: Send, limit: int) -> None:
        n_bytes = 0
        answering = False

        async def receive_counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > limit:
                raise _Refused(_too_large(limit))
            if n_bytes > _small():
                _room_left()
            return message

        async def send_noted(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._application(scope, receive_counted, send_noted)
        except (_Refused, PlatformError) as refused:  # what was refused of a late body is a plain error
            if not answering:
                error = refused.error if isinstance(refused, _Refused) else refused
                request_id = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
                await _answer(send, error, request_id)


async def _limit(headers: dict[bytes, str], address: str) -> int:
    small = _small()
    has_no_length = b"transfer-encoding" in headers
    if _declared(headers) <= small and not has_no_length:
        return small
    if await sync_to_async(_is_somebody)(headers, address):
        return int(settings.MLPLATFORM_UPLOAD_LIMIT_BYTES) + FORM_OVERHEAD_BYTES
    return small


def _small() -> int:
    """What anybody may send."""
    return int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE) + FORM_OVERHEAD_BYTES


def _room_left() -> None:
    try:
        disk_room_check()
    except PlatformError as error:
        raise _Refused(error) from error


def _declared(headers: dict[bytes, str]) -> int:
    text = headers.get(b"content-length", "0")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


def _is_somebody(headers: dict[bytes, str], address: str) -> bool:
    """Whether the sender is known; what they may do is asked later, by the view's own rule."""
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        try:
            actor_for_token(token=token.strip(), address=address)
        except (NotAuthenticated, Throttled):
            return False
        return True
    return _has_session(headers.get(b"cookie", ""))


def _has_session(cookies: str) -> bool:
    try:
        found = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
    except CookieError:
        return False
    if found is None:
        return False
    store = import_module(settings.SESSION_ENGINE).SessionStore(found.value)
    return SESSION_KEY in store


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        _(
            "The body is larger than {limit} bytes, the most that is taken from this sender",
            limit=f"{limit:,}",
        )
    )


async def _answer(send: Send, error: PlatformError, request_id: str) -> None:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(error.http_status).phrase if error.http_status != 413 else "Too large",
        "status": error.http_status,
        "code": error.code,
        "detail": error.message,
        "errors": [],
        "request_id": request_id,
    }
    content = json.dumps(body, ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(content)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
