"""Steps of an attempt that wait for what is away for a while: the database, the store, room on a disk.

Called by `jobs.services.execution` in the attempt's thread.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.conf import settings
from django.db import connection

from jobs.services.attempt_faults import AWAY, transient_of
from jobs.services.lifecycle import Lease, LeaseLost, training_job_move, training_job_note
from jobs.services.reporting import Reporter
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import TransientError
from mlplatform.core.status import SecondaryStatus
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
T = TypeVar("T")
_RETRY_S: Final = 0.5
_GIVE_UP_S: Final = 20.0


class AttemptSteps:
    """Carries out steps of the attempt that has this lease."""

    def __init__(self, *, uid: str, lease: Lease, worker: WorkerState, reporter: Reporter) -> None:
        self._uid = uid
        self._lease = lease
        self._worker = worker
        self._reporter = reporter

    def move(self, status: SecondaryStatus, message: str) -> None:
        self.patiently(lambda: training_job_move(lease=self._lease, status=status, message=message))

    def note(self, message: str) -> None:
        """Says something among the job's events, and in the worker's log."""
        logger.warning("job %s: %s", self._uid, message)
        self.patiently(lambda: training_job_note(lease=self._lease, message=message))

    def storing(self, step: Callable[[], T]) -> T:
        """A step that needs room on a disk, or the store: waits a while for either, and says so among the events.

        Raises:
            TransientError: still not to be had, or the job or the worker is to end.
        """
        begun = time.monotonic()
        is_told = False
        while True:
            try:
                return step()
            except (TransientError, OSError) as error:
                fault = transient_of(error)
                if fault is None:
                    raise
                is_over = time.monotonic() - begun > settings.MLPLATFORM_STORE_PATIENCE_S
                if is_over or self._reporter.order() is not None:
                    raise fault from error
                if not is_told:
                    self.note(_("{said}. The job waits for it", said=fault.message))
                    is_told = True
                self._worker.wait(_RETRY_S)

    def patiently(self, write: Callable[[], T]) -> T:
        """A write that waits for a database that is away; gives up only when the worker is to end."""
        give_up = self.give_up()
        while True:
            try:
                return write()
            except AWAY as error:
                connection.close()
                if give_up():
                    raise LeaseLost from error
                logger.warning("job %s: database away: %s", self._uid, error)
                time.sleep(_RETRY_S)

    def give_up(self) -> Callable[[], bool]:
        """Says, from 20 s after now, whether to stop waiting because the worker is to end."""
        begun = time.monotonic()
        return lambda: self._worker.shutting_down() and time.monotonic() - begun > _GIVE_UP_S
