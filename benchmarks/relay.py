"""What the relay between machines adds to an invocation: a server's answer through its unix socket, as on one machine,
and through a relay on this machine's loopback, with TLS and without a network in between.

    python -m benchmarks.relay

Three processes: the server, the relay in front of it, and the caller with the gateway's own connection pool. The ways
take turns, so that whatever else the machine does weighs on both. Requests per second have no bar: here all three share
the cores that two machines would have each.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import uvloop

from benchmarks.platform_stage import free_port
from benchmarks.serving_stage import call, wait_answered
from benchmarks.verdict import verdict
from endpoints.gateway.relay import GatewayRelay
from endpoints.relay.handshake import relay_key
from endpoints.relay.place import RelayPlace
from endpoints.relay.running import relay_serve
from endpoints.relay.targets import replica_name
from endpoints.server_spec import socket_folder
from endpoints.serving.address import Address
from endpoints.serving.client import ConnectionPool
from endpoints.serving.exchange import Exchange
from endpoints.serving.http1 import HttpServer
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.errors import PlatformError

P50_MS_MAX: Final = 0.5
UID: Final = "0123456789abcdefghijklmnop"
_KEY: Final = relay_key("a key for the benchmark")
_HEAD: Final = (
    b"POST /invocations HTTP/1.1\r\nHost: bench\r\nContent-Type: text/csv\r\nContent-Length: 16\r\n\r\n"
)
_REQUEST: Final = _HEAD + b"5.1,3.5,1.4,0.25"
_ANSWER: Final = b'{"predictions":[{"predicted_label":0.0}]}'
_ROUNDS: Final = 10
_CALLS: Final = 300
_CONNECTIONS: Final = 16


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as name:
        folder, port = Path(name), free_port()
        parts = [_start("server", folder, port), _start("relay", folder, port)]
        try:
            return uvloop.run(_measure(folder, port))
        finally:
            for part in parts:
                part.kill()
                part.wait()


async def _measure(folder: Path, port: int) -> int:
    here = Address(path=str(_socket(folder)))
    there = Address(host="127.0.0.1", port=port, relay=replica_name(UID))
    relay = GatewayRelay(key=_KEY)
    await wait_answered(here, _REQUEST)
    await wait_answered(there, _REQUEST, connect=relay.connect)
    pools = [ConnectionPool(here), ConnectionPool(there, connect=relay.connect)]
    p50_ms: list[list[float]] = [[], []]
    rate: list[list[float]] = [[], []]
    for _ in range(_ROUNDS):
        for way, pool in enumerate(pools):
            p50_ms[way].append(await _p50_ms(pool))
            rate[way].append(await _rate(pool))
    direct_ms, relayed_ms = (median(each) for each in p50_ms)
    direct, relayed = (median(each) for each in rate)
    began = perf_counter()
    connection = await relay.connect(there)
    proof_ms = 1e3 * (perf_counter() - began)
    connection.close()
    print(f"p50 at one connection: unix socket {direct_ms:.3f} ms, relay {relayed_ms:.3f} ms")
    print(f"requests/s at {_CONNECTIONS}: unix socket {direct:,.0f}, relay {relayed:,.0f}")
    print(f"connecting and the proof, once per connection: {proof_ms:.1f} ms")
    added_ms = relayed_ms - direct_ms
    return 0 if verdict("what a relay adds to an invocation, p50", added_ms, P50_MS_MAX, unit="ms") else 1


async def _p50_ms(pool: ConnectionPool) -> float:
    times = []
    for _ in range(_CALLS):
        began = perf_counter()
        await call(pool, _REQUEST)
        times.append(1e3 * (perf_counter() - began))
    return median(times)


async def _rate(pool: ConnectionPool) -> float:
    async def one() -> None:
        for _ in range(_CALLS // 2):
            await call(pool, _REQUEST)

    began = perf_counter()
    await asyncio.gather(*(one() for _ in range(_CONNECTIONS)))
    return _CONNECTIONS * (_CALLS // 2) / (perf_counter() - began)


def _socket(folder: Path) -> Path:
    return socket_folder(folder / "replicas", uid=UID) / "model.sock"


def _start(part: str, folder: Path, port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "benchmarks.relay", part, str(folder), str(port)]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)


async def _serve(folder: Path) -> None:
    async def app(exchange: Exchange) -> None:
        await exchange.body(limit_bytes=2**20)
        exchange.respond(200, [(b"Content-Type", b"application/json")], _ANSWER)

    def refuse(exchange: Exchange, error: PlatformError) -> None:
        raise error

    await HttpServer(app, refuse=refuse).listen(Address(path=str(_socket(folder))))
    await asyncio.Event().wait()


def _part(part: str, folder: Path, port: int) -> None:
    if part == "server":
        uvloop.run(_serve(folder))
    place = Address(host="127.0.0.1", port=port)
    uvloop.run(relay_serve(RelayPlace(place, place), key=_KEY, folder=folder))


if __name__ == "__main__":
    if sys.argv[1:]:
        _part(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
    raise SystemExit(main())
