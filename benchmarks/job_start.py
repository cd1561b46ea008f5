"""What a training job costs beside its own fit: from claim to the engine's first line, and from claim to outcome.

    python -m benchmarks.job_start [--algorithms xgboost knn ...] [--jobs 8] [--in-a-row 1] [--pause 1.0]

Jobs of a small table, run as a worker runs them: claim, folder, sandbox, process, log, metrics, upload, outcome, in a
database and a store of this run's own. Cold starts and warm processes take turns, so that a busy machine is busy for
both. `--pause` is the time between two jobs, in which the next warm process is made ready; `--in-a-row 5 --pause 0`
shows what is left of it for trials that follow one another. The memory of an idle process is its share (PSS).
Bars: engine's first line within 300 ms of the claim, and 400 ms beside the fit.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from benchmarks.installation import installation_make, measurer_new
from benchmarks.options import options_parser
from benchmarks.platform_processes import MB, memory_of
from benchmarks.verdict import verdict

if TYPE_CHECKING:
    from jobs.models import TrainingJob
    from jobs.runner.warm_process import WarmKind
    from mlplatform.core.people.access import Actor

FIRST_LINE_MS: Final = 300.0
OVERHEAD_MS: Final = 400.0
N_ROWS: Final = 2000
N_FEATURES: Final = 10
HYPERPARAMETERS: Final[dict[str, dict[str, str]]] = {
    "xgboost": {"num_round": "20", "objective": "reg:squarederror"},
    "catboost": {"iterations": "20", "loss_function": "RMSE"},
    "knn": {"k": "5", "predictor_type": "regressor", "sample_size": str(N_ROWS)},
    "linear-learner": {"predictor_type": "regressor", "epochs": "2"},
    "random-forest": {"predictor_type": "regressor", "n_estimators": "10"},
    "kmeans": {"k": "3", "feature_dim": str(N_FEATURES)},
    "pca": {"num_components": "3", "feature_dim": str(N_FEATURES), "mini_batch_size": "500"},
}
_CONFIGURED: Final = "Final configuration:"
_FINISHED: Final = "Training job finished"


@dataclass(frozen=True)
class Spent:
    """Milliseconds of one job."""

    first_line: float
    fit: float
    total: float

    @property
    def overhead(self) -> float:
        return self.total - self.fit


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument(
        "--algorithms", nargs="+", choices=HYPERPARAMETERS, default=["xgboost", "knn", "catboost"]
    )
    parser.add_argument("--jobs", type=int, default=8)
    parser.add_argument("--in-a-row", type=int, default=1)
    parser.add_argument("--pause", type=float, default=1.0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-", ignore_cleanup_errors=True) as folder:
        installation_make(folder)
        actor, table = measurer_new(_table())
        for algorithm in options.algorithms:
            _measure(actor, table, algorithm, options)


def _table() -> bytes:
    import numpy as np

    generator = np.random.default_rng(0)
    X = generator.normal(size=(N_ROWS, N_FEATURES))
    y = X[:, 0] * 2 - X[:, 1] + generator.normal(size=N_ROWS) / 10
    rows = np.column_stack((y, X)).tolist()
    return "".join(",".join(f"{value:.6g}" for value in row) + "\n" for row in rows).encode()


def _measure(actor: Actor, table: str, algorithm: str, options: argparse.Namespace) -> None:
    from jobs.services.warm_processes import WarmProcesses
    from jobs.services.worker_state import WorkerState

    worker = WorkerState(name="bench")
    times: dict[str, list[Spent]] = defaultdict(list)
    memory_mb: list[float] = []
    with contextlib.closing(WarmProcesses(n_per_kind=1)) as warm:
        for turn in range(options.jobs // options.in_a_row + 1):
            for way in ("cold", "warm") if turn % 2 else ("warm", "cold"):
                for _ in range(options.in_a_row):
                    spent = _job(actor, table, worker, algorithm, warm if way == "warm" else None)
                    if (
                        turn
                    ):  # the first of each is for the machine's caches, and makes the first warm process
                        times[way].append(spent)
                    time.sleep(options.pause)
                if options.pause and way == "warm":
                    memory_mb += [_memory_mb(kind, warm) for kind in warm.kinds()]
    _report(algorithm, times, memory_mb)


def _job(actor: Actor, table: str, worker: Any, algorithm: str, warm: Any) -> Spent:
    from jobs.services.channels import ChannelRequest
    from jobs.services.execution import training_job_run
    from jobs.services.training import training_job_create

    unlabelled = algorithm in ("kmeans", "pca")
    request = ChannelRequest(uri=table, content_type="text/csv" if not unlabelled else None)
    values = HYPERPARAMETERS[algorithm] | ({"feature_dim": str(N_FEATURES + 1)} if unlabelled else {})
    job = training_job_create(
        actor=actor, name=None, algorithm=algorithm, hyperparameters=values, channels={"train": request}
    )
    training_job_run(job_id=job.pk, worker=worker, warm=warm)
    job.refresh_from_db()
    return _spent(job)


def _spent(job: TrainingJob) -> Spent:
    from mlplatform.core.logs import log_read

    log = log_read(stream=job.log)
    lines = log.text.splitlines()
    if job.status != "Completed" or job.started_at is None or job.ended_at is None:
        sys.exit(f"job {job.name} is {job.status}: {log.text}")
    first = next(i for i, line in enumerate(lines) if _CONFIGURED in line) + 1
    last = next(i for i, line in enumerate(lines) if _FINISHED in line)
    claimed_ms = job.started_at.timestamp() * 1000
    begun_ms, finished_ms = log.line_times_ms[first], log.line_times_ms[last]
    return Spent(begun_ms - claimed_ms, finished_ms - begun_ms, job.ended_at.timestamp() * 1000 - claimed_ms)


def _memory_mb(kind: WarmKind, warm: Any) -> float:
    return memory_of(warm.pid_of(kind)).pss / MB


def _report(algorithm: str, times: dict[str, list[Spent]], memory_mb: list[float]) -> None:
    print(f"\n{algorithm}, {len(times['cold'])} jobs each way")
    print(f"  {'':34}{'cold ms':>10}{'warm ms':>10}{'ratio':>8}")
    bars = {"first_line": FIRST_LINE_MS, "overhead": OVERHEAD_MS}
    titles = {
        "first_line": "claim to the engine's first line",
        "fit": "the engine's own time",
        "overhead": "claim to outcome beside it",
        "total": "claim to outcome",
    }
    for name, title in titles.items():
        cold, warm = (median(getattr(spent, name) for spent in times[way]) for way in ("cold", "warm"))
        print(f"  {title:34}{cold:10.0f}{warm:10.0f}{warm / max(cold, 1):8.2f}")
        if name in bars:
            verdict(f"{algorithm}: {title}, warm", warm, bars[name], unit="ms")
    if memory_mb:
        print(f"  {'memory of an idle process (PSS)':34}{'':10}{median(memory_mb):8.0f} MB")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
