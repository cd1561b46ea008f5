"""Celery tasks of this room: an id in, one service call. The message is a hint; the row is the truth."""

from __future__ import annotations

from celery import shared_task

from jobs.services.execution import training_job_run
from jobs.services.warm_processes import warm_processes
from jobs.services.worker_state import worker_state


@shared_task(name="jobs.training_job_run", ignore_result=True)
def training_job_run_task(job_id: int) -> bool:
    """Runs the job if it is still to be run."""
    return training_job_run(job_id=job_id, worker=worker_state(), warm=warm_processes())
