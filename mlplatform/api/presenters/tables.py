"""Table runs as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import TableRun
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated


def table_run_json(run: TableRun) -> dict[str, Any]:
    return {
        "uid": run.uid,
        "endpoint": run.endpoint.name,
        "dataset": str(run.dataset_version),
        "variant": run.variant or None,
        "status": run.status,
        "n_rows": run.n_rows,
        "n_done": run.n_done,
        "failure_reason": translated(run.failure) or None,
        "summary": run.summary,
        "created_by": run.created_by.get_username(),
        "created_at": instant(run.created_at),
        "ended_at": instant(run.ended_at),
    }
