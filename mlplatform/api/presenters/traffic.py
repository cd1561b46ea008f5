"""Traffic of an endpoint as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endpoints.models import Replica
from endpoints.selectors.traffic import Traffic, TrafficCounts
from mlplatform.api.presenters.endpoints import replica_json
from mlplatform.api.presenters.instants import instant


def traffic_json(traffic: Traffic, *, replicas: Sequence[Replica]) -> dict[str, Any]:
    return _counts(traffic.total) | {
        "minutes": traffic.minutes,
        "points": [{"minute_at": instant(point.minute_at)} | _counts(point) for point in traffic.points],
        "variants": {name: _counts(counts) for name, counts in traffic.variants.items()},
        "replicas": [replica_json(replica) for replica in replicas],
    }


def _counts(counts: TrafficCounts) -> dict[str, Any]:
    return {
        "requests": counts.n_requests,
        "errors": counts.n_errors,
        "errors_4xx": counts.n_4xx,
        "errors_5xx": counts.n_5xx,
        "model_errors": counts.n_model_errors,
        "throttled": counts.n_throttled,
        "cold_starts": counts.n_cold,
        "busy_ms": counts.busy_ms,
        "mean_ms": counts.mean_ms,
        "p50_ms": counts.p50_ms,
        "p90_ms": counts.p90_ms,
        "p99_ms": counts.p99_ms,
    }
