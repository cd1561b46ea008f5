"""A bare HTTP/1.1 server on asyncio and httptools: connections, limits and timeouts.

Used by the model server and by the gateway, because a prediction must not wait for a web framework. It is no
framework: an application is one coroutine function that takes an `Exchange`. What this file guarantees to it:
framing that cannot be read in two ways, one request of a connection at a time and in order, bounded memory, a
task that is cancelled when the client goes away, and no connection that idles, trickles or refuses to read
for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from endpoints.serving.address import BACKLOG, Address, socket_listen
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1_connection import HttpConnection
from mlplatform.core.errors import PlatformError

Application = Callable[[Exchange], Awaitable[None]]
Refuse = Callable[[Exchange, PlatformError], None]


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
