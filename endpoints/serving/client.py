"""The client half of HTTP/1.1: connections to one server, on a unix socket or TCP, kept between calls.

The gateway calls model servers through a `ConnectionPool` and hands everything else on to the web process over a
`Connection` of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from endpoints.serving.address import Address, socket_path
from endpoints.serving.client_connection import Answer, AnswerTooLong, CallFailed, Connection

__all__ = ["Answer", "AnswerTooLong", "CallFailed", "Connect", "Connection", "ConnectionPool", "connect"]

Connect = Callable[[Address], Awaitable[Connection]]
"""Opens a connection, as `connect` does."""

_CONNECT_S = 5.0


async def connect(address: Address) -> Connection:
    """A new connection.

    Raises:
        CallFailed: Nobody listens there; nothing was delivered.
    """
    loop = asyncio.get_running_loop()
    connection = Connection(loop, address)
    try:
        if address.path:
            await _connect_unix(loop, connection, address.path)
        else:
            await asyncio.wait_for(
                loop.create_connection(lambda: connection, address.host, address.port), _CONNECT_S
            )
    except (OSError, TimeoutError) as error:
        raise CallFailed(f"{address}: {error}", is_delivered=False) from None
    return connection


async def _connect_unix(loop: asyncio.AbstractEventLoop, connection: Connection, path: str) -> None:
    """A full backlog is an error at once on a unix socket; it means busy, not away, and is waited for."""
    deadline = loop.time() + _CONNECT_S
    while True:
        try:
            with socket_path(path) as there:
                await loop.create_unix_connection(lambda: connection, there)
            return
        except BlockingIOError:
            if loop.time() > deadline:
                raise
            await asyncio.sleep(0.005)


class ConnectionPool:
    """Persistent connections to one address; the most recently used is taken first.

    Args:
        idle_s: A connection idle for longer is not trusted any more and closed.
        connect: Opens a connection; another one than usual for addresses behind a relay.
    """

    def __init__(
        self, address: Address, *, idle_s: float = 60.0, n_idle: int = 64, connect: Connect = connect
    ) -> None:
        self.address = address
        self._connect = connect
        self._idle_s = idle_s
        self._n_idle = n_idle
        self._is_closed = False
        self._idle: list[Connection] = []

    async def call(self, request: bytes, *, limit_bytes: int, timeout_s: float) -> Answer:
        """Sends a whole request and gives the whole answer.

        A kept connection that turns out to have been closed is replaced by a fresh one, once: so requests
        must be ones that may be repeated as long as no byte was answered, as predictions are.

        Raises:
            CallFailed: See its attributes for what may be done about it.
        """
        connection = self._take()
        if connection is None:
            return await self._call(await self._connect(self.address), request, limit_bytes, timeout_s)
        try:
            return await self._call(connection, request, limit_bytes, timeout_s)
        except CallFailed as stale:
            if stale.is_answered or stale.is_late:
                raise
            try:
                fresh = await self._connect(self.address)
            except CallFailed:
                raise stale from None  # the server may have died of this very request: it counts as delivered
            return await self._call(fresh, request, limit_bytes, timeout_s)

    def close(self) -> None:
        """Closes what is idle now, and what is in use once it is idle."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().close()

    async def _call(
        self, connection: Connection, request: bytes, limit_bytes: int, timeout_s: float
    ) -> Answer:
        loop = asyncio.get_running_loop()
        try:
            connection.give_up_at(loop.time() + timeout_s)
            connection.begin(request)
            answer = await connection.answer(limit_bytes=limit_bytes)
        except BaseException:
            connection.close()
            raise
        connection.stop_timer()
        self._keep(connection, loop.time())
        return answer

    def _take(self) -> Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_reusable and now - connection.idle_since < self._idle_s:
                return connection
            connection.close()
        return None

    def _keep(self, connection: Connection, now: float) -> None:
        connection.idle_since = now
        if connection.is_reusable and len(self._idle) < self._n_idle and not self._is_closed:
            self._idle.append(connection)
        else:
            connection.close()
