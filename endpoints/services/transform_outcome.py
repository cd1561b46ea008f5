"""Why a batch transform failed, in the form of `TransformJob.failure`. Called by its execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from jobs.runner.outcome import failure_of
from jobs.runner.said import said_text
from mlplatform.core.status import FailureKind

_KINDS: Final = {
    "data_error": FailureKind.DATA_ERROR,
    "algorithm_error": FailureKind.ALGORITHM_ERROR,
    "gone": FailureKind.ALGORITHM_ERROR,
    "storage_full": FailureKind.STORAGE_FULL,
}
_TAIL_LINES: Final = 20


class Ended(Exception):
    """The attempt has failed.

    Args:
        detail: A traceback, if there is one.
        record: Number of the record at fault in its object, from 1.
        name: Of that object.
    """

    def __init__(
        self, kind: FailureKind, reason: str, *, detail: str = "", record: int | None = None, name: str = ""
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason
        self.detail = detail
        self.record = record
        self.name = name

    @classmethod
    def said(cls, failure: Mapping[str, Any]) -> Ended:
        """As the job's process, which may have been taken over, says it."""
        record = failure.get("record")
        return cls(
            _KINDS.get(str(failure.get("kind")), FailureKind.EXCEPTION),
            said_text(failure.get("said")),
            record=record if isinstance(record, int) and not isinstance(record, bool) else None,
            name=str(failure.get("object") or "")[:200],
        )


def failure_from(ended: Ended, tail: Sequence[str]) -> dict[str, Any]:
    """The failure of a job; `tail` are the last lines that its model server printed."""
    return failure_words(ended.kind, ended.reason) | {
        "detail": ended.detail,
        "row": ended.record,
        "object": ended.name,
        "log_tail": [line[:500] for line in tail][-_TAIL_LINES:],
    }


def failure_words(kind: FailureKind, reason: str) -> dict[str, Any]:
    """The same with words alone."""
    return failure_of(kind, reason) | {
        "row": None,
        "column": None,
        "object": "",
        "exit_code": None,
        "signal": None,
        "log_tail": [],
        "first_line": None,
    }
