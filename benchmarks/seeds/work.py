"""Work that models do beside answering: transform jobs, runs over tables, asynchronous invocations."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.seeds.endpoints import N_ASYNC, REPLICAS_PER_ENDPOINT
from benchmarks.seeds.rows import PRICED, Rows, as_json, at, made, numbered, owned, rows, uid, when
from benchmarks.seeds.sizes import Sizes


def seeds(sizes: Sizes) -> Iterator[Rows]:
    yield rows("core.LogStream", sizes.transforms, uid=uid("b"))
    yield _transform_jobs(sizes)
    yield made(
        "endpoints.TableRun",
        sizes.table_runs,
        endpoint_id=f"1 + i % {min(sizes.endpoints, 20)}",
        dataset_version_id=f"1 + i % {sizes.datasets}",
        uid=uid("w"),
        status="'Completed'",
        summary=as_json({"accuracy": 0.93}),
    )
    n = sizes.async_invocations
    yield rows(
        "endpoints.AsyncInvocation",
        n,
        endpoint_id=f"1 + i % {min(sizes.endpoints, N_ASYNC)}",
        uid=uid("y"),
        inference_id="'request-' || i",
        status=f"case when i > {n} - 100 then 'Pending' when i % 40 = 0 then 'Failed' else 'Completed' end",
        input_uri="'s3://b/async/' || i",
        output_uri="'s3://b/async-out/' || i",
        failure_uri="'s3://b/async-fail/' || i",
        created_at=at(n),
    )


def _transform_jobs(sizes: Sizes) -> Rows:
    n, n_logs_before = sizes.transforms, sizes.jobs + REPLICAS_PER_ENDPOINT * sizes.endpoints
    return owned(
        "endpoints.TransformJob",
        n,
        name=numbered("transform"),
        letter="b",
        model_id=f"1 + i % {sizes.models}",
        dataset_reference=f"{numbered('dataset', f'1 + i % {sizes.datasets}')} || '@1'",
        instance_type="'local.cpu'",
        queue="'cpu'",
        status=when("i % 13 = 0", "'Failed'", "'Completed'"),
        failure=when("i % 13 = 0", as_json({"kind": "DataError", "reason": "row 7"})),
        log_id=f"{n_logs_before} + i",
        started_at=at(n),
        ended_at=at(n),
        billable_s="i % 600",
        **PRICED,
    )
