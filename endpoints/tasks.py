"""Celery tasks of this room: an id in, one service call. The message is a hint; the row is the truth."""

from __future__ import annotations

from celery import shared_task

from endpoints.services.async_drain import async_drain
from endpoints.services.evaluations import evaluation_execute
from endpoints.services.tables import table_run_execute
from endpoints.services.transforms import transform_job_execute


@shared_task(name="endpoints.table_run", ignore_result=True)
def table_run_task(run_id: int) -> bool:
    """Carries the table run out if nobody else has begun to."""
    return table_run_execute(run_id=run_id)


@shared_task(name="endpoints.evaluation", ignore_result=True)
def evaluation_task(evaluation_id: int) -> bool:
    """Carries the evaluation out if nobody else has begun to."""
    return evaluation_execute(evaluation_id=evaluation_id)


@shared_task(name="endpoints.transform_job", ignore_result=True)
def transform_job_task(transform_job_id: int) -> bool:
    """Carries the batch transform out if nobody else has begun to."""
    return transform_job_execute(transform_job_id=transform_job_id)


@shared_task(name="endpoints.async_drain", ignore_result=True)
def async_drain_task(endpoint_id: int) -> bool:
    """Answers the asynchronous requests that wait for an endpoint, if nobody else is at it."""
    return async_drain(endpoint_id=endpoint_id)
