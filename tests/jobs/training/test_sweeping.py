"""What the scheduler does every second stays cheap, however many jobs there have been."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.services.sweeping import Resending, sweep_leases, sweep_owners, sweep_pending, sweep_stopping
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat

pytestmark = pytest.mark.django_db


@pytest.mark.skipif(connection.vendor != "sqlite", reason="reads SQLite's plans")
def test_no_turn_of_the_scheduler_looks_through_the_jobs_that_have_ended() -> None:
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"], concurrency=2)
    with CaptureQueriesContext(
        connection,
    ) as asked:
        sweep_leases()
        sweep_owners()
        sweep_stopping()
        sweep_pending(resending=Resending())
    of_jobs = [each["sql"] for each in asked if '"jobs_trainingjob"' in each["sql"]]
    assert len(of_jobs) >= 5
    for sql in of_jobs:
        plan = _plan(sql)
        assert "SEARCH jobs_trainingjob USING INDEX" in plan and "SCAN jobs_trainingjob" not in plan, sql


def _plan(sql: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
        return "\n".join(str(row[-1]) for row in cursor.fetchall())
