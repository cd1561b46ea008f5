"""How long it takes from the request for a training job to the first line of its engine, on a worker that is idle.

    python -m benchmarks.job_submit [--algorithms knn xgboost] [--jobs 8] [--pause 2.0] [--base-url URL --token TOKEN]

A platform of its own is started and ended here (or a running one is named). Jobs on scikit-learn's diabetes set are
asked for by REST, one after the other; the time is from before the request to the instant at which the worker read the
line. The first job of each algorithm finds no process that was started ahead and is told apart: that is how a worker
starts one of a kind which it has not run for two minutes.
Bar: 300 ms.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.options import options_parser
from benchmarks.platform_stage import PROJECT, Rest, platform_options, platform_started
from benchmarks.verdict import verdict

BAR_MS: Final = 300.0
_CONFIGURED: Final = "Final configuration:"
_HYPERPARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "knn": {"k": 5, "predictor_type": "regressor", "sample_size": 400},
    "xgboost": {"num_round": 20, "objective": "reg:squarederror"},
}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--algorithms", nargs="+", choices=_HYPERPARAMETERS, default=list(_HYPERPARAMETERS))
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between two jobs")
    platform_options(parser)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder,
        platform_started(Path(folder), options) as rest,
    ):
        rest.call("POST", f"{PROJECT}/datasets/", {"name": "measured", "sample": "diabetes"})
        for algorithm in options.algorithms:
            cold_ms, *warm_ms = [
                _started_ms(rest, algorithm, n, options.pause) for n in range(options.jobs + 1)
            ]
            print(f"{algorithm}: the first {cold_ms:.0f} ms; {options.jobs} more, most {max(warm_ms):.0f} ms")
            verdict(f"{algorithm}, submit to first line", median(warm_ms), BAR_MS, unit="ms")


def _started_ms(rest: Rest, algorithm: str, n: int, pause_s: float) -> float:
    name = f"measured-{algorithm}-{n}"
    request = {
        "name": name,
        "algorithm": algorithm,
        "hyperparameters": _HYPERPARAMETERS[algorithm],
        "channels": {"train": {"dataset": "measured"}},
    }
    begun_ms = time.time() * 1000
    rest.call("POST", f"{PROJECT}/training-jobs/", request)
    rest.until(f"{PROJECT}/training-jobs/{name}/", "status", "Completed")
    log = rest.call("GET", f"{PROJECT}/training-jobs/{name}/logs/")
    first = next(n for n, line in enumerate(log["text"].splitlines(), 1) if _CONFIGURED in line)
    time.sleep(pause_s)
    return float(log["times"][first]) - begun_ms


if __name__ == "__main__":
    main()
