"""A relay's listener, sockets behind it, and callers, on one event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop

from endpoints.relay.dial import relay_connect
from endpoints.relay.handshake import relay_key
from endpoints.relay.listener import RelayListener
from endpoints.relay.targets import replica_name
from endpoints.server_spec import socket_folder
from endpoints.serving.address import Address

KEY = relay_key("secret")
UID = "0123456789abcdefghijklmnop"


class Caller(asyncio.Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.ended = asyncio.Event()
        self._more = asyncio.Event()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.received += data
        self._more.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()
        self._more.set()

    async def has(self, n_bytes: int) -> bytes:
        while len(self.received) < n_bytes and not self.ended.is_set():
            self._more.clear()
            await self._more.wait()
        return bytes(self.received)


def story_run(test: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(20):
            await test

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says back what it hears, and `bye` ends it."""
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
        if data == b"bye":
            break
    writer.close()


@asynccontextmanager
async def echoing(path: Path) -> AsyncIterator[asyncio.Server]:
    path.parent.mkdir(parents=True, exist_ok=True)
    server = await asyncio.start_unix_server(_echo, str(path))
    yield server
    server.close()


def replica_socket(folder: Path) -> Path:
    return socket_folder(folder / "replicas", uid=UID) / "model.sock"


@asynccontextmanager
async def relay_listening(folder: Path, **options: Any) -> AsyncIterator[tuple[RelayListener, int]]:
    relay = RelayListener(key=KEY, folder=folder, **options)
    port = relay.listen(Address(host="127.0.0.1", port=0))
    yield relay, port
    await relay.close()


async def call(port: int, *, name: str = replica_name(UID), key: bytes = KEY) -> Caller:
    return await relay_connect(host="127.0.0.1", port=port, name=name, key=key, protocol=Caller)
