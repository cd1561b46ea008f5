"""One-row invocations of the Iris k-NN: in process, at the model server, and through the gateway, in one run.

    python -m benchmarks.invocation [--rounds 5] [--requests 1000]

Prints p50 and p99 at one connection, requests per second at 16, and what gateway and model server add to the
model's own predict. Everything is real: the model is trained by the job process, every hop is a process of its
own, the gateway authenticates and counts. The variants take turns within a run, so that a busy machine is busy
for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter, sleep

import uvloop

from endpoints.gateway.routing import KeyRecord, Route, RouteVariant, RoutingTable, Version
from endpoints.gateway.server import GatewayConfig, gateway_run
from endpoints.gateway.tally import MinuteCounts
from endpoints.serving.address import Address, address_parse
from endpoints.serving.client import ConnectionPool
from jobs.runner.spec import ChannelSpec, JobSpec
from jobs.runner.workspace import ChannelSource, Workspace
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.names import uid_new

BAR_ADDED_MS = 0.35
N_CONNECTIONS = 16
ROW = b"5.8,2.8,5.1,2.4"
PATH = "/api/v1/projects/default/endpoints/iris/invocations"
KEY_ID, SECRET = "BENCH", "secret"
PORT = 18743


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000, help="per round and variant")
    parser.add_argument("--gateway", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.gateway:
        sys.exit(_gateway(options.gateway))
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        _measure(Path(folder), options.rounds, options.requests)


def _measure(folder: Path, n_rounds: int, n_requests: int) -> None:
    model_dir = _train(folder / "ml")
    replica, public = Address(path=str(folder / "replica.sock")), Address(host="127.0.0.1", port=PORT)
    serve = [
        "endpoints.serving",
        "--socket",
        str(replica),
        "--model-dir",
        str(model_dir),
        "--algorithm",
        "knn",
    ]
    processes = [_start(*serve, "--threads", "1"), _start("benchmarks.invocation", "--gateway", str(folder))]
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            calls = {
                "model server": (replica, _request("/invocations")),
                "gateway": (public, _request(PATH)),
            }
            for address, request in calls.values():
                runner.run(_wait(address, request))
            in_process = _in_process(model_dir)
            times: dict[str, list[float]] = {name: [] for name in ("in process", *calls)}
            rates: dict[str, list[float]] = {name: [] for name in calls}
            for _ in range(n_rounds):
                times["in process"] += in_process(n_requests)
                for name, (address, request) in calls.items():
                    times[name] += runner.run(_one_connection(address, request, n_requests))
                    rates[name].append(runner.run(_many_connections(address, request, n_requests)))
    finally:
        for process in processes:
            process.terminate()
            process.wait(10)
    _report(times, rates)


def _report(times: dict[str, list[float]], rates: dict[str, list[float]]) -> None:
    print(f"{'':14}{'p50 ms':>9}{'p99 ms':>9}{f'requests/s at {N_CONNECTIONS}':>20}")
    for name, values in times.items():
        rate = f"{median(rates[name]):,.0f}" if name in rates else ""
        print(f"{name:14}{median(values) * 1000:9.3f}{quantiles(values, n=100)[98] * 1000:9.3f}{rate:>20}")
    added_ms = (median(times["gateway"]) - median(times["in process"])) * 1000
    verdict = "met" if added_ms <= BAR_ADDED_MS else f"missed by {added_ms - BAR_ADDED_MS:.3f} ms"
    ratio = median(times["gateway"]) / median(times["in process"])
    print(
        f"gateway / in process: {ratio:.2f} times, {added_ms:.3f} ms added; bar {BAR_ADDED_MS} ms: {verdict}"
    )


def _train(root: Path) -> Path:
    from sklearn.datasets import load_iris

    table = load_iris()
    workspace = Workspace(root)
    workspace.make()
    channel = ChannelSource("train", (), "text/csv", "File", ".csv")
    values = {"k": "1", "feature_dim": "4", "sample_size": "150", "predictor_type": "classifier"}
    workspace.configure(hyperparameters=values, channels=[channel], instance_type="local.cpu")
    data = root / "input/data/train/train.csv"
    data.parent.mkdir(exist_ok=True)
    rows = zip(table.target.tolist(), table.data.tolist(), strict=True)
    data.write_text("".join(f"{label},{','.join(map(str, features))}\n" for label, features in rows))
    spec = JobSpec(
        uid=uid_new(), name="iris", attempt=1, algorithm="knn", root=root, channels={"train": ChannelSpec()}
    )
    subprocess.run(
        [sys.executable, "-m", "jobs.runner", str(spec.write())],
        cwd=PROJECT_ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return workspace.model_dir


def _in_process(model_dir: Path) -> Callable[[int], list[float]]:
    import numpy as np

    from endpoints.serving.loader import model_load

    predictor = model_load(algorithm="knn", model_dir=model_dir, n_threads=1).predictor
    X = np.array([[float(cell) for cell in ROW.split(b",")]], dtype=np.float32)

    def measure(n: int) -> list[float]:
        times = []
        for _ in range(n):
            began_at = perf_counter()
            predictor.predict(X, verbose=False)
            times.append(perf_counter() - began_at)
        return times

    return measure


def _start(module: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.Popen(command, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)


def _gateway(folder: Path) -> int:
    variant = RouteVariant("AllTraffic", 1.0, (address_parse(f"{folder}/replica.sock"),))
    key = KeyRecord(hashlib.sha256(SECRET.encode()).hexdigest(), "default", "editor", "bench")
    table = RoutingTable(1, (Route("default", "iris", 1, "InService", (variant,)),), {KEY_ID: key})

    def load_table(known: Version | None) -> RoutingTable | None:
        return None if known == table.version else table

    def flush(counts: Sequence[MinuteCounts]) -> None:
        for minute in counts:
            minute.latency.to_dict()

    config = GatewayConfig(
        public=Address(host="127.0.0.1", port=PORT),
        trusted=Address(path=f"{folder}/gateway.sock"),
        web=Address(path=f"{folder}/web.sock"),
    )
    return gateway_run(config, load_table=load_table, flush=flush)


def _request(path: str) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {KEY_ID}.{SECRET}\r\n"
    return (head + f"Content-Type: text/csv\r\nContent-Length: {len(ROW)}\r\n\r\n").encode() + ROW


async def _call(pool: ConnectionPool, request: bytes) -> None:
    answer = await pool.call(request, limit_bytes=10_000, timeout_s=10)
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.body.decode()}")


async def _wait(address: Address, request: bytes) -> None:
    for _ in range(400):
        try:
            return await _call(ConnectionPool(address), request)
        except Exception as error:
            last = error
            sleep(0.05)
    raise last


async def _one_connection(address: Address, request: bytes, n: int) -> list[float]:
    pool, times = ConnectionPool(address), []
    for _ in range(n):
        began_at = perf_counter()
        await _call(pool, request)
        times.append(perf_counter() - began_at)
    pool.close()
    return times


async def _many_connections(address: Address, request: bytes, n: int) -> float:
    pool = ConnectionPool(address)

    async def caller() -> None:
        for _ in range(n // N_CONNECTIONS):
            await _call(pool, request)

    began_at = perf_counter()
    await asyncio.gather(*(caller() for _ in range(N_CONNECTIONS)))
    rate = (n // N_CONNECTIONS) * N_CONNECTIONS / (perf_counter() - began_at)
    pool.close()
    return rate


if __name__ == "__main__":
    main()
