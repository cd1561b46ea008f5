"""A gateway with everything around it on one event loop: model servers, a web process, a table, counts."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from endpoints.capture.recorder import Recorder
from endpoints.elastic import Load
from endpoints.gateway.routing import KeyRecord, Route, RouteVariant, RoutingTable, Version
from endpoints.gateway.runs import RunsDoor
from endpoints.gateway.server import Gateway, GatewayConfig
from endpoints.gateway.tally import MinuteCounts
from endpoints.serving.address import Address
from endpoints.serving.answers import refuse
from endpoints.serving.app import ModelApplication
from endpoints.serving.batching import Batcher
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import HttpServer, Limits
from endpoints.serving.loader import model_try
from tests.endpoints.loop_thread import LoopThread, RawClient
from tests.endpoints.serving.engines import LinearPredictor

ALICE, BOB, CHARLIE = "AKALICE.alice-secret", "AKBOB.bob-secret", "AKCHARLIE.charlie-secret"
RUNS_KEY = b"the key of this stage's runs"
PATH = "/api/v1/projects/default/endpoints/iris/invocations"


def key(token: str, project: str, role: str, expires_at: float | None = None) -> tuple[str, KeyRecord]:
    key_id, _, secret = token.partition(".")
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return key_id, KeyRecord(digest, project, role, key_id.lower(), expires_at)


KEYS = dict([key(ALICE, "default", "editor"), key(BOB, "default", "viewer"), key(CHARLIE, "other", "admin")])


@dataclass
class Web:
    """Stands where the web process stands: tells what it was asked, streams, uploads, sends events."""

    events: list[str] = field(default_factory=list)
    n_uploaded: int = 0
    n_downloaded: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, exchange: Exchange) -> None:
        handlers = {
            b"/upload": self._upload,
            b"/sse": self._sse,
            b"/big": self._big,
            b"/refuse": self._refuse,
        }
        await handlers.get(exchange.path, self._tell)(exchange)

    async def _tell(self, exchange: Exchange) -> None:
        body = await exchange.body(limit_bytes=2**20)
        content = {
            "method": exchange.method.decode(),
            "target": exchange.target.decode(),
            "headers": [(name.decode(), value.decode("latin-1")) for name, value in exchange.headers],
            "body": body.decode("latin-1"),
        }
        exchange.respond(
            200, [(b"content-type", b"application/json"), (b"x-web", b"1")], json.dumps(content).encode()
        )

    async def _upload(self, exchange: Exchange) -> None:
        digest = hashlib.sha256()
        try:
            while chunk := await exchange.read():
                self.n_uploaded += len(chunk)
                digest.update(chunk)
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        exchange.respond(201, (), digest.hexdigest().encode())

    async def _refuse(self, exchange: Exchange) -> None:
        exchange.respond(403, (), b"no uploads today")

    async def _sse(self, exchange: Exchange) -> None:
        exchange.start(200, [(b"content-type", b"text/event-stream")], length=None)
        await exchange.send(b"data: 1\n\n")
        try:
            await self.release.wait()
            await exchange.send(b"data: 2\n\n")
        except asyncio.CancelledError:
            self.events.append("cancelled")
            raise
        exchange.finish()

    async def _big(self, exchange: Exchange) -> None:
        exchange.start(200, [], length=50 * 2**20)
        for _ in range(50 * 16):
            await exchange.send(b"y" * 65536)
            self.n_downloaded += 65536
        exchange.finish()


@dataclass
class ModelServer:
    address: Address
    predictor: LinearPredictor
    server: HttpServer


class Stage:
    """Everything in its place. The table and whether loading and flushing fail may be changed at any time."""

    def __init__(
        self,
        loop_thread: LoopThread,
        folder: Path,
        *,
        load_error: Exception | None = None,
        recorder: Recorder | None = None,
        **options: object,
    ) -> None:
        self.loop_thread = loop_thread
        self.folder = folder
        self.table = RoutingTable(0, (), KEYS)
        self.flushed: list[MinuteCounts] = []
        self.load_error = load_error
        self.n_loads = 0
        self.flush_error: Exception | None = None
        self.loads: list[Load] = []
        self.met: list[tuple[int, int]] = []
        self.loads_error: Exception | None = None
        self.web = loop_thread.make(Web)
        self.web_address = Address(path=str(folder / "web"))
        self._servers: list[HttpServer] = []
        config = GatewayConfig(
            Address(host="127.0.0.1"),
            Address(path=str(folder / "gateway")),
            self.web_address,
            RunsDoor(Address(path=str(folder / "runs")), RUNS_KEY),
            **{"flush_every_s": 0.05, "reload_every_s": 3600.0, "grace_s": 2.0, **options},
        )
        self.gateway = loop_thread.make(
            lambda: Gateway(
                config,
                load_table=self._load,
                flush=self._flush,
                write_loads=self._write_loads,
                recorder=recorder,
            )
        )
        self.public = loop_thread.call(self.gateway.start())

    def close(self) -> None:
        self.loop_thread.call(self.gateway.stop())
        for server in self._servers:
            self.loop_thread.call(server.drain(grace_s=0))

    def start_web(self) -> None:
        self.serve(self.web, self.web_address, Limits())

    def serve(self, app: object, address: Address, limits: Limits | None = None) -> HttpServer:
        server = self.loop_thread.make(lambda: HttpServer(app, refuse=refuse, limits=limits))
        self.loop_thread.call(server.listen(address))
        self._servers.append(server)
        return server

    def model_server(
        self, name: str, weights: Sequence[float] = (1, 10), pause_s: float = 0.0
    ) -> ModelServer:
        predictor = LinearPredictor(list(weights), pause_s)
        address = Address(path=str(self.folder / name))
        app = self.loop_thread.make(lambda: ModelApplication(model_try(predictor), Batcher(predictor)))
        return ModelServer(address, predictor, self.serve(app, address))

    def route(self, *variants: RouteVariant, status: str = "InService") -> None:
        """Makes `variants` the endpoint `iris` of project `default`, and has the gateway know it at once."""
        route = Route("default", "iris", 7, status, variants)
        self.table = RoutingTable(int(self.table.version) + 1, (route,), self.table.keys)
        assert self.reload() == 200

    def reload(self) -> int:
        with self.trusted() as client:
            client.send(b"POST /control/reload HTTP/1.1\r\nHost: g\r\nContent-Length: 0\r\n\r\n")
            return client.answer()[0]

    def client(self) -> RawClient:
        return RawClient((self.public.host, self.public.port))

    def trusted(self) -> RawClient:
        return RawClient(str(self.folder / "gateway"))

    def runs(self) -> RawClient:
        return RawClient(str(self.folder / "runs"))

    def invoke(
        self, body: bytes = b"1,2", *, token: str | None = ALICE, path: str = PATH, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        with self.client() as client:
            client.send(invocation(body, token=token, path=path, **headers))
            return client.answer()

    def _load(self, known: Version | None) -> RoutingTable | None:
        self.n_loads += 1
        if self.load_error is not None:
            raise self.load_error
        return self.table if self.table.version != known else None

    def _write_loads(self, loads: Sequence[Load], met: Sequence[tuple[int, int]]) -> None:
        if self.loads_error is not None:
            raise self.loads_error
        self.loads += loads
        self.met += met

    def _flush(self, counts: Sequence[MinuteCounts]) -> None:
        if self.flush_error is not None:
            raise self.flush_error
        self.flushed += counts


def invocation(body: bytes = b"1,2", *, token: str | None = ALICE, path: str = PATH, **headers: str) -> bytes:
    """An invocation's bytes; `headers` with underscores for hyphens."""
    given = {"Content-Type": "text/csv"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if token is not None:
        given["Authorization"] = f"Bearer {token}"
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    head = f"POST {path} HTTP/1.1\r\nHost: platform.example\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
