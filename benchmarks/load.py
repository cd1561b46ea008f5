"""The load of benchmarks: one request again and again over persistent connections. No benchmark itself.

The same few lines for every server that is measured, ours or not: an answer is looked at for its status and its length
and for nothing else, so that as little as possible of what is measured is the client's own.
"""

from __future__ import annotations

import asyncio
import time
from time import perf_counter
from typing import Final, cast

from endpoints.serving.address import Address

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_WITHIN_S: Final = 120.0


class WrongAnswer(RuntimeError):
    """A server answered something else than 200 with a length."""


class _Caller(asyncio.Protocol):
    """One connection: sends the request as soon as the answer before has arrived, until there are `n`."""

    def __init__(self, request: bytes, n: int) -> None:
        self.times: list[float] = []
        self.body = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._n = n
        self._received = b""
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def begin(self) -> None:
        self._sent_at = perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        received = self._received + data if self._received else data
        head, found, body = received.partition(_HEAD_END)
        if not found or len(body) < _length(head):
            self._received = received
            return
        now = perf_counter()
        self.times.append(now - self._sent_at)
        self._received = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._fail(WrongAnswer(received[:500].decode("utf-8", "replace")))
        elif len(self.times) < self._n:
            self._sent_at = now
            self._transport.write(self._request)
        else:
            self.body = body
            self._transport.close()
            if not self.done.done():
                self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(exc or ConnectionResetError("the server closed the connection"))

    def _fail(self, error: Exception) -> None:
        self._transport.close()
        if not self.done.done():
            self.done.set_exception(error)


async def latencies(address: Address, request: bytes, n: int) -> list[float]:
    """Seconds of each of `n` calls on one connection, one after the other."""
    caller = await _connected(address, request, n)
    caller.begin()
    await asyncio.wait_for(caller.done, _WITHIN_S)
    return caller.times


async def rate(address: Address, request: bytes, n: int, *, n_connections: int) -> float:
    """Calls per second, on so many connections at once; together they make about `n` calls."""
    callers = [await _connected(address, request, n // n_connections) for _ in range(n_connections)]
    began_at = perf_counter()
    for caller in callers:
        caller.begin()
    await asyncio.wait_for(asyncio.gather(*(caller.done for caller in callers)), _WITHIN_S)
    return sum(len(caller.times) for caller in callers) / (perf_counter() - began_at)


async def answered(address: Address, request: bytes, *, within_s: float = 60.0) -> bytes:
    """The first answer's body, asked for until there is one: the server is starting.

    Raises:
        OSError, WrongAnswer: What was the matter until the end.
    """
    deadline = time.monotonic() + within_s
    while True:
        try:
            caller = await _connected(address, request, 1)
            caller.begin()
            await asyncio.wait_for(caller.done, within_s)
            return caller.body
        except (OSError, WrongAnswer):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def _connected(address: Address, request: bytes, n: int) -> _Caller:
    loop = asyncio.get_running_loop()
    caller = _Caller(request, n)
    if address.path:
        await loop.create_unix_connection(lambda: caller, address.path)
    else:
        await loop.create_connection(lambda: caller, address.host, address.port)
    return caller


def _length(head: bytes) -> int:
    at = head.lower().find(_LENGTH)
    if at < 0:
        raise WrongAnswer(f"an answer without a length: {head[:300]!r}")
    return int(head[at + len(_LENGTH) :].partition(b"\r\n")[0])
