"""A worker's thread that carries a tuning job on as soon as one of its training jobs has ended there, so that the next
trial does not wait for the scheduler.

It is a hint like any message: what it misses, or cannot do, the scheduler does within a second. It never holds a job
up, because whoever ends one only leaves the job's id here.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Final

from django.db import Error as DatabaseFault
from django.db import connection

from jobs.models import TuningTrial
from jobs.services.tuning_steps import tuning_job_step
from jobs.services.worker_state import WorkerState
from jobs.tuning.asker import asker_here
from mlplatform.core.status import ACTIVE_TUNING

logger = logging.getLogger(__name__)
_BUSY_PAUSE_S: Final = 0.02
_BUSY_S: Final = 2.0
_IDLE_S: Final = 30.0
_WAITING_MAX: Final = 1000


class TuningDriver(threading.Thread):
    """One per worker process; `wake` may be called from any thread."""

    def __init__(self, worker: WorkerState) -> None:
        super().__init__(name="tuning", daemon=True)
        self._worker = worker
        self._ended: queue.Queue[int] = queue.Queue(_WAITING_MAX)

    def wake(self, job_id: int) -> None:
        """A training job has ended: whether it is a trial's is found out here, and not by who calls."""
        try:
            self._ended.put_nowait(job_id)
        except queue.Full:
            logger.info("many jobs end at once; the scheduler carries on those that nobody here takes in")

    def run(self) -> None:
        try:
            while not self._worker.shutting_down():
                self._turn()
        finally:
            asker_here().close()
            connection.close()

    def _turn(self) -> None:
        try:
            job_ids = {self._ended.get(timeout=_IDLE_S)}
        except queue.Empty:
            connection.close()
            return
        while not self._ended.empty():
            job_ids.add(self._ended.get_nowait())
        try:
            for tuning_job_id in _tuning_jobs_of(job_ids):
                self._carry_on(tuning_job_id)
        except DatabaseFault as error:
            logger.warning("tuning jobs wait for the scheduler, the database is away: %s", error)
            connection.close()
        except Exception:
            logger.exception("a tuning job could not be carried on")
            connection.close()

    def _carry_on(self, tuning_job_id: int) -> None:
        """Whoever has the lease may have looked before the job ended, so that it is tried again until it is free."""
        give_up_at = time.monotonic() + _BUSY_S
        while tuning_job_step(tuning_job_id=tuning_job_id, look_first=False) is None:
            if time.monotonic() >= give_up_at or self._worker.wait(_BUSY_PAUSE_S):
                return


def _tuning_jobs_of(job_ids: set[int]) -> list[int]:
    trials = TuningTrial.objects.filter(training_job__in=job_ids, tuning_job__status__in=ACTIVE_TUNING)
    return list(trials.order_by("tuning_job").values_list("tuning_job", flat=True).distinct())
