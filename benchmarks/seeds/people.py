"""People, their projects, keys and sessions; the nodes of the platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from benchmarks.seeds.rows import OF_USER, PROJECT, Rows, rows, when
from benchmarks.seeds.sizes import N_PROJECTS, N_USERS, Sizes

PERSON: Final = "user-1"


def seeds(sizes: Sizes) -> Iterator[Rows]:
    yield rows("auth.User", N_USERS, username="'user-' || i", is_active="true", password="'!'")
    yield rows(
        "core.Project",
        N_PROJECTS,
        name=when("i = 1", f"'{PROJECT}'", "'project-' || i"),
        account_id="lpad(i::text, 12, '0')",
    )
    yield rows("core.Membership", N_USERS, user_id="i", project_id="1", role="'admin'")
    yield rows("core.Membership", N_PROJECTS - 1, user_id="1", project_id="i + 1", role="'viewer'")
    yield rows(
        "core.AccessKey",
        300,
        key_id="'MLPK' || lpad(i::text, 10, '0')",
        user_id=OF_USER,
        project_id="1",
        created_at="now() - i * interval '1 hour'",
        revoked_at=when("i % 3 = 0", "now()"),
    )
    yield rows(
        "core.Node",
        24,
        kind="case when i <= 16 then 'worker' when i <= 22 then 'host' else 'gateway' end",
        name="'node-' || i",
        queues="""'["cpu"]'""",
        hostname="'machine-' || i",
        pid="i",
        version="'0.1.0'",
    )
    yield rows(
        "core.Session",
        2_000,
        session_key="'seeded-' || i",
        session_data="repeat('x', 200)",
        expire_date="now() + interval '1 day'",
        user_id=OF_USER,
    )
