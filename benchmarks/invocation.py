"""One-row invocations: in process, at the model server, through the gateway, and at MLServer and MLflow, in one run.

    python -m benchmarks.invocation [--models iris xgboost] [--rounds 5] [--requests 1000] [--without-rivals]

Two models: the Iris k-NN, and 100 trees of XGBoost over 70 features. Everything is real: they are trained by the job
process, every hop is a process of its own, the gateway authenticates, counts and captures every request. MLServer and
MLflow's model server are installed beside the platform, in environments of their own, and serve the same trees and the
same neighbours with the same libraries, one process and one thread each, without authentication. All must answer the
same. One client asks them all: p50 and p99 at one connection, requests per second at 16; they take turns
within a round, so that a busy machine is busy for all of them, and ratios are the median of the rounds' ratios. Bars:
the gateway's p50 at most 0.35 ms above the model's own predict, 3 times the requests per second of MLServer, 6 times
those of MLflow. Where a server cannot be installed, ours are measured and the exit code is 3.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import uvloop

from benchmarks.invocation_models import MeasuredModel, knn_of_iris, xgboost_of_70_features
from benchmarks.load import answered, latencies, rate
from benchmarks.options import options_parser
from benchmarks.rivals.environments import RivalMissing, environment_ensure
from benchmarks.rivals.servers import mlflow_started, mlserver_started
from benchmarks.serving_stage import ServingStage
from benchmarks.verdict import verdict
from endpoints.serving.address import Address

QUICK: Final = ["--models", "iris", "--rounds", "1", "--requests", "200", "--without-rivals"]
ADDED_BAR_MS: Final = 0.35
RATE_BARS: Final = {"MLServer": 3.0, "MLflow": 6.0}
N_CONNECTIONS: Final = 16
IN_PROCESS, MODEL_SERVER, GATEWAY = "in process", "model server", "gateway"
_MODELS: Final = {"iris": knn_of_iris, "xgboost": xgboost_of_70_features}
_RIVALS: Final = {"mlserver": mlserver_started, "mlflow": mlflow_started}
_WARM_UP: Final = 200
_START_WITHIN_S: Final = 240.0
_MISSING_CODE: Final = 3


@dataclass(frozen=True)
class Way:
    """A server, the request for the one row, and how the prediction is found in its answer."""

    address: Address
    request: bytes
    prediction: Callable[[bytes], float]


class Measured:
    """Seconds of calls at one connection, and requests per second at 16, of each way; a rate for each round."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self.rates: dict[str, list[float]] = defaultdict(list)

    def p50_ms(self, name: str) -> float:
        return median(self.times[name]) * 1000

    def faster(self, name: str) -> float:
        """How many times the requests per second of `name` the gateway answers."""
        return median(
            ours / theirs for ours, theirs in zip(self.rates[GATEWAY], self.rates[name], strict=True)
        )


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--models", nargs="+", choices=_MODELS, default=list(_MODELS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000, help="per round and way")
    parser.add_argument("--without-rivals", action="store_true")
    options = parser.parse_args()
    rivals, missing = ([], []) if options.without_rivals else _installed()
    for name in options.models:
        with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
            model = _MODELS[name](Path(folder))
            _report(model, _measure(Path(folder), model, rivals, options.rounds, options.requests))
    if missing:
        print("not compared:", *missing, sep="\n  ", file=sys.stderr)
        sys.exit(_MISSING_CODE)


def _installed() -> tuple[list[str], list[str]]:
    """The servers that are there, and why others are not."""
    found, missing = [], []
    for name in _RIVALS:
        try:
            environment_ensure(name)
            found.append(name)
        except RivalMissing as error:
            missing.append(str(error))
    return found, missing


def _measure(
    root: Path, model: MeasuredModel, rivals: Sequence[str], n_rounds: int, n_requests: int
) -> Measured:
    options = ("--algorithm", model.algorithm)
    with ExitStack() as stack:
        stage = stack.enter_context(ServingStage(root, model.folder, options=options, captures=True))
        ways = _our_ways(stage, model)
        for rival in rivals:
            started = stack.enter_context(_RIVALS[rival](root / rival, model.rival, model.row))
            ways[started.name] = Way(started.address, started.request, started.prediction)
        runner = stack.enter_context(asyncio.Runner(loop_factory=uvloop.new_event_loop))
        return runner.run(_rounds(model, ways, n_rounds, n_requests))


def _our_ways(stage: ServingStage, model: MeasuredModel) -> dict[str, Way]:
    places = {MODEL_SERVER: stage.replica, GATEWAY: stage.public}

    def prediction(body: bytes) -> float:
        return float(json.loads(body)["predictions"][0][model.answer])

    return {
        name: Way(address, stage.request(address, model.body), prediction) for name, address in places.items()
    }


async def _rounds(model: MeasuredModel, ways: Mapping[str, Way], n_rounds: int, n_requests: int) -> Measured:
    await _agree(ways)
    for way in ways.values():
        await rate(way.address, way.request, _WARM_UP, n_connections=N_CONNECTIONS)
    in_process = model.in_process()
    measured = Measured()
    for _ in range(n_rounds):
        measured.times[IN_PROCESS] += in_process(n_requests)
        for name, way in ways.items():
            measured.times[name] += await latencies(way.address, way.request, n_requests)
        for name, way in ways.items():
            found = await rate(way.address, way.request, 2 * n_requests, n_connections=N_CONNECTIONS)
            measured.rates[name].append(found)
    return measured


async def _agree(ways: Mapping[str, Way]) -> None:
    """Waits until every server answers, and refuses to compare those that answer different things."""
    found = {}
    for name, way in ways.items():
        body = await answered(way.address, way.request, within_s=_START_WITHIN_S)
        found[name] = way.prediction(body)
    if max(found.values()) - min(found.values()) > 1e-4 * max(1.0, abs(found[GATEWAY])):
        raise RuntimeError(f"the answers differ: {found}")


def _report(model: MeasuredModel, measured: Measured) -> None:
    print(f"\n{model.title}\n  {'':14}{'p50 ms':>9}{'p99 ms':>9}{f'requests/s at {N_CONNECTIONS}':>20}")
    for name, times in measured.times.items():
        rates = measured.rates.get(name)
        said = f"{median(rates):,.0f}" if rates else ""
        late_ms = quantiles(times, n=100)[98] * 1000
        print(f"  {name:14}{measured.p50_ms(name):9.3f}{late_ms:9.3f}{said:>20}")
    added_ms = measured.p50_ms(GATEWAY) - measured.p50_ms(IN_PROCESS)
    verdict(f"{model.title}: p50 that gateway and model server add", added_ms, ADDED_BAR_MS, unit="ms")
    for name, bar in RATE_BARS.items():
        if name in measured.rates:
            what = f"{model.title}: requests/s at {N_CONNECTIONS} against {name}"
            verdict(what, measured.faster(name), bar, unit="times", at_least=True)


if __name__ == "__main__":
    main()
