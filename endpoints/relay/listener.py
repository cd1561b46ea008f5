"""The relay of a machine: takes connections of other machines of the platform to the sockets that `targets` names.

Whoever connects has a few seconds to prove that he has the platform's secret key, and few may be at that stage at a
time; then the relay connects to the socket that was asked for and passes bytes on. It looks at none of them: what a
socket believes it goes on to check itself. Run by host and gateway (`running`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Final, cast

from endpoints.relay import handshake
from endpoints.relay.encryption import Listening, listening_new
from endpoints.relay.handshake import Asked, Word
from endpoints.relay.patience import CONNECT_S, tcp_tune
from endpoints.relay.splice import SpliceEnd, splice
from endpoints.relay.targets import target_path
from endpoints.serving.address import BACKLOG, Address, socket_path

logger = logging.getLogger(__name__)

UNPROVED_MAX: Final = 128
CONNECTIONS_MAX: Final = 2048
_PAUSE_S: Final = 0.05


class RelayListener:
    """Serves one address until `close`.

    Args:
        key: See `handshake.relay_key`.
        folder: The folder of the machine's sockets.
        within_s: How long somebody may take to prove himself.
    """

    def __init__(
        self,
        *,
        key: bytes,
        folder: Path,
        unproved_max: int = UNPROVED_MAX,
        connections_max: int = CONNECTIONS_MAX,
        within_s: float = CONNECT_S,
    ) -> None:
        self.key = key
        self.folder = folder
        self.within_s = within_s
        self.connections_max = connections_max
        self.spliced: set[SpliceEnd] = set()
        self.encryption: Listening = listening_new()
        self._room = asyncio.Semaphore(unproved_max)
        self._sock: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._callers: set[asyncio.Task[None]] = set()

    def listen(self, address: Address) -> int:
        """Starts to accept; answers with the port.

        Raises:
            OSError: The address is taken, or is none of this machine.
        """
        self._sock = socket.create_server(
            (address.host, address.port),
            family=address.family,
            backlog=BACKLOG,
        )
        self._sock.setblocking(False)
        self._accepting = asyncio.get_running_loop().create_task(self._accept(self._sock))
        return cast(int, self._sock.getsockname()[1])

    async def close(self) -> None:
        """Accepts no more and ends every connection."""
        tasks = [task for task in (self._accepting, *self._callers) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sock is not None:
            self._sock.close()
        for end in list(self.spliced):
            end.abort()

    async def _accept(self, listening: socket.socket) -> None:
        """No more are taken in than may be unproved; others wait in the kernel's queue."""
        loop = asyncio.get_running_loop()
        while True:
            await self._room.acquire()
            try:
                sock, _ = await loop.sock_accept(listening)
            except OSError as error:  # no more files may be open
                self._room.release()
                logger.warning("the relay takes no connection: %s", error)
                await asyncio.sleep(_PAUSE_S)
                continue
            except BaseException:
                self._room.release()
                raise
            caller = loop.create_task(self._serve(sock))
            self._callers.add(caller)
            caller.add_done_callback(self._served)

    def _served(self, caller: asyncio.Task[None]) -> None:
        self._callers.discard(caller)
        self._room.release()

    async def _serve(self, sock: socket.socket) -> None:
        """From the first byte until the connection is spliced, or is not."""
        tcp_tune(sock)
        asked = _Greeting(self)
        try:
            async with asyncio.timeout(self.within_s):
                await asyncio.get_running_loop().connect_accepted_socket(
                    lambda: asked, sock, ssl=self.encryption.context, ssl_handshake_timeout=self.within_s
                )
                await self._lead(asked, await asked.done)
        except BaseException as error:
            asked.abort()
            sock.close()
            if not isinstance(error, OSError):  # of the connection, or no more time for it
                raise

    async def _lead(self, caller: _Greeting, asked: Asked) -> None:
        if len(self.spliced) >= 2 * self.connections_max:
            caller.refuse(asked, Word.BUSY)
            return
        there = await self._reach(asked.name)
        if there is None:
            caller.refuse(asked, Word.NOBODY)
            return
        caller.connected(asked, there)

    async def _reach(self, name: str) -> SpliceEnd | None:
        path = target_path(name, folder=self.folder)
        if path is None:
            return None
        end = self.end_new()
        try:
            await _connect(end, path)
        except BaseException as error:
            self.spliced.discard(end)
            if isinstance(error, OSError):
                return None
            raise
        end.hold()
        return end

    def end_new(self) -> SpliceEnd:
        end = SpliceEnd(on_lost=lambda: self.spliced.discard(end))
        self.spliced.add(end)
        return end


async def _connect(end: SpliceEnd, path: Path) -> None:
    """Raises OSError where nobody listens."""
    while True:
        try:
            with socket_path(str(path)) as place:
                await asyncio.get_running_loop().create_unix_connection(lambda: end, place)
            return
        except BlockingIOError:  # as many wait to be taken in as may: busy, not away
            await asyncio.sleep(_PAUSE_S)


class _Greeting(asyncio.Protocol):
    """Until the caller has proved himself. `done` gives what he asked for."""

    def __init__(self, relay: RelayListener) -> None:
        self.done: asyncio.Future[Asked] = asyncio.get_running_loop().create_future()
        self._relay = relay
        self._nonce = handshake.nonce_new()
        self._said = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(handshake.greeting(self._nonce))

    def data_received(self, data: bytes) -> None:
        self._said += data
        wanted = handshake.request_bytes(self._said)
        if wanted is None or len(self._said) < wanted or self.done.done():
            if len(self._said) > 4 * handshake.NAME_BYTES_MAX:
                self.abort()
            return
        asked = handshake.request_read(
            self._said,
            key=self._relay.key,
            binding=self._relay.encryption.binding,
            listener_nonce=self._nonce,
        )
        if asked is None:
            self.abort()
        else:
            self.done.set_result(asked)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if not self.done.done():
            self.done.set_exception(ConnectionResetError("the caller has not proved himself"))
            self.done.exception()

    def refuse(self, asked: Asked, word: Word) -> None:
        if self._transport is not None:
            self._transport.write(self._answer(asked, word))
            self._transport.close()

    def connected(self, asked: Asked, there: SpliceEnd) -> None:
        """From here on bytes are passed on."""
        transport = self._transport
        if transport is None or transport.is_closing():  # a new protocol would not hear of its end
            there.abort()
            return
        here = self._relay.end_new()
        transport.set_protocol(here)
        here.connection_made(transport)
        transport.write(self._answer(asked, Word.CONNECTED))  # before what may have come from there already
        splice(here, there)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, asked: Asked, word: Word) -> bytes:
        return handshake.answer(
            word,
            key=self._relay.key,
            binding=self._relay.encryption.binding,
            listener_nonce=self._nonce,
            asked=asked,
        )
