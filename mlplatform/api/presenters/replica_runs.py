"""Lives of model servers as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import ReplicaRun
from endpoints.selectors.replica_runs import cold_start_ms, start_ms
from mlplatform.api.presenters.instants import instant


def replica_run_json(run: ReplicaRun) -> dict[str, Any]:
    return {
        "replica": run.replica_uid,
        "variant": run.variant,
        "instance_type": run.instance_type or None,
        "memory_mb": run.memory_mb,
        "demanded_at": instant(run.demanded_at),
        "started_at": instant(run.started_at),
        "ready_at": instant(run.ready_at),
        "seen_at": instant(run.seen_at),
        "ended_at": instant(run.ended_at),
        "end_reason": run.end_reason or None,
        "n_waiting": run.n_waiting,
        "cold_start_ms": cold_start_ms(run),
        "start_ms": start_ms(run),
    }
