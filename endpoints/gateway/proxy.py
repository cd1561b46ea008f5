"""Hands requests on to the web process, both ways as a stream: uploads of gigabytes, server-sent events,
downloads.

Each request gets a connection of its own: on a unix socket that costs next to nothing beside a page, and
nothing of one request can ever be left over for the next. When the client goes away, so does that connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from endpoints.gateway.headers import headers_for_client, headers_for_web, request_id_of
from endpoints.gateway.pages import BadGateway, GatewayTimeout, page_answer
from endpoints.serving.address import Address
from endpoints.serving.client import CallFailed, Connection, connect
from endpoints.serving.exchange import Exchange
from mlplatform.core.errors import PlatformError, ServiceUnavailable

_EVENT_STREAM = b"text/event-stream"
ANSWER_WITHIN_S = 960.0
"""Longer than an upload may be read (`jobs.data.process`), so that its reader is told what came of it."""


class WebProxy:
    """The way to the web process.

    Args:
        trusted_proxies: Peers (such as a TLS proxy on this machine) whose X-Forwarded-* headers are believed.
        answer_within_s: From the request's last byte to the answer's first.
    """

    def __init__(
        self, web: Address, *, trusted_proxies: Collection[str] = (), answer_within_s: float = ANSWER_WITHIN_S
    ) -> None:
        self._web = web
        self._trusted_proxies = frozenset(trusted_proxies)
        self._answer_within_s = answer_within_s
        self._event_streams: set[Connection] = set()
        self._is_ending = False

    def end_event_streams(self) -> None:
        """Ends server-sent events, which would last as long as their readers; a browser then comes back by itself."""
        self._is_ending = True
        for connection in list(self._event_streams):
            connection.close()

    async def __call__(self, exchange: Exchange) -> None:
        request_id = request_id_of(exchange.headers)
        try:
            connection = await connect(self._web)
        except CallFailed:
            error = ServiceUnavailable("the web process does not answer yet; try again in a moment")
            page_answer(exchange, error, request_id)
            return
        try:
            await self._hand_on(exchange, connection, request_id)
        finally:
            connection.close()

    async def _hand_on(self, exchange: Exchange, connection: Connection, request_id: bytes) -> None:
        connection.begin(self._head(exchange, request_id), head_only=exchange.method == b"HEAD")
        upload = asyncio.ensure_future(self._upload(exchange, connection))
        try:
            await self._answer(exchange, connection, request_id)
        except CallFailed as failure:
            error = _reason(upload, failure)
            if exchange.started:
                return  # unanswered: the server cuts the connection, so the client notices
            if isinstance(error, BadGateway | GatewayTimeout):
                page_answer(exchange, error, request_id)
            else:
                raise error from None
        finally:
            upload.cancel()
            await asyncio.gather(upload, return_exceptions=True)

    def _head(self, exchange: Exchange, request_id: bytes) -> bytes:
        headers = headers_for_web(
            exchange.headers, peer=exchange.peer, request_id=request_id, trusted_proxies=self._trusted_proxies
        )
        if exchange.content_length is None:
            headers.append((b"transfer-encoding", b"chunked"))
        elif exchange.content_length or exchange.method in (b"POST", b"PUT", b"PATCH"):
            headers.append((b"content-length", b"%d" % exchange.content_length))
        headers.append((b"connection", b"close"))
        lines = [b"%b %b HTTP/1.1\r\n" % (exchange.method, exchange.target)]
        lines += [b"%b: %b\r\n" % header for header in headers]
        return b"".join(lines) + b"\r\n"

    async def _upload(self, exchange: Exchange, connection: Connection) -> None:
        """Carries the request's body over; a body that breaks off ends the connection, so that half is never
        acted on."""
        is_chunked = exchange.content_length is None
        try:
            while chunk := await exchange.read():
                await connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if is_chunked else chunk)
            if is_chunked:
                await connection.send(b"0\r\n\r\n")
        except PlatformError:
            connection.close()
            raise
        connection.give_up_at(asyncio.get_running_loop().time() + self._answer_within_s)

    async def _answer(self, exchange: Exchange, connection: Connection, request_id: bytes) -> None:
        status = await connection.head()
        connection.stop_timer()
        headers, length = headers_for_client(connection.headers, request_id=request_id)
        exchange.start(status, headers, length=length)
        if any(name == b"content-type" and value.startswith(_EVENT_STREAM) for name, value in headers):
            await self._answer_events(exchange, connection)
        else:
            await _copy(connection, exchange)
        exchange.finish()

    async def _answer_events(self, exchange: Exchange, connection: Connection) -> None:
        self._event_streams.add(connection)
        try:
            await _copy(connection, exchange)
        except CallFailed:
            if not self._is_ending:
                raise
        finally:
            self._event_streams.discard(connection)


async def _copy(connection: Connection, exchange: Exchange) -> None:
    while chunk := await connection.read():
        connection.stop_timer()
        await exchange.send(chunk)


def _reason(upload: asyncio.Future[None], failure: CallFailed) -> PlatformError:
    """What to tell the client: its own body's fault, if that is why the connection ended."""
    if upload.done() and not upload.cancelled():
        error = upload.exception()
        if isinstance(error, PlatformError):
            return error
    if failure.is_late:
        return GatewayTimeout("the web process did not answer in time")
    return BadGateway("the web process ended before it had answered")
