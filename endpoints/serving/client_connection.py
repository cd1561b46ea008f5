"""One connection to an HTTP/1.1 server, seen from the calling side: one call at a time, whole or as a stream.

Opened by `client.py`. No redirects, no cookies, no TLS: both ends are ours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import httptools

from endpoints.serving.address import Address

_FOREVER = float("inf")
_BUFFER_BYTES = 256 * 1024


class CallFailed(Exception):
    """The server could not be reached, or the connection ended early.

    Attributes:
        is_delivered: False when the server certainly has not begun to work on the request.
        is_answered: True when part of the answer had arrived; such a call must not be repeated.
        is_late: True when we gave up waiting.
    """

    def __init__(
        self, message: str, *, is_delivered: bool = True, is_answered: bool = False, is_late: bool = False
    ) -> None:
        super().__init__(message)
        self.is_delivered = is_delivered
        self.is_answered = is_answered
        self.is_late = is_late


class AnswerTooLong(CallFailed):
    """The answer's body is longer than the caller is willing to hold."""


@dataclass(slots=True)
class Answer:
    """A whole answer. Header names are lower case; the body is in the pieces in which it came."""

    status: int
    headers: list[tuple[bytes, bytes]]
    pieces: Sequence[bytes]

    @property
    def body(self) -> bytes:
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)

    def header(self, name: bytes) -> bytes | None:
        for key, value in self.headers:
            if key == name:
                return value
        return None


class Connection(asyncio.Protocol):
    """One connection, one call at a time: write a request, then `answer()`, or `head()` and `read()`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address) -> None:
        self.address = address
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.n_calls = 0
        self.idle_since = 0.0
        self.is_lost = False
        self._loop = loop
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._limit_bytes: float = _FOREVER
        self._waiter: asyncio.Future[None] | None = None
        self._wants_all = False
        self._head_only = False
        self._has_head = False
        self._complete = True
        self._any_byte = False
        self._until_eof = False
        self._interim = False
        self._keep_alive = False
        self._error: CallFailed | None = None
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False
        self._read_paused = False
        self._timer: asyncio.TimerHandle | None = None

    # ---- calling

    def begin(self, data: bytes, *, head_only: bool = False) -> None:
        """Writes the head of a request (and as much of its body as is at hand); its answer is awaited
        next."""
        self.n_calls += 1
        self._head_only = head_only
        self._parser = httptools.HttpResponseParser(self)
        self._chunks.clear()
        self._buffered_bytes = 0
        self._has_head = self._complete = self._any_byte = self._until_eof = False
        if self.is_lost:
            raise CallFailed(f"{self.address}: the connection was closed", is_delivered=False)
        self._transport.write(data)

    async def send(self, data: bytes) -> None:
        """Writes a further piece of the body and waits while the server is slower than we are."""
        if self._error is not None:
            raise self._error
        self._transport.write(data)
        if self._write_paused:
            self._drained = self._loop.create_future()
            await self._drained

    async def answer(self, *, limit_bytes: int) -> Answer:
        """The whole answer.

        Raises:
            AnswerTooLong: Its body has more than `limit_bytes`.
            CallFailed: The connection ended before the answer was complete.
        """
        self._limit_bytes = limit_bytes
        self._wants_all = True
        try:
            while not self._complete:
                await self._more()
        finally:
            self._limit_bytes = _FOREVER
            self._wants_all = False
        pieces = tuple(self._chunks)
        self._chunks.clear()
        return Answer(self.status, self.headers, pieces)

    async def head(self) -> int:
        """Waits for the answer's head, which is then in `status` and `headers`."""
        while not self._has_head:
            await self._more()
        return self.status

    async def read(self) -> bytes:
        """The next piece of the answer's body; empty at its end."""
        while not self._chunks:
            if self._complete:
                return b""
            await self._more()
        chunk = self._chunks.popleft()
        self._buffered_bytes -= len(chunk)
        if self._read_paused and self._buffered_bytes < _BUFFER_BYTES:
            self._read_paused = False
            self._transport.resume_reading()
        return chunk

    @property
    def is_reusable(self) -> bool:
        return self._complete and self._keep_alive and not self.is_lost and not self._read_paused

    def give_up_at(self, when: float) -> None:
        """Ends the connection at this time of the loop's clock unless the call is over by then."""
        self._timer = self._loop.call_at(when, self._give_up)

    def stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        self.stop_timer()
        self._fail(CallFailed(f"{self.address}: closed by us"))
        self._transport.abort()

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _give_up(self) -> None:
        self._fail(CallFailed(f"{self.address}: no answer in time", is_answered=self._any_byte, is_late=True))
        self._transport.abort()

    # ---- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        if self._complete:  # an answer to nothing: never to be taken for the next call's
            self.close()
            return
        self._any_byte = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(CallFailed(f"{self.address}: not an HTTP answer: {error}", is_answered=True))
            self._transport.abort()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        self.stop_timer()
        if self._until_eof and self._has_head and not self._complete and exc is None:
            self._complete = True
            self._wake()
        self._fail(CallFailed(f"{self.address}: the connection ended early", is_answered=self._any_byte))

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # ---- from the parser

    def on_message_begin(self) -> None:
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._interim = self.status < 200
        if self._interim:
            return
        self._has_head = True
        self._keep_alive = self._parser.should_keep_alive()
        self._until_eof = not any(
            name in (b"content-length", b"transfer-encoding") for name, _ in self.headers
        )
        if self._head_only or self.status in (204, 304):
            self._complete = True
            self._keep_alive = False
        if not self._wants_all:
            self._wake()

    def on_body(self, data: bytes) -> None:
        if self._head_only or self._interim:
            return
        self._chunks.append(data)
        self._buffered_bytes += len(data)
        if self._buffered_bytes > self._limit_bytes:
            self._fail(AnswerTooLong(f"more than {self._limit_bytes} bytes", is_answered=True))
            self._transport.abort()
        elif self._buffered_bytes > _BUFFER_BYTES and not self._wants_all and not self._read_paused:
            self._read_paused = True
            self._transport.pause_reading()
        if not self._wants_all:
            self._wake()

    def on_message_complete(self) -> None:
        if not self._interim:
            self._complete = True
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: CallFailed) -> None:
        if self._error is None:
            self._error = error
        for future in (None if self._complete else self._waiter, self._drained):
            if future is not None and not future.done():
                future.set_exception(self._error)
