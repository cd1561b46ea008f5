"""The caller's side of a relay: a connection to a socket of another machine, made and proved once.

What comes out is the connection that a protocol would have had to that socket. Called by the gateway for replicas of
other machines, and by `forwarder` for the socket of runs.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Generic, TypeVar, cast

from endpoints.relay import handshake
from endpoints.relay.encryption import binding_of, calling_context
from endpoints.relay.handshake import Asked, Word
from endpoints.relay.patience import CONNECT_S, tcp_tune

Made = TypeVar("Made", bound=asyncio.Protocol)


class RelayRefused(OSError):
    """The relay there was reached, and does not lead where it was asked to, or is not one of this platform."""


async def relay_connect(
    *, host: str, port: int, name: str, key: bytes, protocol: Callable[[], Made], within_s: float = CONNECT_S
) -> Made:
    """Connects `protocol()` to what the relay at `host:port` calls `name`.

    Args:
        name: See `targets`.
        key: See `handshake.relay_key`.

    Raises:
        OSError: Nobody is there, or not in time (TimeoutError); RelayRefused when the relay does not lead there.
    """
    loop = asyncio.get_running_loop()
    asking = _Asking(loop, name=name, key=key, protocol=protocol)
    transport: asyncio.BaseTransport | None = None
    try:
        async with asyncio.timeout(within_s):
            transport, _ = await loop.create_connection(
                lambda: asking, host, port, ssl=calling_context(), server_hostname="relay"
            )
            return await asking.done
    except BaseException as error:
        if transport is not None:
            cast(asyncio.Transport, transport).abort()
        if isinstance(error, ssl.SSLError):
            raise RelayRefused(f"{host}:{port} is no relay of this version: {error.reason}") from None
        raise


class _Asking(asyncio.Protocol, Generic[Made]):
    """Until the listener has proved itself. From then on the connection is the caller's protocol's, at once: whatever
    comes next, its end too, is for that one. `done` gives it.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, *, name: str, key: bytes, protocol: Callable[[], Made]
    ) -> None:
        self.done: asyncio.Future[Made] = loop.create_future()
        self._protocol = protocol
        self._asked = Asked(name, handshake.nonce_new())
        self._key = key
        self._said = b""
        self._listener_nonce = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        sock = transport.get_extra_info("socket")
        if sock is not None:
            tcp_tune(sock)
        certificate = transport.get_extra_info("ssl_object").getpeercert(True)
        self._binding = binding_of(certificate or b"")

    def data_received(self, data: bytes) -> None:
        self._said += data
        try:
            if not self._listener_nonce and len(self._said) >= handshake.GREETING_BYTES:
                self._greeted()
            if self._listener_nonce and len(self._said) >= handshake.ANSWER_BYTES:
                self._answered()
        except (ValueError, RelayRefused) as error:
            self._fail(error if isinstance(error, RelayRefused) else RelayRefused(str(error)))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(
            RelayRefused(
                f"the relay ended the connection: is its secret key another one? {exc or ''}".rstrip()
            )
        )

    def _greeted(self) -> None:
        said, self._said = self._said, self._said[handshake.GREETING_BYTES :]
        self._listener_nonce = handshake.greeting_read(said[: handshake.GREETING_BYTES])
        self.transport.write(
            handshake.request(
                key=self._key, binding=self._binding, listener_nonce=self._listener_nonce, asked=self._asked
            )
        )

    def _answered(self) -> None:
        said, early = self._said[: handshake.ANSWER_BYTES], self._said[handshake.ANSWER_BYTES :]
        word = handshake.answer_read(
            said, key=self._key, binding=self._binding, listener_nonce=self._listener_nonce, asked=self._asked
        )
        if word is None:
            raise RelayRefused("what listens there does not have the platform's secret key")
        if word == Word.NOBODY:
            raise RelayRefused(f"nobody listens at {self._asked.name} of that machine")
        if word == Word.BUSY:
            raise RelayRefused("the relay there has as many connections as it takes")
        if self.done.done():  # the caller gave up
            return
        made = self._protocol()
        self.transport.set_protocol(made)
        made.connection_made(self.transport)
        if early:
            made.data_received(early)
        self.done.set_result(made)

    def _fail(self, error: RelayRefused) -> None:
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # a caller that gave up meanwhile does not hear of it
        self.transport.abort()
