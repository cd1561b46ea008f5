"""Celery tasks of this room: an id in, one service call. The message is a hint; the row is the truth."""

from __future__ import annotations

from celery import shared_task

from endpoints.services.tables import table_run_execute


@shared_task(name="endpoints.table_run", ignore_result=True)
def table_run_task(run_id: int) -> bool:
    """Carries the table run out if nobody else has begun to."""
    return table_run_execute(run_id=run_id)
