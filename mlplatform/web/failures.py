"""What a failure card says: a title for each kind of cause, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils.translation import gettext as _

from mlplatform.core.status import FailureKind


@dataclass(frozen=True)
class Cause:
    title: str
    next_step: str


def failure_cause(kind: str) -> Cause:
    """The words for a `FailureKind`; an unknown kind is shown as it is."""
    causes = {
        FailureKind.DATA_ERROR: Cause(
            _("The data cannot be used"),
            _(
                "Correct the cell or row named here, upload a new version of the dataset and run the job again."
            ),
        ),
        FailureKind.CLIENT_ERROR: Cause(
            _("A setting does not fit the data"),
            _("Change the hyperparameter or the input named here and run the job again."),
        ),
        FailureKind.ALGORITHM_ERROR: Cause(
            _("The algorithm failed"),
            _("The last lines of the log say where. Try again with other settings; report it if it stays."),
        ),
        FailureKind.EXCEPTION: Cause(
            _("The code raised an exception"),
            _("The traceback below names the line. Correct it and run the job again."),
        ),
        FailureKind.SIGNAL: Cause(
            _("The process was killed"),
            _(
                "A crash in native code, or the machine ran out of memory. Try less data or a larger instance type."
            ),
        ),
        FailureKind.OUT_OF_MEMORY: Cause(
            _("Out of memory"),
            _("Choose an instance type with more memory, or train on less data (a smaller sample_size)."),
        ),
        FailureKind.TIME_LIMIT: Cause(
            _("The time limit was reached"),
            _("Raise the maximum run time, or train on less data."),
        ),
        FailureKind.LOST_WORKER: Cause(
            _("The worker was lost"),
            _(
                "The process that ran the job went away several times. Look at the workers page, then run it again."
            ),
        ),
        FailureKind.NO_MODEL: Cause(
            _("No model was written"),
            _(
                "The process ended without an error but left nothing in the model folder. The log says what it did."
            ),
        ),
        FailureKind.INTERNAL: Cause(
            _("Something failed on our side"),
            _("Run the job again. If it fails again, give an operator the name of the job."),
        ),
    }
    return next((cause for known, cause in causes.items() if known == kind), Cause(kind, ""))
