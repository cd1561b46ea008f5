"""One HTTP request and its answer, as an application sees them.

The connection (`http1.py`) feeds the request's body in and carries the answer out; an application reads with
`body()` or `read()` and answers with `respond()`, or piece by piece with `start()`, `send()`, `finish()`.
Nothing here knows sockets, routes or models.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import Protocol

from mlplatform.core.errors import PlatformError, TooLarge

Headers = Iterable[tuple[bytes, bytes]]

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %s\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
_SMALL_REMAINDER_BYTES = 64 * 1024
_SMALL_BODY_BYTES = 16 * 1024
_date: tuple[int, bytes] = (0, b"")


class BadRequest(PlatformError):
    """What arrived is not a request this server can read."""

    code = "BadRequest"
    http_status = 400


class Carrier(Protocol):
    """What an exchange needs of its connection."""

    @property
    def peer(self) -> str: ...
    @property
    def draining(self) -> bool: ...

    def write(self, *pieces: bytes) -> None: ...
    async def flushed(self) -> None: ...
    def body_awaited(self, exchange: Exchange) -> None: ...
    def body_taken(self, exchange: Exchange) -> None: ...


class Exchange:
    """A request being answered. Header names are lower case; `path` and `query` are the raw bytes of the
    target."""

    __slots__ = (
        "_carrier",
        "_chunked",
        "_chunks",
        "_error",
        "_expects_continue",
        "_waiter",
        "answered",
        "body_complete",
        "body_deadline",
        "buffered_bytes",
        "close_after",
        "content_length",
        "discarding",
        "headers",
        "http10",
        "keep_alive",
        "method",
        "path",
        "query",
        "received_bytes",
        "refusal",
        "started",
        "status",
        "target",
    )

    def __init__(
        self,
        carrier: Carrier,
        *,
        method: bytes,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        http10: bool = False,
        keep_alive: bool = True,
        content_length: int | None = 0,
        refusal: PlatformError | None = None,
    ) -> None:
        self._carrier = carrier
        self.method = method
        self.target = target
        self.path, _, self.query = target.partition(b"?")
        self.headers = headers
        self.http10 = http10
        self.keep_alive = keep_alive
        self.content_length = content_length
        self.refusal = refusal
        self._expects_continue = (self.header(b"expect") or b"").lower() == b"100-continue"
        self._chunks: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._error: PlatformError | None = None
        self._chunked = False
        self.buffered_bytes = 0
        self.received_bytes = 0
        self.body_deadline = float("inf")
        self.body_complete = False
        self.discarding = False
        self.started = False
        self.answered = False
        self.close_after = refusal is not None
        self.status = 0

    # ---- the request

    @property
    def peer(self) -> str:
        """The client's address; empty on a unix socket."""
        return self._carrier.peer

    def header(self, name: bytes) -> bytes | None:
        """The first header of this (lower case) name."""
        for key, value in self.headers:
            if key == name:
                return value
        return None

    async def read(self) -> bytes:
        """The next piece of the request's body; empty at its end.

        Raises:
            BadRequest: The body is malformed or did not arrive in time.
        """
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.body_complete:
                return b""
            await self._more()
        chunk = self._chunks.popleft()
        self.buffered_bytes -= len(chunk)
        self._carrier.body_taken(self)
        return chunk

    async def body(
        self, *, limit_bytes: int, limit_s: float = 60.0, held: Callable[[int], None] | None = None
    ) -> bytes:
        """The whole body of the request.

        Args:
            held: Told of every piece's length as it arrives; what it raises ends the reading.

        Raises:
            TooLarge: It is longer than `limit_bytes`; the rest is not read.
            BadRequest: It is malformed or did not arrive within `limit_s`.
        """
        if self.content_length is not None and self.content_length > limit_bytes:
            raise too_large(limit_bytes, self.content_length)
        if not self.body_complete:
            self.body_deadline = asyncio.get_running_loop().time() + limit_s
        parts: list[bytes] = []
        n_bytes = 0
        while chunk := await self.read():
            if held is not None:
                held(len(chunk))
            parts.append(chunk)
            n_bytes += len(chunk)
            if n_bytes > limit_bytes:
                raise too_large(limit_bytes, None)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _more(self) -> None:
        if self._expects_continue:
            self._expects_continue = False
            self._carrier.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waiter = asyncio.get_running_loop().create_future()
        self._carrier.body_awaited(self)
        try:
            await self._waiter
        finally:
            self._waiter = None

    # ---- fed by the connection

    def feed(self, data: bytes) -> None:
        self.received_bytes += len(data)
        if self.discarding:
            return
        self._chunks.append(data)
        self.buffered_bytes += len(data)
        self._wake()

    def feed_end(self) -> None:
        self.body_complete = True
        self._wake()

    def fail(self, error: PlatformError) -> None:
        """The rest of the body cannot be had: a reader gets `error`."""
        self._error = error
        self.close_after = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ---- the answer

    def respond(self, status: int, headers: Headers = (), body: bytes | Sequence[bytes] = b"") -> None:
        """Answers with a whole body, at once; one in pieces is written as it is, without being put together.

        `headers` come without length, connection and date.
        """
        pieces = (body,) if isinstance(body, bytes) else body
        n_bytes = sum(map(len, pieces))
        head = self._head(
            status, headers, b"content-length: %d\r\n" % n_bytes if _may_have_body(status) else b""
        )
        if self.method == b"HEAD":
            self._carrier.write(head)
        elif n_bytes <= _SMALL_BODY_BYTES:
            self._carrier.write(b"".join((head, *pieces)))
        else:
            self._carrier.write(head, *pieces)
        self.answered = True

    def start(self, status: int, headers: Headers, *, length: int | None) -> None:
        """Begins an answer that follows in pieces; `length` None when it is not known beforehand."""
        framing = b""
        if length is not None and status != 204:
            framing = b"content-length: %d\r\n" % length
        elif _may_have_body(status) and self.http10:
            self.close_after = True
        elif _may_have_body(status):
            self._chunked = self.method != b"HEAD"
            framing = b"transfer-encoding: chunked\r\n"
        self._carrier.write(self._head(status, headers, framing))

    async def send(self, chunk: bytes) -> None:
        """Writes one piece and waits while the client is slower than we are."""
        if not chunk or self.method == b"HEAD":
            return
        self._carrier.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk)
        await self._carrier.flushed()

    def finish(self) -> None:
        if self._chunked:
            self._carrier.write(b"0\r\n\r\n")
        self.answered = True

    def _head(self, status: int, headers: Headers, framing: bytes) -> bytes:
        self.status = status
        self.started = True
        self.close_after = self.close_after or not self._can_stay_open()
        parts = [_STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status]
        has_date = False
        for name, value in headers:
            parts.append(b"%b: %b\r\n" % (name, value))
            has_date = has_date or name == b"date"
        if not has_date:
            parts.append(_date_header())
        parts.append(framing)
        if self.close_after:
            parts.append(b"connection: close\r\n")
        elif self.http10:
            parts.append(b"connection: keep-alive\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

    def _can_stay_open(self) -> bool:
        if not self.keep_alive or self._carrier.draining:
            return False
        if self.body_complete:
            return True
        if self.content_length is None or self._expects_continue:
            return False
        return self.content_length - self.received_bytes <= _SMALL_REMAINDER_BYTES


def too_large(limit_bytes: int, length: int | None) -> TooLarge:
    sent = f"has {length:,} bytes" if length is not None else "is longer"
    return TooLarge(f"body: {sent}; at most {limit_bytes:,} bytes ({limit_bytes / 2**20:g} MiB) are accepted")


def _may_have_body(status: int) -> bool:
    return status >= 200 and status not in (204, 304)


def _date_header() -> bytes:
    global _date
    now = int(time())
    if _date[0] != now:
        _date = (now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode())
    return _date[1]
