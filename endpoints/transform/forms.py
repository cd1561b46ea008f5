"""What becomes of a record on its way in and out: filtered and written for the model, joined, filtered, written.

Pure, Django-free. Used by the process of a transform and by the preview of a request.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from endpoints.transform.failure import TransformFailed
from endpoints.transform.filters import FilterMiss, RecordFilter, filter_parse
from endpoints.transform.records import Record
from endpoints.transform.spec import CSV, JSON, JSON_LINES, TransformSpec
from mlplatform.core.text import text as _

OUTPUT: Final = "SageMakerOutput"
INPUT: Final = "SageMakerInput"


class Cells(list[Any]):
    """The cells of an answer in CSV: in a joined row they are columns of their own."""


@dataclass(frozen=True)
class RecordForm:
    """How records of one transform are treated.

    Args:
        media_type: Of the records: CSV rows are lists of cells, JSON is parsed, everything else stays bytes.
        names: The columns of a dataset, in order.
    """

    media_type: str
    input_filter: RecordFilter
    output_filter: RecordFilter
    joins: bool
    names: Sequence[str] = ()
    positions: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, spec: TransformSpec) -> RecordForm:
        """Raises FilterError."""
        names = tuple(spec.schema["columns"]) if spec.schema and spec.media_type == CSV else ()
        return cls(
            media_type=spec.media_type,
            input_filter=filter_parse(spec.input_filter),
            output_filter=filter_parse(spec.output_filter),
            joins=spec.join == "Input",
            names=names,
            positions={name: position for position, name in enumerate(names)},
        )

    @property
    def is_json(self) -> bool:
        return self.media_type in {JSON, JSON_LINES}

    @property
    def keeps_records(self) -> bool:
        """Whether a record is needed again when its answer is there."""
        return self.joins

    @property
    def has_header(self) -> bool:
        """Whether the lines begin with one of names: rows of a dataset with names, joined."""
        return self.joins and bool(self.names)

    def sent(self, record: Record, number: int) -> bytes:
        """The record as the model gets it, without a line end. Raises TransformFailed."""
        if isinstance(record, bytes) and (self.input_filter.is_whole or not self.is_json):
            return record
        try:
            chosen = self.input_filter.apply(self._value(record, number), names=self.positions)
        except FilterMiss as miss:
            raise self._missed(self.input_filter, "input_filter", number, miss) from None
        return csv_line(_row(chosen)) if self.media_type == CSV else _json(chosen, number)

    def line(self, record: Record | None, answer: Any, number: int) -> bytes:
        """The line of the result, without its end.

        Args:
            record: What the answer is to be joined with; None where it is not.
            answer: `Cells` for an answer in CSV, bytes for one that is only handed on, anything else as JSON has it.
        """
        value = answer if record is None else self._joined(record, answer, number)
        if isinstance(value, bytes):
            return value
        is_row = isinstance(value, Cells)
        try:
            chosen = self.output_filter.apply(list(value) if is_row else value, names=self._names_out(value))
        except FilterMiss as miss:
            raise self._missed(self.output_filter, "output_filter", number, miss) from None
        return csv_line(_row(chosen)) if is_row else _json(chosen, number)

    def header(self, answer: Any) -> bytes:
        """The line of names, as the first answer has them too. Raises TransformFailed."""
        names = Cells([*self.names, *answer_names(answer)])
        return self.line(None, names, 0)

    def _value(self, record: Record, number: int) -> Any:
        if isinstance(record, list):
            return record
        try:
            return orjson.loads(record)
        except ValueError as error:
            raise TransformFailed(
                _("record {number}: it is not JSON ({error})", number=number, error=str(error)[:200]),
                record=number,
            ) from None

    def _joined(self, record: Record, answer: Any, number: int) -> Any:
        if isinstance(record, list):
            return Cells([*record, *answer_cells(answer)])
        value = self._value(record, number)
        said = (answer[0] if len(answer) == 1 else list(answer)) if isinstance(answer, Cells) else answer
        return {**value, OUTPUT: said} if isinstance(value, dict) else {INPUT: value, OUTPUT: said}

    def _names_out(self, value: Any) -> Mapping[str, int] | None:
        return self.positions if self.joins and isinstance(value, Cells) else None

    def _missed(self, given: RecordFilter, what: str, number: int, miss: FilterMiss) -> TransformFailed:
        return TransformFailed(
            _(
                "record {number}: {filter} {text} finds nothing, as it {reason}",
                number=number,
                filter=what,
                text=given.text,
                reason=miss.message,
            ),
            record=number,
        )


def answer_cells(answer: Any) -> list[Any]:
    """An answer as columns: the cells of CSV, the values of a JSON object, else the value itself."""
    if isinstance(answer, Cells):
        return list(answer)
    return list(answer.values()) if isinstance(answer, dict) else [answer]


def answer_names(answer: Any) -> list[str]:
    """What the columns of an answer are called."""
    if isinstance(answer, dict):
        return [str(name) for name in answer]
    n_cells = len(answer_cells(answer))
    return ["prediction"] if n_cells == 1 else [f"prediction_{number}" for number in range(1, n_cells + 1)]


def csv_line(cells: Iterable[Any]) -> bytes:
    """A row without its line end; what is no text or number is written as JSON."""
    texts = [_cell(cell) for cell in cells]
    joined = ",".join(texts)
    if not _SPECIAL.isdisjoint(joined) or joined.count(",") != len(texts) - 1 or not joined:
        out = io.StringIO(newline="")
        csv.writer(out, lineterminator="\r\n").writerow(
            texts
        )  # a line end in a cell is quoted by what ends a row
        joined = out.getvalue().removesuffix("\r\n")
    return joined.encode()


_SPECIAL: Final = frozenset('"\r\n')


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return orjson.dumps(value).decode()


def _row(chosen: Any) -> Sequence[Any]:
    return chosen if isinstance(chosen, list) else [chosen]


def _json(value: Any, number: int) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError as error:
        raise TransformFailed(
            _(
                "record {number}: it cannot be written as JSON ({error})",
                number=number,
                error=str(error)[:200],
            ),
            record=number,
        ) from None
