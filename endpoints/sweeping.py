"""What the scheduler does for this room: it carries experiments on, and does what hosts do for every endpoint while no
host is alive. Otherwise an endpoint whose only host is dead would be InService for ever. Registered when Django starts.
"""

from __future__ import annotations

import time

from endpoints.plan import HEALTH_WINDOW_S
from endpoints.services.elastic import idle_sweep
from endpoints.services.experiment_steps import experiments_due, experiments_step
from endpoints.services.lease_sweeps import LeaseSweeps
from endpoints.services.replicas import replica_instants_mend
from endpoints.services.rollout import rollout_steps
from mlplatform.core.keeping.lease_sweeps import lease_sweep
from mlplatform.core.keeping.sweeps import Lane, Swept, sweep
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import nodes_alive


class HostlessSweep:
    """After its start it gives hosts, which may be starting too, the health window before it judges endpoints."""

    def __init__(self) -> None:
        self._first_at: float | None = None
        self._leases = LeaseSweeps()

    def __call__(self) -> None:
        now = time.monotonic()
        self._first_at = now if self._first_at is None else self._first_at
        if nodes_alive(kind=NodeKind.HOST).exists():
            return
        replica_instants_mend()
        self._leases()
        idle_sweep()
        if now - self._first_at > HEALTH_WINDOW_S:
            rollout_steps()


lease_sweep(HostlessSweep())


@sweep(
    "experiments",
    every_s=1,
    lease_s=30,
    lane=Lane.STEPS,
    wanted=lambda: experiments_due().exists(),
)
def experiments_sweep() -> Swept:
    return Swept(n_done=experiments_step())
