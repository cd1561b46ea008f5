"""One client's connection to an HTTP/1.1 server: from bytes to exchanges, one after the other.

Made by `HttpServer` (`http1.py`), used by nobody else. Guards the limits and the deadlines of its client; the server
looks once in a while whether `deadline` has passed.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import deque
from typing import TYPE_CHECKING, cast

import httptools

from endpoints.serving.exchange import BadRequest, Exchange
from endpoints.serving.framing import HeadRefused, asks_only_for_upgrade, body_length, origin_form, refusal_of
from mlplatform.core.errors import PlatformError

if TYPE_CHECKING:
    from endpoints.serving.http1 import HttpServer

logger = logging.getLogger(__name__)

_FOREVER = float("inf")
_MAX_PIPELINED = 64
_SEND_BYTES = 1024 * 1024
_FRAMING_FLOOR_BYTES = 64 * 1024


class HttpConnection(asyncio.Protocol):
    """One client. Requests that arrive before the first is answered wait in `_pipeline`."""

    def __init__(self, server: HttpServer) -> None:
        self.peer = ""
        self.deadline = _FOREVER
        self._server = server
        self._limits = server.limits
        self._loop = server.loop
        self._parser = httptools.HttpRequestParser(self)
        self._pipeline: deque[Exchange] = deque()
        self._arriving: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._in_head = False
        self._replaying_head = False
        self._deaf = False
        self._unfinished_head_bytes = 0
        self._framing_bytes = 0
        self._reading_paused = False
        self._drained: asyncio.Future[None] | None = None
        self._write_paused = False

    @property
    def draining(self) -> bool:
        return self._server.draining

    @property
    def is_active(self) -> bool:
        return bool(self._pipeline)

    # ---- from the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        _send_much(transport)
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self._server.connections.add(self)
        if len(self._server.connections) > self._limits.n_connections:
            self._deaf = True
            self._transport.write(
                b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            self._transport.close()
            return
        self.deadline = self._loop.time() + self._limits.head_s

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        was_in_head = self._in_head
        received = self._arriving.received_bytes if self._arriving else 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._go_on_without_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            self._refuse(refusal_of(error))
            return
        if self._in_head and was_in_head:
            self._unfinished_head_bytes += len(data)
            if self._unfinished_head_bytes > self._limits.head_bytes:
                self._refuse(HeadRefused(431, f"request head: more than {self._limits.head_bytes} bytes"))
        elif self._arriving is not None:
            self._check_arriving(self._arriving, len(data), received)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._deaf = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionResetError("the client is gone"))
            self._drained.exception()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._write_paused = True
        self.deadline = self._loop.time() + self._limits.write_stall_s

    def resume_writing(self) -> None:
        self._write_paused = False
        self.deadline = _FOREVER if self._pipeline else self._loop.time() + self._limits.idle_s
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    # ---- from the parser

    def on_message_begin(self) -> None:
        self._in_head = True
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._unfinished_head_bytes = 0
        if not self._pipeline:
            self.deadline = self._loop.time() + self._limits.head_s

    def on_url(self, url: bytes) -> None:
        self._url += url
        if len(self._url) > self._limits.head_bytes:
            raise HeadRefused(414, f"request target: more than {self._limits.head_bytes} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_head or self._replaying_head:  # trailers are of no use to anyone here
            return
        self._headers.append((name.lower(), value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > self._limits.head_bytes or len(self._headers) > self._limits.n_headers:
            limits = f"{self._limits.n_headers} headers and {self._limits.head_bytes} bytes"
            raise HeadRefused(431, f"request head: at most {limits} are accepted")

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._replaying_head:
            return
        if len(self._pipeline) >= _MAX_PIPELINED:
            raise HeadRefused(400, f"more than {_MAX_PIPELINED} requests sent ahead of their answers")
        exchange = self._arriving = self._exchange()
        self._framing_bytes = 0
        self._pipeline.append(exchange)
        if len(self._pipeline) == 1:
            self._start(exchange)
        self._balance_reading()

    def on_body(self, data: bytes) -> None:
        if self._arriving is not None:
            self._arriving.feed(data)
            self._balance_reading()

    def on_message_complete(self) -> None:
        if self._arriving is None or self._parser.should_upgrade():
            return
        exchange, self._arriving = self._arriving, None
        exchange.feed_end()
        if exchange.discarding:
            self._next(exchange)

    # ---- for the exchange

    def write(self, *pieces: bytes) -> None:
        if len(pieces) == 1:
            self._transport.write(pieces[0])
        else:
            self._transport.writelines(pieces)

    async def flushed(self) -> None:
        if not self._write_paused:
            return
        self._drained = self._loop.create_future()
        await self._drained

    def body_awaited(self, exchange: Exchange) -> None:
        self.deadline = min(self._loop.time() + self._limits.body_stall_s, exchange.body_deadline)

    def body_taken(self, exchange: Exchange) -> None:
        if not self._write_paused:
            self.deadline = _FOREVER
        self._balance_reading()

    # ---- from the server

    def close_if_idle(self) -> None:
        if not self._pipeline:
            self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    def time_out(self) -> None:
        """The deadline has passed: nothing arrives, or nothing is taken."""
        self.deadline = _FOREVER
        if self._deaf or self._write_paused:
            self._transport.abort()
        elif self._arriving is not None:
            self._deaf = True
            self._arriving.fail(BadRequest("body: did not arrive in time"))
            if self._arriving.discarding:
                self._transport.abort()
        elif self._in_head:
            self._refuse(HeadRefused(408, "request head: did not arrive in time"))
        elif not self._pipeline:
            self._transport.close()

    # ---- one request after the other

    def _exchange(self) -> Exchange:
        version = self._parser.get_http_version()
        content_length = body_length(self._headers, version)
        return Exchange(
            self,
            method=self._parser.get_method(),
            target=origin_form(self._parser.get_method(), self._url),
            headers=self._headers,
            http10=version == "1.0",
            keep_alive=self._parser.should_keep_alive() or asks_only_for_upgrade(self._headers),
            content_length=content_length,
        )

    def _start(self, exchange: Exchange) -> None:
        self.deadline = _FOREVER
        self._task = self._loop.create_task(self._run(exchange))

    async def _run(self, exchange: Exchange) -> None:
        try:
            if exchange.refusal is not None:
                raise exchange.refusal
            await self._server.app(exchange)
        except PlatformError as error:
            self._answer_error(exchange, error)
        except ConnectionResetError:
            pass
        except Exception:
            logger.exception(
                "error while answering %s %s", exchange.method.decode(), exchange.path.decode("latin-1")
            )
            self._answer_error(exchange, PlatformError("an error of the platform's own; its log says more"))
        self._task = None
        self._next(exchange)

    def _answer_error(self, exchange: Exchange, error: PlatformError) -> None:
        if not exchange.started:
            self._server.refuse(exchange, error)

    def _next(self, exchange: Exchange) -> None:
        if self._transport.is_closing():
            return
        if not exchange.answered:  # cut short: the client must not take it for a whole answer
            self._transport.abort()
            return
        if exchange.close_after:
            self._close()
            return
        if not exchange.body_complete:
            exchange.discarding = True
            self.deadline = self._loop.time() + self._limits.body_stall_s
            return
        self._pipeline.popleft()
        if self._pipeline:
            self._start(self._pipeline[0])
        elif self._server.draining:
            self._transport.close()
        else:
            self.deadline = self._loop.time() + (
                self._limits.head_s if self._in_head else self._limits.idle_s
            )
        self._balance_reading()

    def _close(self) -> None:
        """Closes so that the client can still read the answer: what it goes on sending is thrown away for a
        while."""
        self._pipeline.clear()
        self._deaf = True
        self.deadline = self._loop.time() + self._limits.linger_s
        if self._reading_paused:
            self._reading_paused = False
            self._transport.resume_reading()
        if self._arriving is None or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()

    def _refuse(self, error: PlatformError) -> None:
        """The bytes are no request: whoever reads a body learns it, and the answer comes after those before
        it."""
        self._deaf = True
        if self._arriving is not None:
            self._arriving.fail(BadRequest(f"body: {error.message}"))
            if self._arriving.discarding:
                self._transport.abort()
            return
        exchange = self._arriving = Exchange(self, method=b"", target=b"", headers=[], refusal=error)
        self._pipeline.append(exchange)
        if len(self._pipeline) == 1:
            self._start(exchange)

    def _go_on_without_upgrade(self, rest: bytes) -> None:
        """`Upgrade` is ignored, as RFC 9110 allows: a fresh parser goes on with the body of the same
        request."""
        exchange = self._arriving
        if exchange is None:
            return
        self._parser = httptools.HttpRequestParser(self)
        framing = b"transfer-encoding: chunked"
        if exchange.content_length is not None:
            framing = b"content-length: %d" % exchange.content_length
        self._replaying_head = True
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b\r\n\r\n" % framing)
        self._replaying_head = False
        if rest:
            self.data_received(rest)

    def _check_arriving(self, exchange: Exchange, n_bytes: int, received_before: int) -> None:
        """Chunk extensions and trailers may not grow without bound beside the body they frame."""
        if exchange.content_length is None:
            self._framing_bytes += n_bytes - max(0, exchange.received_bytes - received_before)
            if self._framing_bytes > _FRAMING_FLOOR_BYTES + 16 * exchange.received_bytes:
                self._refuse(HeadRefused(400, "chunk extensions and trailers outweigh the body"))

    def _balance_reading(self) -> None:
        """Reads from the socket only while what arrived is being used."""
        first = self._pipeline[0] if self._pipeline else None
        too_much = len(self._pipeline) > 1 or (
            first is not None and first.buffered_bytes > self._limits.buffer_bytes and not first.body_complete
        )
        if too_much and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()
        elif self._reading_paused and not too_much and not self._deaf:
            self._reading_paused = False
            self._transport.resume_reading()


def _send_much(transport: asyncio.BaseTransport) -> None:
    """A unix socket holds 208 KiB by itself, so that both ends would take turns several times for one large answer. TCP
    grows by itself.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BYTES)
