"""An HTTP server that says back what it was asked, with short limits, and requests to it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import HttpServer, Limits
from mlplatform.core.errors import NotAuthenticated
from tests.endpoints.loop_thread import RawClient

LIMIT_BYTES = 100_000
LIMITS = Limits(
    head_bytes=8192,
    n_headers=20,
    head_s=0.4,
    idle_s=0.6,
    body_stall_s=0.4,
    write_stall_s=0.6,
    linger_s=0.5,
    n_connections=50,
)


@dataclass
class Echo:
    """Answers with method, path, query and body; some paths misbehave on purpose."""

    n_requests: int = 0
    events: list[str] = field(default_factory=list)

    async def __call__(self, exchange: Exchange) -> None:
        self.n_requests += 1
        if exchange.path == b"/wait":
            await self._wait()
        elif exchange.path == b"/slow":
            await asyncio.sleep(0.1)
        elif exchange.path == b"/refused":
            raise NotAuthenticated("not you")
        elif exchange.path == b"/bug":
            raise RuntimeError("secret detail")
        elif exchange.path == b"/stream":
            await self._stream(exchange)
            return
        elif exchange.path == b"/pieces":
            exchange.respond(200, (), [b"%d" % (n % 10) * 50_000 for n in range(int(exchange.query))])
            return
        elif exchange.path == b"/cut":
            exchange.start(200, [], length=100)
            await exchange.send(b"half")
            return
        body = await exchange.body(limit_bytes=LIMIT_BYTES)
        line = b"%b %b %b " % (exchange.method, exchange.path, exchange.query)
        exchange.respond(200, [(b"content-type", b"text/plain")], line + body)

    async def _wait(self) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise

    async def _stream(self, exchange: Exchange) -> None:
        exchange.start(200, [], length=None)
        n_bytes = 0
        try:
            for _ in range(int(exchange.query or b"3")):
                await exchange.send(b"x" * 65536)
                n_bytes += 65536
        finally:
            self.events.append(f"sent {n_bytes}")
        exchange.finish()


@dataclass
class Served:
    address: tuple[str, int]
    echo: Echo
    server: HttpServer

    def client(self) -> RawClient:
        return RawClient(self.address)

    def exchange(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        with self.client() as client:
            client.send(data)
            return client.answer()


def post(body: bytes, path: bytes = b"/p", extra: bytes = b"") -> bytes:
    return b"POST %b HTTP/1.1\r\nHost: a\r\n%bContent-Length: %d\r\n\r\n%b" % (path, extra, len(body), body)


GET = b"GET /g?q=1 HTTP/1.1\r\nHost: a\r\n\r\n"
