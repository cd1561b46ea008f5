"""Models, endpoints with their replicas, what they measured and what ran."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.seeds.covertype import MANIFEST
from benchmarks.seeds.rows import PRICED, Rows, as_json, at, numbered, owned, rows, uid, when
from benchmarks.seeds.sizes import Sizes

N_ASYNC: Final = 5
"""Endpoints that take asynchronous invocations."""
REPLICAS_PER_ENDPOINT: Final = 2
_OBJECTS: Final = {
    "output_uri": "s3://b/out/",
    "failure_uri": "s3://b/failed/",
    "max_concurrent_per_instance": 2,
}
_LATENCY: Final = {"buckets": {str(at): 3 for at in range(20, 60)}, "n": 120, "sum_ms": 300, "max_ms": 9}
_MINUTES: Final = 720
_IS_SERVERLESS: Final = "i % 10 = 0"


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.endpoints
    yield owned(
        "endpoints.Model",
        sizes.models,
        name=numbered("model"),
        letter="m",
        training_job_id="i",
        algorithm="(array['knn','xgboost','catboost'])[1 + i % 3]",
        artifact_uri="'s3://b/models/' || i",
        artifact_bytes="500000 + i",
        manifest=as_json(MANIFEST),
    )
    yield owned(
        "endpoints.EndpointConfig",
        n,
        name=f"{numbered('endpoint')} || '-1'",
        async_inference=when(f"i <= {min(n, N_ASYNC)}", as_json(_OBJECTS)),
    )
    yield rows(
        "endpoints.ProductionVariant",
        2 * n,
        config_id="(i + 1) / 2",
        name=when("i % 2 = 0", "'a'", "'b'"),
        model_id=f"1 + i % {sizes.models}",
        instance_type=when(_IS_SERVERLESS, "''", "'local.cpu'"),
        serverless_memory_mb=when(_IS_SERVERLESS, "2048"),
        serverless_max_concurrency=when(_IS_SERVERLESS, "5"),
        idle_after_s=when(_IS_SERVERLESS, "300"),
    )
    yield owned(
        "endpoints.Endpoint",
        n,
        name=numbered("endpoint"),
        letter="e",
        status=when("i % 9 = 0", "'Failed'", "'InService'"),
        wanted_id="i",
        live_id="i",
        updated_at=at(n),
    )
    yield rows("core.LogStream", REPLICAS_PER_ENDPOINT * n, uid=uid("r"))
    yield rows(
        "endpoints.Replica",
        REPLICAS_PER_ENDPOINT * n,
        endpoint_id="(i + 1) / 2",
        variant_id="i",
        uid=uid("r"),
        index="0",
        status="'InService'",
        host="'node-17'",
        lease_expires_at="now() + interval '1 day'",
        log_id=f"{sizes.jobs} + i",
    )
    yield rows(
        "endpoints.EndpointMetric",
        min(n, 200) * _MINUTES,
        endpoint_id=f"1 + (i - 1) / {_MINUTES}",
        variant="'a'",
        minute_at=f"date_trunc('minute', now()) - ((i - 1) % {_MINUTES}) * interval '1 minute'",
        n_requests="i % 300",
        busy_ms="i % 900",
        latency=as_json(_LATENCY),
    )
    yield _replica_runs(sizes)


def _replica_runs(sizes: Sizes) -> Rows:
    n, endpoint = sizes.replica_runs, f"1 + (i - 1) % {sizes.endpoints}"
    return rows(
        "endpoints.ReplicaRun",
        n,
        project_id="1",
        endpoint_id=endpoint,
        endpoint_name=numbered("endpoint", endpoint),
        endpoint_uid=uid("e", endpoint),
        variant="'a'",
        replica_uid=uid("r"),
        instance_type="'local.cpu'",
        started_at=at(n),
        ready_at=at(n),
        ended_at=when("i % 50 > 0", f"{at(n)} + interval '1 hour'"),
        seen_at="now()",
        **PRICED,
    )
