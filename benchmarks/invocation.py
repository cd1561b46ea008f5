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
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import uvloop

from benchmarks.serving_stage import ServingStage, call, knn_train, wait_answered
from endpoints.serving.address import Address
from endpoints.serving.client import ConnectionPool

BAR_ADDED_MS = 0.35
N_CONNECTIONS = 16
ROW = b"5.8,2.8,5.1,2.4"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000, help="per round and variant")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        _measure(Path(folder), options.rounds, options.requests)


def _measure(folder: Path, n_rounds: int, n_requests: int) -> None:
    values = {"k": "1", "feature_dim": "4", "sample_size": "150", "predictor_type": "classifier"}
    model_dir = knn_train(folder / "ml", values, _write_iris)
    with (
        ServingStage(folder, model_dir) as stage,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        places = {"model server": stage.replica, "gateway": stage.public}
        calls = {name: (address, stage.request(address, ROW)) for name, address in places.items()}
        for address, request in calls.values():
            runner.run(wait_answered(address, request))
        in_process = _in_process(model_dir)
        times: dict[str, list[float]] = {name: [] for name in ("in process", *calls)}
        rates: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(n_rounds):
            times["in process"] += in_process(n_requests)
            for name, (address, request) in calls.items():
                times[name] += runner.run(_one_connection(address, request, n_requests))
                rates[name].append(runner.run(_many_connections(address, request, n_requests)))
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


def _write_iris(path: Path) -> None:
    from sklearn.datasets import load_iris

    table = load_iris()
    rows = zip(table.target.tolist(), table.data.tolist(), strict=True)
    path.write_text("".join(f"{label},{','.join(map(str, features))}\n" for label, features in rows))


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


async def _one_connection(address: Address, request: bytes, n: int) -> list[float]:
    pool, times = ConnectionPool(address), []
    for _ in range(n):
        began_at = perf_counter()
        await call(pool, request)
        times.append(perf_counter() - began_at)
    pool.close()
    return times


async def _many_connections(address: Address, request: bytes, n: int) -> float:
    pool = ConnectionPool(address)

    async def caller() -> None:
        for _ in range(n // N_CONNECTIONS):
            await call(pool, request)

    began_at = perf_counter()
    await asyncio.gather(*(caller() for _ in range(N_CONNECTIONS)))
    rate = (n // N_CONNECTIONS) * N_CONNECTIONS / (perf_counter() - began_at)
    pool.close()
    return rate


if __name__ == "__main__":
    main()
