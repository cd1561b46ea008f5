"""What the platform keeps for itself: the audit trail, removed objects, sweeps, idempotent requests."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.seeds.rows import OF_PROJECT, OF_USER, PROJECT, Rows, as_json, at, rows, when
from benchmarks.seeds.sizes import N_USERS, Sizes


def seeds(sizes: Sizes) -> Iterator[Rows]:
    n = sizes.audit_events
    yield rows(
        "core.AuditEvent",
        n,
        at=at(n),
        action="(array['training_job.create','training_job.stop','dataset.create','model.create',"
        "'endpoint.update','session.sign_in'])[1 + i % 6]",
        target="'knn-' || lpad(i::text, 7, '0')",
        outcome=when("i % 50 = 0", "'refused'", "'done'"),
        user_id=OF_USER,
        username=f"'user-' || (1 + i % {N_USERS})",
        project_id=OF_PROJECT,
        project_name=when("i % 20 > 0", f"'{PROJECT}'", "'project-2'"),
        address="'10.0.0.7'",
        face="'rest'",
        request_id="md5(i::text)",
        detail=as_json({"algorithm": "knn"}),
    )
    yield rows(
        "core.ObjectTombstone",
        5_000,
        uri="'s3://b/gone/' || i",
        reason="'training_job.delete'",
        due_at="now() + interval '1 hour'",
    )
    yield rows("core.SweepState", 12, name="'sweep-' || i", due_at="now() + interval '1 day'")
    yield rows(
        "core.IdempotentRequest",
        5_000,
        project_id="1",
        user_id="1",
        key="'key-' || i",
        request_sha256="md5(i::text)",
    )
