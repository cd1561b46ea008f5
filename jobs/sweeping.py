"""What the scheduler does for this room beside the sweeps of leases: it carries tuning jobs on. Registered when Django
starts.
"""

from __future__ import annotations

from jobs.services.tuning_steps import tuning_jobs_due, tuning_jobs_step
from mlplatform.core.keeping.sweeps import Lane, Swept, sweep


@sweep("tuning jobs", every_s=1, lease_s=30, lane=Lane.STEPS, wanted=lambda: tuning_jobs_due().exists())
def tuning_jobs_sweep() -> Swept:
    return Swept(n_done=tuning_jobs_step())
