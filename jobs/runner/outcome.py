"""What the end of a job's process means: completed, stopped, or failed and why. Django-free, pure but for
reading files.

Called by the worker after `jobs.runner.follow`. The job process says what it knows in `output/failure.json`;
what it cannot say (killed, out of memory, out of time) is told from how it ended.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jobs.runner.follow import Cause, Ending
from jobs.runner.left_file import left_file_head
from jobs.runner.pack import model_has_file
from jobs.runner.process import STOPPED
from jobs.runner.said import said_read
from mlplatform.core.status import FailureKind, SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.faults import JOB_FOLDER, says_disk_full, storage_full
from mlplatform.core.text import Text, to_json
from mlplatform.core.text import text as _

REASON_MAX: Final = 1024
TAIL_LINES: Final = 40
FAILURE_FILE_MAX_BYTES: Final = 256 * 1024
_KINDS: Final = {
    "client_error": FailureKind.CLIENT_ERROR,
    "data_error": FailureKind.DATA_ERROR,
    "algorithm_error": FailureKind.ALGORITHM_ERROR,
    "out_of_memory": FailureKind.OUT_OF_MEMORY,
    "exception": FailureKind.EXCEPTION,
    "storage_full": FailureKind.STORAGE_FULL,
}


_SIGNALS: Final = {
    int(signal.SIGSEGV): _("it crashed in native code"),
    int(signal.SIGABRT): _("it aborted in native code"),
    int(signal.SIGKILL): _("something outside the platform ended it"),
    int(signal.SIGTERM): _("something outside the platform ended it"),
}


@dataclass(frozen=True)
class Outcome:
    """The one end of an attempt. `failure` is what the job's page shows, in the form of
    `TrainingJob.failure`. What the platform says of it keeps its template, to be shown in every language.
    """

    status: TrainingJobStatus
    secondary_status: SecondaryStatus
    message: str
    failure: dict[str, Any] | None = None

    @property
    def may_have_model(self) -> bool:
        """A model is kept of a job that completed, and of one that saved it when asked to stop."""
        return self.status in {TrainingJobStatus.COMPLETED, TrainingJobStatus.STOPPED}


@dataclass(frozen=True)
class Tail:
    """The last lines printed; `first_line` is the number of the first in the log, None if they are not in it."""

    lines: Sequence[str] = ()
    first_line: int | None = None


def outcome_of(
    *,
    ending: Ending,
    root: Path,
    tail: Tail,
    max_runtime_s: int,
    memory_limit_bytes: int,
    disk_limit_bytes: int = 0,
) -> Outcome:
    """The outcome of an attempt whose process ended by itself, by a limit or by a stop request."""
    if ending.cause is Cause.STOP:
        return Outcome(TrainingJobStatus.STOPPED, SecondaryStatus.STOPPED, _("Training job stopped"))
    if ending.cause is Cause.TIME_LIMIT:
        return _time_limit(ending, tail, max_runtime_s)
    if ending.cause is Cause.MEMORY_LIMIT:
        return _failed(FailureKind.OUT_OF_MEMORY, _memory_reason(ending, memory_limit_bytes), ending, tail)
    if ending.cause is Cause.DISK_LIMIT:
        return _failed(FailureKind.STORAGE_FULL, _disk_reason(disk_limit_bytes), ending, tail)
    if ending.returncode == 0:
        return _completed(root, ending, tail)
    said = _failure_file(root)
    if said is not None:
        return _failed_as_said(said, ending, tail)
    number = _signal_number(ending.returncode)
    if number is not None:
        return _killed(number, ending, tail)
    last = _last_line(tail)
    if says_disk_full(last) or last.endswith(storage_full(JOB_FOLDER).message):
        return _failed(FailureKind.STORAGE_FULL, storage_full(JOB_FOLDER).message, ending, tail)
    return _failed(FailureKind.EXCEPTION, _exception_reason(ending, tail), ending, tail)


def internal_failure(reason: str, *, kind: FailureKind = FailureKind.INTERNAL) -> Outcome:
    """The platform itself could not run the job."""
    failure = failure_of(kind, reason)
    return Outcome(TrainingJobStatus.FAILED, SecondaryStatus.FAILED, failure_named(kind, reason), failure)


def input_failure(reason: str) -> Outcome:
    """An input could not be handed to the job."""
    return internal_failure(reason, kind=FailureKind.CLIENT_ERROR)


def failure_of(kind: FailureKind, reason: str) -> dict[str, Any]:
    """The parts that `TrainingJob.failure` always has."""
    said = to_json(reason) if isinstance(reason, Text) else None
    return {"kind": kind.value, "reason": reason[:REASON_MAX], "said": said, "detail": ""}


def failure_named(kind: FailureKind, reason: str) -> str:
    """The reason after the name of its kind, which is the same in every language."""
    return Text("{kind}: {reason}", {"kind": kind.value, "reason": reason})


def _completed(root: Path, ending: Ending, tail: Tail) -> Outcome:
    if not model_has_file(root / "model"):
        reason = _("The process ended with exit code 0 but wrote no file into the model folder")
        return _failed(FailureKind.NO_MODEL, reason, ending, tail)
    return Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, _("Training job completed"))


def _time_limit(ending: Ending, tail: Tail, max_runtime_s: int) -> Outcome:
    reason = _(
        "The job ran for its maximum run time of {limit} s and was stopped", limit=f"{max_runtime_s:,}"
    )
    return Outcome(
        TrainingJobStatus.STOPPED,
        SecondaryStatus.MAX_RUNTIME_EXCEEDED,
        reason,
        _failure(FailureKind.TIME_LIMIT, reason, ending, tail),
    )


def _failed_as_said(said: dict[str, Any], ending: Ending, tail: Tail) -> Outcome:
    kind = _KINDS.get(str(said.get("kind")), FailureKind.EXCEPTION)
    message = said_read(said.get("said"), message=str(said.get("message") or "")[:REASON_MAX])
    outcome = _failed(kind, message or _("no message"), ending, tail)
    assert outcome.failure is not None
    outcome.failure.update(
        detail=str(said.get("traceback") or "")[-8000:],
        row=said.get("row") if isinstance(said.get("row"), int) else None,
        column=None if said.get("column") is None else str(said["column"])[:200],
        value=None if said.get("value") is None else str(said["value"])[:200],
    )
    return outcome


def _killed(number: int, ending: Ending, tail: Tail) -> Outcome:
    name = _signal_name(number)
    if number == signal.SIGKILL and ending.kernel_out_of_memory:
        reason = _("The kernel ended the process because the machine had no memory left")
        return _failed(FailureKind.OUT_OF_MEMORY, reason, ending, tail)
    reason = _(
        "The process was killed by signal {number} ({name}): {said}",
        number=number,
        name=name,
        said=_SIGNALS.get(number, _("it did not handle it")),
    )
    return _failed(FailureKind.SIGNAL, reason, ending, tail)


def _failed(kind: FailureKind, reason: str, ending: Ending, tail: Tail) -> Outcome:
    failure = _failure(kind, reason, ending, tail)
    return Outcome(TrainingJobStatus.FAILED, SecondaryStatus.FAILED, failure_named(kind, reason), failure)


def _failure(kind: FailureKind, reason: str, ending: Ending, tail: Tail) -> dict[str, Any]:
    number = _signal_number(ending.returncode)
    lines, first_line = _relevant(tail)
    return failure_of(kind, reason) | {
        "row": None,
        "column": None,
        "exit_code": ending.returncode if number is None else None,
        "signal": None if number is None else _signal_name(number),
        "log_tail": lines,
        "first_line": first_line,
    }


def _relevant(tail: Tail) -> tuple[list[str], int | None]:
    """The last lines: from the last traceback on where there is one, else the last twenty."""
    lines = [line[:500] for line in tail.lines]
    begins = [
        index for index, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")
    ]
    start = begins[-1] if begins else max(0, len(lines) - 20)
    return lines[start:], None if tail.first_line is None else tail.first_line + start


def _memory_reason(ending: Ending, limit_bytes: int) -> str:
    used, limit = ending.peak_memory_bytes / 2**20, limit_bytes / 2**20
    return _(
        "The job used {used} MiB of memory; its instance type has {limit} MiB",
        used=f"{used:,.0f}",
        limit=f"{limit:,.0f}",
    )


def _disk_reason(limit_bytes: int) -> str:
    return _(
        "The job wrote more than the {limit} MiB that a job may have on disk; write less, or have an operator raise "
        "MLPLATFORM_JOB_DISK_BYTES",
        limit=f"{limit_bytes / 2**20:,.0f}",
    )


def _exception_reason(ending: Ending, tail: Tail) -> str:
    """The last line printed is, for an uncaught exception, the exception itself."""
    last = _last_line(tail)[:REASON_MAX]
    if not last:
        return _("The process ended with exit code {code}, and printed nothing", code=ending.returncode)
    return _("The process ended with exit code {code}: {line}", code=ending.returncode, line=last)


def _last_line(tail: Tail) -> str:
    return next((line.strip() for line in reversed(tail.lines) if line.strip()), "")


def _failure_file(root: Path) -> dict[str, Any] | None:
    try:
        said = json.loads(left_file_head(root / "output", "failure.json", FAILURE_FILE_MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return _failure_text(root)
    return said if isinstance(said, dict) else None


def _failure_text(root: Path) -> dict[str, Any] | None:
    """The service's own plain `output/failure`, as a script may write it."""
    try:
        head = left_file_head(root / "output", "failure", FAILURE_FILE_MAX_BYTES)
    except OSError:
        return None
    text = head.decode("utf-8", "replace").strip()[: 4 * REASON_MAX]
    kinds = {"ClientError": "client_error", "AlgorithmError": "algorithm_error", "DataError": "data_error"}
    prefix, colon, rest = text.partition(":")
    known = kinds.get(prefix.strip())
    if not text:
        return None
    return {"kind": known or "exception", "message": rest.strip() if colon and known else text}


def _signal_number(returncode: int) -> int | None:
    """The signal that ended the process; None for an end of its own. 143 is how a process that tidies up first
    says SIGTERM.
    """
    if returncode == STOPPED:
        return int(signal.SIGTERM)
    return -returncode if returncode < 0 else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
