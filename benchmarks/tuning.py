"""What a tuning job costs beside its fits: 50 trials of XGBoost on scikit-learn's diabetes set, 2 at a time.

    python -m benchmarks.tuning [--trials 50] [--rounds 1500] [--base-url URL --token TOKEN]

A platform of its own is started and ended here (or a running one is named). Then the same fits, with the very
hyperparameters that the tuning job tried, in a bare Optuna loop: one process, two workers, the same rounds, threads and
evaluation after every round. A trial's own fit is from the first to the last value that its job printed. Bars: 0.4 s a
trial beyond its own fit, and 1.5 times the wall time of the bare loop.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from statistics import mean
from time import perf_counter
from typing import Any, Final

from benchmarks.options import options_parser
from benchmarks.platform_stage import PROJECT, Rest, instant, platform_options, platform_started
from benchmarks.verdict import verdict

OVERHEAD_BAR_S: Final = 0.4
RATIO_BAR: Final = 1.5
AT_A_TIME: Final = 2
NAME: Final = "measured-tuning"
METRIC: Final = "validation:rmse"
_WITHIN_S: Final = 1800.0


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=1500, help="of boosting: how long a fit takes")
    platform_options(parser)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        with platform_started(Path(folder), options) as rest:
            wall_s, trials = _tune(rest, options.trials, options.rounds)
            fits_s = [_fit_s(rest, trial["training_job"]) for trial in trials]
            data = [_download(rest, name) for name in ("measured-train", "measured-test")]
        bare_s = _bare(trials, data, options.rounds)
    _report(wall_s, fits_s, bare_s)


def _tune(rest: Rest, n_trials: int, n_rounds: int) -> tuple[float, list[dict[str, Any]]]:
    """Seconds from the request to the end of the last trial, and the trials."""
    rest.call("POST", f"{PROJECT}/datasets/", {"name": "measured", "sample": "diabetes"})
    fractions = {"fractions": {"train": 0.8, "test": 0.2}, "seed": 0}
    rest.call("POST", f"{PROJECT}/datasets/measured/split/", fractions)
    request = {
        "name": NAME,
        "algorithm": "xgboost",
        "objective_metric": METRIC,
        "objective_type": "Minimize",
        "ranges": [
            {"name": "eta", "type": "Continuous", "min": 0.01, "max": 0.3, "scaling": "Logarithmic"},
            {"name": "max_depth", "type": "Integer", "min": 3, "max": 6},
            {"name": "subsample", "type": "Continuous", "min": 0.5, "max": 1.0},
        ],
        "max_jobs": n_trials,
        "max_parallel_jobs": AT_A_TIME,
        "random_seed": 1,
        "static_hyperparameters": {"num_round": n_rounds, "objective": "reg:squarederror"},
        "channels": {"train": {"dataset": "measured-train"}, "validation": {"dataset": "measured-test"}},
    }
    rest.call("POST", f"{PROJECT}/tuning-jobs/", request)
    give_up_at = time.monotonic() + _WITHIN_S
    while True:
        job = rest.call("GET", f"{PROJECT}/tuning-jobs/{NAME}/")
        if job["ended_at"] is not None:
            break
        if time.monotonic() > give_up_at:
            raise RuntimeError(f"the tuning job does not end: {job['waiting_reason']}")
        time.sleep(0.5)
    if job["status"] != "Completed" or job["n_valued"] != n_trials:
        raise RuntimeError(f"it is {job['status']}: {job['failure_reason']}, {job['trial_status_counts']}")
    trials = rest.call("GET", f"{PROJECT}/tuning-jobs/{NAME}/trials/?order=number&limit=100")["items"]
    last_at = max(instant(trial["ended_at"]) for trial in trials)
    return last_at - instant(job["created_at"]), trials


def _fit_s(rest: Rest, job: str) -> float:
    """From the first to the last value, and as much more as the first round took."""
    series = rest.call("GET", f"{PROJECT}/training-jobs/{job}/metrics/")["items"]
    [points] = [found["points"] for found in series if found["name"] == METRIC]
    between_s = (points[-1][0] - points[0][0]) / 1000
    return float(between_s * len(points) / max(1, len(points) - 1))


def _download(rest: Rest, dataset: str) -> bytes:
    return rest.send("GET", f"{PROJECT}/datasets/{dataset}/download/", None, "")[1]


def _bare(trials: list[dict[str, Any]], data: list[bytes], n_rounds: int) -> float:
    """Seconds of the same fits in Optuna's own loop in this process."""
    import io

    import numpy as np
    import optuna
    import xgboost

    from jobs.instance_types import cpus_here, instance_type_get

    n_threads = max(1, min(instance_type_get("local.cpu").vcpus, cpus_here()))
    train, test = (np.loadtxt(io.BytesIO(content), delimiter=",", skiprows=1) for content in data)

    def objective(trial: optuna.Trial) -> float:
        parameters = {
            "eta": trial.suggest_float("eta", 0.01, 0.3, log=True),
            "max_depth": trial.suggest_int("max_depth", 3, 6),
            "subsample": trial.suggest_float("subsample", 0.5, 1.0),
            "objective": "reg:squarederror",
            "nthread": n_threads,
        }
        matrices = [xgboost.DMatrix(part[:, :-1], label=part[:, -1]) for part in (train, test)]
        scores: dict[str, Any] = {}
        xgboost.train(
            parameters,
            matrices[0],
            num_boost_round=n_rounds,
            evals=[(matrices[0], "train"), (matrices[1], "validation")],
            evals_result=scores,
            verbose_eval=False,
        )
        return float(scores["validation"]["rmse"][-1])

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="minimize", sampler=optuna.samplers.TPESampler(seed=1))
    for found in trials:
        values = found["hyperparameters"]
        study.enqueue_trial(
            {
                "eta": float(values["eta"]),
                "max_depth": int(values["max_depth"]),
                "subsample": float(values["subsample"]),
            }
        )
    begun = perf_counter()
    study.optimize(objective, n_trials=len(trials), n_jobs=AT_A_TIME)
    return perf_counter() - begun


def _report(wall_s: float, fits_s: list[float], bare_s: float) -> None:
    n_trials = len(fits_s)
    overhead_s = (wall_s * AT_A_TIME - sum(fits_s)) / n_trials
    ratio = wall_s / bare_s
    print(f"{n_trials} trials, {AT_A_TIME} at a time, on {os.cpu_count()} processors")
    print(f"  tuning job {wall_s:8.2f} s; a trial's own fit {mean(fits_s):.2f} s")
    print(f"  bare loop  {bare_s:8.2f} s")
    verdict("wall time of a tuning job against a bare loop", ratio, RATIO_BAR, unit="times")
    verdict("a trial beyond its own fit", overhead_s, OVERHEAD_BAR_S, unit="s")


if __name__ == "__main__":
    main()
