"""What goes wrong in the platform itself while a job is run, as an outcome, or as a reason to start the job again.

Called by `jobs.services.execution` and by the steps of an attempt.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db import DatabaseError, InterfaceError

from jobs.models import TrainingJob
from jobs.runner.outcome import Outcome, internal_failure
from jobs.services.lifecycle import ATTEMPTS_MAX, Lease
from mlplatform.core.errors import PlatformError, StorageFull, TransientError
from mlplatform.core.status import FailureKind
from mlplatform.core.storage.faults import JOB_FOLDER, storage_fault
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
AWAY: Final = (DatabaseError, InterfaceError)
"""How a database says that it cannot be reached."""


class Released(Exception):
    """The attempt cannot go on here and now; the job is to be started again."""


def fault_outcome(job: TrainingJob, lease: Lease, error: Exception) -> Outcome:
    """What went wrong as an outcome. Raises Released for what passes, but for the last time."""
    fault = transient_of(error)
    if fault is not None:
        if lease.attempt < ATTEMPTS_MAX:
            raise Released(_("{said}; the job will be started again", said=fault.message)) from error
        full = isinstance(fault, StorageFull)
        return internal_failure(
            fault.message, kind=FailureKind.STORAGE_FULL if full else FailureKind.INTERNAL
        )
    logger.error("job %s: attempt %s failed in the platform", job.uid, lease.attempt, exc_info=error)
    return internal_failure(_could_not_run(error))


def transient_of(error: Exception) -> TransientError | None:
    """The error as one that passes; None for one that does not."""
    if isinstance(error, TransientError):
        return error
    if isinstance(error, AWAY):
        return TransientError(_("The database was away"))
    return storage_fault(error, JOB_FOLDER)


def _could_not_run(error: Exception) -> str:
    name = type(error).__name__
    if not isinstance(error, PlatformError):
        return _("The platform could not run the job: {error}", error=name)
    return _("The platform could not run the job: {error}: {said}", error=name, said=error.message)
