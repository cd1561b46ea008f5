"""What a failure card says: a title for each kind of cause, what to do about it, where it was, the last lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from jobs.models import TrainingJob
from mlplatform.core.status import FailureKind
from mlplatform.web.job_code import last_anchor, source_anchor

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]"
)
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w.]{1,100})'")
_LINES_LAST = 5
"""Among so many of the last lines an exception is what ended the process."""


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
        FailureKind.STORAGE_FULL: Cause(
            _("The disk is full"),
            _(
                "An operator has to make room on the disk named here. As soon as there is a little, deleting datasets, "
                "models and old jobs makes more. Then run the job again."
            ),
        ),
        FailureKind.INTERNAL: Cause(
            _("Something failed on our side"),
            _("Run the job again. If it fails again, give an operator the name of the job."),
        ),
    }
    return next((cause for known, cause in causes.items() if known == kind), Cause(kind, ""))


def failure_context(job: TrainingJob, n_log_lines: int) -> dict[str, Any]:
    """What the card shows of a `TrainingJob.failure`, beside its reason; lines of a traceback lead to the code."""
    failure: Mapping[str, Any] = job.failure or {}
    lines = [plain_line(line) for line in failure.get("log_tail") or []]
    first = failure.get("first_line")
    last = min(first + len(lines) - 1, n_log_lines) if first else None
    numbers = range(first, first + len(lines)) if first else [None] * len(lines)
    return {
        "cause": failure_cause(failure["kind"]),
        "missing_module": _missing_module(job, lines),
        "failure_facts": _facts(failure),
        "failure_lines": [
            (n, line, source_anchor(job, line)) for n, line in zip(numbers, lines, strict=True)
        ],
        "code_anchor": last_anchor(job, [*lines, *str(failure.get("detail") or "").splitlines()]),
        "failure_anchor": _anchor(first, last),
    }


def _anchor(first: int | None, last: int | None) -> str:
    if not first:
        return ""
    return f"#L{first}-L{last}" if last and last > first else f"#L{first}"


def plain_line(line: str) -> str:
    """A line of terminal output as text: what a carriage return overwrote is left out, colours too."""
    return _CONTROL.sub("", line.rstrip("\r").rpartition("\r")[2])


def _missing_module(job: TrainingJob, lines: Sequence[str]) -> str:
    """The module that a script could not import; empty where it failed of something else."""
    said = (_MISSING.search(line) for line in reversed(lines[-_LINES_LAST:]))
    found = next(filter(None, said), None) if job.source_id else None
    return found[1].partition(".")[0] if found else ""


def _facts(failure: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where and how, as far as it is known: data row, column and value; exit code or signal."""
    named = (
        (_("Data row"), failure.get("row")),
        (_("Column"), failure.get("column")),
        (_("Value"), failure.get("value")),
        (_("Exit code"), failure.get("exit_code")),
        (_("Signal"), failure.get("signal")),
    )
    return [(name, str(value)) for name, value in named if value not in (None, "")]
