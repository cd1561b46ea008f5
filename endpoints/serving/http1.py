"""A bare HTTP/1.1 server on asyncio and httptools: connections, limits and timeouts.

Used by the model server and by the gateway, because a prediction must not wait for a web framework. It is no
framework: an application is one coroutine function that takes an `Exchange`. What this file guarantees to it:
framing that cannot be read in two ways, one request of a connection at a time and in order, bounded memory, a
task that is cancelled when the client goes away, and no connection that idles, trickles or refuses to read
for ever.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httptools

from endpoints.serving.address import BACKLOG, Address, socket_listen
from endpoints.serving.exchange import BadRequest, Exchange
from mlplatform.core.errors import PlatformError

logger = logging.getLogger(__name__)

Application = Callable[[Exchange], Awaitable[None]]
Refuse = Callable[[Exchange, PlatformError], None]

_FOREVER = float("inf")
_MAX_PIPELINED = 64
_FRAMING_FLOOR_BYTES = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What a client may ask of a connection."""

    head_bytes: int = 32 * 1024
    n_headers: int = 100
    n_connections: int = 4096
    buffer_bytes: int = 256 * 1024
    head_s: float = 10.0
    idle_s: float = 75.0
    body_stall_s: float = 30.0
    write_stall_s: float = 60.0
    linger_s: float = 5.0


class HeadRefused(PlatformError):
    """The head of a request breaks a rule or a limit; carries its own status."""

    code = "BadRequest"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class HttpServer:
    """Listens on any number of addresses and runs `app` for every request.

    Args:
        app: Answers an exchange. A PlatformError that it raises goes to `refuse`; anything else is logged as
        500. refuse: Writes the answer for an error in the application's own form.
    """

    def __init__(self, app: Application, *, refuse: Refuse, limits: Limits | None = None) -> None:
        self.app = app
        self.refuse = refuse
        self.limits = limits or Limits()
        self.loop = asyncio.get_running_loop()
        self.connections: set[HttpConnection] = set()
        self.draining = False
        self._servers: list[asyncio.Server] = []
        self._socket_files: list[tuple[Path, int]] = []
        times = (self.limits.head_s, self.limits.idle_s, self.limits.body_stall_s, self.limits.write_stall_s)
        self._sweep_s = min(1.0, min(times) / 4)
        self._sweeper = self.loop.call_later(self._sweep_s, self._sweep)

    async def listen(self, address: Address, *, mode: int = 0o600) -> Address:
        """Starts to accept connections; answers with the address, its port filled in."""
        sock = socket_listen(address, mode=mode)
        if address.path:
            file = Path(address.path)
            self._socket_files.append((file, file.stat().st_ino))
            self._servers.append(
                await self.loop.create_unix_server(self._connection, sock=sock, backlog=BACKLOG)
            )
            return address
        self._servers.append(await self.loop.create_server(self._connection, sock=sock, backlog=BACKLOG))
        return Address(host=address.host, port=cast(int, sock.getsockname()[1]))

    def _connection(self) -> HttpConnection:
        return HttpConnection(self)

    @property
    def n_active(self) -> int:
        """Requests that are being answered."""
        return sum(connection.is_active for connection in self.connections)

    async def drain(self, *, grace_s: float) -> None:
        """Accepts nothing new, lets what has begun be answered for up to `grace_s`, then cuts every
        connection."""
        self.draining = True
        self._stop_listening()
        deadline = self.loop.time() + grace_s
        for connection in list(self.connections):
            connection.close_if_idle()
        while self.connections and self.loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        for file, inode in self._socket_files:
            if file.exists() and file.stat().st_ino == inode:
                file.unlink(missing_ok=True)

    def _sweep(self) -> None:
        now = self.loop.time()
        for connection in list(self.connections):
            if connection.deadline < now:
                connection.time_out()
        self._sweeper = self.loop.call_later(self._sweep_s, self._sweep)


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
        self.peer = peer[0] if isinstance(peer, tuple) else ""
        self._server.connections.add(self)
        if len(self._server.connections) > self._limits.n_connections:
            self._deaf = True
            self._transport.write(
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
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
            self._refuse(_refusal(error))
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

    def write(self, data: bytes) -> None:
        self._transport.write(data)

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
        content_length = _framing(self._headers, version)
        return Exchange(
            self,
            method=self._parser.get_method(),
            target=_origin_form(self._parser.get_method(), self._url),
            headers=self._headers,
            http10=version == "1.0",
            keep_alive=self._parser.should_keep_alive() or _asks_only_for_upgrade(self._headers),
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


def _framing(headers: list[tuple[bytes, bytes]], version: str) -> int | None:
    """Length of the body; None when it is chunked. What two readers could frame in two ways is refused."""
    if version not in ("1.0", "1.1"):
        raise HeadRefused(505, f"HTTP version {version!r}: 1.1 and 1.0 are accepted")
    length, encoding, n_hosts = 0, b"", 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            encoding += b"," + value.strip().lower() if encoding else value.strip().lower()
        elif name == b"host":
            n_hosts += 1
    if n_hosts > 1 or (n_hosts == 0 and version == "1.1"):
        raise HeadRefused(400, f"Host: {n_hosts} headers; exactly one is needed")
    if not encoding:
        return length
    if version == "1.0":
        raise HeadRefused(400, "Transfer-Encoding: not part of HTTP/1.0")
    if encoding != b"chunked":
        raise HeadRefused(
            501, f"Transfer-Encoding: {encoding.decode('latin-1')!r}; only 'chunked' is accepted"
        )
    return None


def _asks_only_for_upgrade(headers: list[tuple[bytes, bytes]]) -> bool:
    tokens = [value.lower() for name, value in headers if name == b"connection"]
    return any(b"upgrade" in token for token in tokens) and not any(b"close" in token for token in tokens)


def _origin_form(method: bytes, target: bytes) -> bytes:
    if target.startswith(b"/"):
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    if target[:7].lower() in (b"http://", b"https:/"):
        _, _, rest = target.partition(b"://")
        _, slash, path = rest.partition(b"/")
        return slash + path or b"/"
    raise HeadRefused(400, f"request target: {target[:80].decode('latin-1')!r} does not begin with '/'")


def _refusal(error: httptools.HttpParserError) -> PlatformError:
    cause = error.__context__
    return cause if isinstance(cause, PlatformError) else HeadRefused(400, f"not HTTP/1.1: {error}")
