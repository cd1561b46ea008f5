"""How many rows of what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

N_USERS: Final = 12
N_PROJECTS: Final = 5


@dataclass(frozen=True)
class Sizes:
    """How many rows of what. A chunk of metrics has 50 points, one of a log 1,000 lines."""

    jobs: int = 100_000
    models: int = 1_000
    endpoints: int = 1_000
    datasets: int = 2_000
    tuning_jobs: int = 500
    trials: int = 40
    evaluations: int = 3_000
    experiments: int = 200
    cells: int = 24
    transforms: int = 5_000
    table_runs: int = 2_000
    async_invocations: int = 50_000
    audit_events: int = 300_000
    replica_runs: int = 20_000
    metric_chunks: int = 20_000
    log_chunks: int = 100

    @classmethod
    def of(cls, n_jobs: int, *, points: bool) -> Sizes:
        """The same for so many jobs, at least one of each; `points`: with ten million metric points and a log of a
        million lines.
        """
        share = n_jobs / cls.jobs
        scaled = {
            name: max(1, int(n * share)) for name, n in vars(cls()).items() if name not in ("trials", "cells")
        }
        return cls(**(scaled | ({"metric_chunks": 200_000, "log_chunks": 1_000} if points else {})))
