"""Cold start of a serverless endpoint, and its warm requests beside those of an ordinary endpoint of the same model.

    python -m benchmarks.serverless [--rounds 10] [--requests 500] [--base-url URL --token TOKEN]

The model is an ensemble of CatBoost and XGBoost on scikit-learn's diabetes set, trained by a platform of its own that
is started and ended here (or by a running one that is named). In every round the endpoint has slept, has no process,
and gets one request; its parts are read from the endpoint's own record of the start. Bars: 1.5 s from request to answer
at the median, and warm requests as fast as on the ordinary endpoint (ratio at most 1.15; the two take turns).
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from sklearn.datasets import load_diabetes

from benchmarks.options import options_parser
from benchmarks.platform_stage import PROJECT, WITHIN_S, Rest, instant, platform_options, platform_started
from benchmarks.verdict import verdict

COLD_BAR_S: Final = 1.5
WARM_BAR: Final = 1.15
IDLE_AFTER_S: Final = 5
ORDINARY, SERVERLESS = "measured-ordinary", "measured-serverless"
MEMBERS: Final = {
    "task": "regressor",
    "members": "xgboost,catboost",
    "n_folds": "0",
    "xgboost__num_round": "100",
    "catboost__iterations": "100",
}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--memory-mb", type=int, default=6144)
    platform_options(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder,
        platform_started(Path(folder), options) as rest,
    ):
        row = _deploy(rest, options.memory_mb)
        _report_cold([_cold(rest, row) for _ in range(options.rounds)])
        _report_warm(*_warm(rest, row, options.requests))
        for name in (ORDINARY, SERVERLESS):
            rest.call("DELETE", f"{PROJECT}/endpoints/{name}/")


def _deploy(rest: Rest, memory_mb: int) -> bytes:
    """Trains the ensemble and serves it twice; one row to ask with."""
    rest.call("POST", f"{PROJECT}/datasets/", {"name": "measured-diabetes", "sample": "diabetes"})
    request = {
        "name": "measured-ensemble",
        "algorithm": "ensemble",
        "hyperparameters": MEMBERS,
        "channels": {"train": {"dataset": "measured-diabetes"}},
    }
    rest.call("POST", f"{PROJECT}/training-jobs/", request)
    rest.until(f"{PROJECT}/training-jobs/measured-ensemble/", "status", "Completed")
    rest.call("POST", f"{PROJECT}/models/", {"name": "measured", "training_job": "measured-ensemble"})
    serverless = {"memory_mb": memory_mb, "max_concurrency": 1, "idle_after_s": IDLE_AFTER_S}
    of = {ORDINARY: {}, SERVERLESS: {"serverless": serverless}}
    for name, how in of.items():
        variant = {"model": "measured", **how}
        rest.call("POST", f"{PROJECT}/endpoints/", {"name": name, "variants": [variant]})
        rest.until(f"{PROJECT}/endpoints/{name}/", "status", "InService")
    return ",".join(f"{cell:.7g}" for cell in load_diabetes().data[0].tolist()).encode()


def _cold(rest: Rest, row: bytes) -> dict[str, float]:
    """Milliseconds of one cold start: the whole and its parts."""
    path = f"{PROJECT}/endpoints/{SERVERLESS}/"
    deadline = time.monotonic() + WITHIN_S
    while rest.call("GET", path)["replicas"]:
        if time.monotonic() > deadline:
            raise RuntimeError("the endpoint does not fall asleep")
        time.sleep(0.2)
    began_at = time.time()
    seconds, headers = rest.invoke(SERVERLESS, row)
    run = rest.call("GET", f"{path}replica-runs/?limit=1")["items"][0]
    demanded, started, ready = (instant(run[name]) for name in ("demanded_at", "started_at", "ready_at"))
    waited_ms = float(headers["x-mlplatform-cold-start"])
    return {
        "request to answer": seconds * 1000,
        "request to demand": (demanded - began_at) * 1000,
        "demand to process": (started - demanded) * 1000,
        "process to ready": (ready - started) * 1000,
        "waited (header)": waited_ms,
        "ready to answer": (began_at + seconds - ready) * 1000,
    }


def _report_cold(rounds: list[dict[str, float]]) -> None:
    print(f"cold start, median of {len(rounds)} (least to most), ms")
    for name in rounds[0]:
        values = sorted(one[name] for one in rounds)
        print(f"  {name:20} {median(values):8.0f}  ({values[0]:.0f} to {values[-1]:.0f})")
    whole = median(one["request to answer"] for one in rounds) / 1000
    verdict("cold start, from request to answer", whole, COLD_BAR_S, unit="s")


def _warm(rest: Rest, row: bytes, n_requests: int) -> tuple[list[float], list[float]]:
    times: dict[str, list[float]] = {ORDINARY: [], SERVERLESS: []}
    for name in times:  # both have answered before they are measured
        rest.invoke(name, row)
    for _ in range(n_requests):
        for name, found in times.items():
            found.append(rest.invoke(name, row)[0] * 1000)
    return times[ORDINARY], times[SERVERLESS]


def _report_warm(ordinary: list[float], serverless: list[float]) -> None:
    ratio = median(serverless) / median(ordinary)
    print(f"warm p50: ordinary {median(ordinary):.3f} ms, serverless {median(serverless):.3f} ms")
    verdict("warm p50, serverless against ordinary", ratio, WARM_BAR, unit="times")


if __name__ == "__main__":
    main()
