"""All that hosts do every few seconds for replicas and runs whose holder is gone, whichever machine it was on.

One for each process that sweeps: it remembers which messages were sent again, and when. Called by hosts, and by the
scheduler where there is none.
"""

from __future__ import annotations

from endpoints.services.async_sweep import async_sweep
from endpoints.services.evaluations import evaluation_sweep
from endpoints.services.replica_runs import run_sweep
from endpoints.services.replicas import replica_sweep
from endpoints.services.tables import table_run_sweep
from endpoints.services.transforms import transform_job_sweep, transform_resending
from jobs.services.sweeping import Resending


class LeaseSweeps:
    """Instants are put right before (`replica_instants_mend`)."""

    def __init__(self) -> None:
        self._table_runs, self._evaluations, self._asynchronous = Resending(), Resending(), Resending()
        self._transform_jobs = transform_resending()

    def __call__(self) -> None:
        replica_sweep()
        table_run_sweep(resending=self._table_runs)
        evaluation_sweep(resending=self._evaluations)
        transform_job_sweep(resending=self._transform_jobs)
        async_sweep(resending=self._asynchronous)
        run_sweep()
