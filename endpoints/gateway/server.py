"""The gateway: the one public port, the trusted unix socket of the web process, and the socket of runs, which trusts
nobody.

Invocations with an access key are served here; everything else goes on to the web process. Composes the parts
of this package; it knows no database: `load_table` and `flush` are given to it (by `manage.py gateway`, or by
a test).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from time import monotonic, time
from typing import Any

import uvloop

from endpoints.async_limits import BODY_BYTES_MAX, PATIENT_S
from endpoints.capture.recorder import Recorder
from endpoints.gateway.balance import Balancer
from endpoints.gateway.headers import request_id_of
from endpoints.gateway.invoke import Invoker, endpoint_not_found, invocation_of
from endpoints.gateway.keys import key_authenticate
from endpoints.gateway.loads import LoadWriter, WriteLoads, nothing_written
from endpoints.gateway.metrics import PATH as METRICS_PATH
from endpoints.gateway.metrics import MetricsDoor
from endpoints.gateway.proxy import WebProxy
from endpoints.gateway.refresh import LoadTable, TableKeeper
from endpoints.gateway.relay import GatewayRelay
from endpoints.gateway.routing import KeyRecord, RoutingTable
from endpoints.gateway.runs import BODIES_BYTES_MAX, RunsApplication, RunsDoor, runs_limits
from endpoints.gateway.tally import Flush, Tally, TallyWriter
from endpoints.serving.address import Address
from endpoints.serving.answers import JSON, MAX_BODY_BYTES, error_answer
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import HttpServer, Limits
from endpoints.serving.lifeline import Lifeline, lifeline_wait
from mlplatform.core.errors import NotAuthenticated, NotFound, PlatformError, ServiceUnavailable
from mlplatform.core.open_files import open_files_allow
from mlplatform.core.process_memory import freed_memory_keep

logger = logging.getLogger(__name__)

_PROJECT = b"x-mlplatform-project"
_N_FILES = 32_768
_N_CONNECTIONS = 8_192
_CAPTURE_TURN_S = 1.0


@dataclass(frozen=True)
class GatewayConfig:
    """Where the gateway listens and what it leads to."""

    public: Address
    trusted: Address
    web: Address
    runs: RunsDoor | None = None
    relay: GatewayRelay = field(default_factory=GatewayRelay)
    trusted_proxies: frozenset[str] = frozenset()
    metrics_token: str = field(default="", repr=False)
    reload_every_s: float = 0.25
    flush_every_s: float = 2.0
    grace_s: float = 30.0
    answer_within_s: float = 60.0
    n_outstanding_max: int = 200
    bodies_bytes_max: int = 256 * 1024 * 1024
    wait_within_s: float = 60.0
    n_waiting_max: int = 2000
    limits: Limits = field(default_factory=Limits)


class Gateway:
    """A running gateway: `start()`, then `stop()`."""

    def __init__(
        self,
        config: GatewayConfig,
        *,
        load_table: LoadTable,
        flush: Flush,
        write_loads: WriteLoads = nothing_written,
        recorder: Recorder | None = None,
    ) -> None:
        self._config = config
        self._recorder = recorder
        self._keys: Mapping[str, KeyRecord] = {}
        self._loads = LoadWriter(write_loads, lambda: self._balancer.elastic_variants())
        self._balancer = Balancer(nudge=self._loads.nudge, connect=config.relay.connect)
        self._keeper = TableKeeper(load_table, self._adopt, every_s=config.reload_every_s)
        self._tally = Tally()
        self._writer = TallyWriter(self._tally, flush, every_s=config.flush_every_s)
        self._invoke = self._invoker(config.bodies_bytes_max)
        self._proxy = WebProxy(config.web, trusted_proxies=config.trusted_proxies)
        self._public = HttpServer(self._serve_public, refuse=_refuse, limits=config.limits)
        self._trusted = HttpServer(self._serve_trusted, refuse=_refuse, limits=config.limits)
        self._metrics = MetricsDoor(
            config.metrics_token,
            balancer=self._balancer,
            tally=self._tally,
            web=config.web,
            n_connections=lambda: self._public.n_active,
            body_bytes=lambda: self._invoke.body_bytes,
        )
        self._servers = [self._public, self._trusted]
        self._loops: list[asyncio.Task[None]] = []
        self._listener: socket.socket | None = None
        self._reloads: set[asyncio.Task[bool]] = set()

    async def start(self) -> Address:
        """Listens; answers with the public address, its port filled in.

        Raises:
            OSError: The port or the socket is taken.
        """
        public = await self._public.listen(self._config.public)
        await self._trusted.listen(self._config.trusted, mode=0o600)
        if self._config.runs is not None:
            await self._listen_for_runs(self._config.runs)
        self._loops = [
            asyncio.create_task(self._keeper.run()),
            asyncio.create_task(self._writer.run()),
            asyncio.create_task(self._loads.run()),
            *self._config.relay.tasks(),
        ]
        if self._recorder is not None:
            self._loops.append(asyncio.create_task(_turn(self._recorder)))
        return public

    def listen_for_changes(self, listener: socket.socket) -> None:
        """Whoever changed what the routing table says may send a datagram there, so that it is loaded at once."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        loop.add_reader(listener.fileno(), self._told_of_changes, listener)
        self._listener = listener

    async def stop(self) -> None:
        """Answers what has begun, writes the last counts, ends."""
        grace_s = self._config.grace_s
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener.fileno())
            self._listener.close()
        self._proxy.end_event_streams()
        await asyncio.gather(*(server.drain(grace_s=grace_s) for server in self._servers))
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        if self._recorder is not None:
            self._recorder.close()
        await self._writer.write()
        self._writer.close()
        self._metrics.close()
        self._loads.close()
        self._keeper.close()
        self._balancer.close()

    async def _listen_for_runs(self, door: RunsDoor) -> None:
        invoke = self._invoker(BODIES_BYTES_MAX, body_bytes_max=BODY_BYTES_MAX, patient_s=PATIENT_S)
        app = RunsApplication(invoke, key=door.key)
        server = HttpServer(app, refuse=_refuse, limits=runs_limits(self._config.limits))
        self._servers.append(server)
        await server.listen(door.address, mode=0o600)

    def _invoker(
        self, bodies_bytes_max: int, *, body_bytes_max: int = MAX_BODY_BYTES, patient_s: float = 0.0
    ) -> Invoker:
        return Invoker(
            self._balancer,
            self._keeper,
            self._tally,
            answer_within_s=self._config.answer_within_s,
            n_outstanding_max=self._config.n_outstanding_max,
            bodies_bytes_max=bodies_bytes_max,
            wait_within_s=self._config.wait_within_s,
            n_waiting_max=self._config.n_waiting_max,
            body_bytes_max=body_bytes_max,
            patient_s=patient_s,
            recorder=self._recorder,
        )

    def _told_of_changes(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                listener.recv(1)
        reload = asyncio.ensure_future(self._keeper.refresh())
        self._reloads.add(reload)
        reload.add_done_callback(self._reloads.discard)

    def _adopt(self, table: RoutingTable) -> None:
        self._keys = table.keys
        self._balancer.adopt(table)
        self._tally.forget({route.endpoint_id for route in table.routes})

    # ---- the public port

    async def _serve_public(self, exchange: Exchange) -> None:
        found = invocation_of(exchange)
        authorization = exchange.header(b"authorization")
        if found is None or (authorization is None and exchange.header(b"cookie") is not None):
            is_scrape = exchange.path == METRICS_PATH and exchange.method == b"GET"
            await (self._metrics(exchange) if is_scrape else self._proxy(exchange))
            return
        self._invoke.require_table()
        key = await self._authenticate(authorization)
        project, endpoint_name = found
        if key.project_name != project:
            raise endpoint_not_found(project, endpoint_name)
        await self._invoke(
            exchange, project=project, endpoint_name=endpoint_name, request_id=request_id_of(exchange.headers)
        )

    async def _authenticate(self, authorization: bytes | None) -> KeyRecord:
        """A key that is not known may have been made a moment ago: the table is asked for once more.

        Sparingly: who guesses keys waits for the next of four looks a second and makes no query of his own.
        """
        try:
            return key_authenticate(authorization, self._keys, now=time())
        except NotAuthenticated:
            if authorization is None or not await self._keeper.refresh_sparingly():
                raise
            return key_authenticate(authorization, self._keys, now=time())

    # ---- the trusted socket

    async def _serve_trusted(self, exchange: Exchange) -> None:
        if exchange.path == b"/control/reload" and exchange.method == b"POST":
            await self._reload(exchange)
            return
        if exchange.path == b"/control/status" and exchange.method == b"GET":
            exchange.respond(200, [JSON], json.dumps(self._status()).encode())
            return
        found = invocation_of(exchange)
        if found is None:
            raise NotFound(
                "only invocations, POST /control/reload and GET /control/status are served on this socket"
            )
        self._invoke.require_table()
        project, endpoint_name = found
        if exchange.header(_PROJECT) != project.encode():
            raise endpoint_not_found(project, endpoint_name)
        await self._invoke(
            exchange, project=project, endpoint_name=endpoint_name, request_id=request_id_of(exchange.headers)
        )

    async def _reload(self, exchange: Exchange) -> None:
        if not await self._keeper.refresh():
            raise ServiceUnavailable("the routing table could not be loaded; the gateway's log says why")
        exchange.respond(200, [JSON], json.dumps({"version": self._keeper.version}).encode())

    def _status(self) -> dict[str, Any]:
        replicas = [
            {
                "address": str(replica.address),
                "outstanding": replica.n_outstanding,
                "resting": replica.resting_until > monotonic(),
            }
            for replica in self._balancer.replicas()
        ]
        return {"version": self._keeper.version, "active": self._public.n_active, "replicas": replicas}


def gateway_run(
    config: GatewayConfig,
    *,
    load_table: LoadTable,
    flush: Flush,
    write_loads: WriteLoads = nothing_written,
    recorder: Recorder | None = None,
    changes: socket.socket | None = None,
    lifeline: Lifeline | None = None,
) -> int:
    """Runs a gateway until SIGTERM or SIGINT; answers the process's exit code.

    Args:
        load_table: See `TableKeeper`.
        flush: See `TallyWriter`.
        write_loads: See `LoadWriter`.
        recorder: Captures what is answered, of endpoints that want it.
        changes: Where it is told that the routing table has changed.
        lifeline: Ends the process with its parent.
    """
    freed_memory_keep()
    # Connections are refused with an answer before files run out.
    n_connections = min(_N_CONNECTIONS, open_files_allow(_N_FILES) * 3 // 8)
    config = replace(config, limits=replace(config.limits, n_connections=n_connections))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        gateway = runner.run(_made(config, load_table, flush, write_loads, recorder))
        return runner.run(_run(gateway, config, changes, lifeline))


async def _made(
    config: GatewayConfig,
    load_table: LoadTable,
    flush: Flush,
    write_loads: WriteLoads,
    recorder: Recorder | None,
) -> Gateway:
    return Gateway(config, load_table=load_table, flush=flush, write_loads=write_loads, recorder=recorder)


async def _turn(recorder: Recorder) -> None:
    while True:
        await asyncio.sleep(_CAPTURE_TURN_S)
        recorder.turn()


async def _run(
    gateway: Gateway, config: GatewayConfig, changes: socket.socket | None, lifeline: Lifeline | None
) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    try:
        public = await gateway.start()
    except OSError as error:
        logger.error("the gateway cannot listen on %s: %s", config.public, error)
        return 1
    if changes is not None:
        gateway.listen_for_changes(changes)
    logger.info("gateway on %s, web process at %s", public, config.web)
    await lifeline_wait(ended, lifeline)
    logger.info("asked to end: answering what has begun")
    await gateway.stop()
    return 0


def _refuse(exchange: Exchange, error: PlatformError) -> None:
    status, headers, body = error_answer(error, request_id_of(exchange.headers).decode("latin-1"))
    exchange.respond(status, headers, body)
