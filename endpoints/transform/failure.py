"""Why a batch transform cannot go on: for people, with the number of the record at fault."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Whose fault it is. `GONE`: the model server did not answer at all; the worker knows why."""

    DATA = "data_error"
    MODEL = "algorithm_error"
    GONE = "gone"


class TransformFailed(Exception):
    """The job ends with this message.

    Args:
        record: Its number in its object, from 1.
    """

    def __init__(self, message: str, *, fault: Fault = Fault.DATA, record: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.fault = fault
        self.record = record
