"""Decides the type of every column from all of its cells, in one pass over the file.

A column is a number column if all its cells are numbers (or missing). A column of which nine in ten cells or
more are numbers is meant to be one, so that what is not is refused with its place; with fewer it is a text
column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.data.sniff import Layout
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import FALSE, NUMBER_PATTERN, TRUE, shown
from mlplatform.core.tabular.csv import CsvReader
from mlplatform.core.tabular.jsonlines import JsonLinesReader, Lines
from mlplatform.core.tabular.parquet import parquet_columns, parquet_open
from mlplatform.core.tabular.schema import ColumnType
from mlplatform.core.tabular.source import open_seekable, open_source
from mlplatform.core.text import text as _

NUMBER_SHARE: Final = 0.9
_WHOLE = f"^(?:{NUMBER_PATTERN})$"
_INTEGER = "^[+-]?[0-9]{1,18}$"
_BOOLEANS = pa.array((*TRUE, *FALSE))


@dataclass
class Evidence:
    """Counts of what the cells of a column are; `first_other` is row and value of the first that is no
    number.
    """

    n_integer: int = 0
    n_fractional: int = 0
    n_boolean: int = 0
    n_text: int = 0
    first_other: tuple[int, str] | None = None
    first_number: tuple[int, str] | None = None

    @property
    def n_number(self) -> int:
        return self.n_integer + self.n_fractional

    def type(self) -> ColumnType:
        """The type that holds all cells seen so far."""
        if self.n_text == 0 and self.n_boolean == 0:
            return "fractional" if self.n_fractional or not self.n_integer else "integral"
        return "boolean" if self.n_text == 0 and self.n_number == 0 else "text"


@dataclass(frozen=True)
class FoundColumns:
    columns: tuple[str, ...]
    types: tuple[ColumnType, ...]
    n_rows: int


def column_types_find(path: Path, layout: Layout) -> FoundColumns:
    """Names and types of the columns and the number of rows. Raises DataError with the place of what does not
    fit.
    """
    if layout.format == "parquet":
        with open_seekable(path) as stream:
            file = parquet_open(stream)
            return FoundColumns(*parquet_columns(file), file.metadata.num_rows)
    return (_csv if layout.format == "csv" else _jsonlines)(path, layout)


def _csv(path: Path, layout: Layout) -> FoundColumns:
    with open_source(path) as stream:
        reader = CsvReader(stream, encoding=layout.encoding, delimiter=layout.delimiter, header=layout.header)
        evidence: list[Evidence] = []
        for block in reader.blocks():
            evidence = evidence or [Evidence() for _ in reader.columns]
            reader.advance(_csv_block(reader, block, evidence))
    types = tuple(
        _decided(name, found, header=layout.header)
        for name, found in zip(reader.columns, evidence, strict=True)
    )
    return FoundColumns(reader.columns, types, reader.row - 1)


def _csv_block(reader: CsvReader, block: bytes, evidence: list[Evidence]) -> int:
    """Adds the block's cells to the evidence; returns how many rows it has."""
    types: list[ColumnType] = [found.type() for found in evidence]
    if reader.row > 1:
        try:
            table = reader.table(block, types, integers=pa.int64())
            if not any(_has_infinity(column) for column in table.columns):
                for column, found in zip(table.columns, evidence, strict=True):
                    _add_typed(column, found, reader.row)
                return int(table.num_rows)
        except pa.ArrowInvalid:
            pass  # some column is of another type from here on
    texts: list[ColumnType] = ["text"] * len(types)
    try:
        table = reader.table(block, texts)
    except pa.ArrowInvalid:
        table = reader.precise_table(block, texts)
    for column, found in zip(table.columns, evidence, strict=True):
        _add_text(column, found, reader.row)
    return int(table.num_rows)


def _has_infinity(column: pa.ChunkedArray) -> bool:
    return pa.types.is_floating(column.type) and not pc.all(pc.is_finite(column), min_count=0).as_py()


def _add_typed(column: pa.ChunkedArray, found: Evidence, first_row: int) -> None:
    n_present = len(column) - column.null_count
    if pa.types.is_integer(column.type):
        found.n_integer += n_present
    elif pa.types.is_floating(column.type):
        found.n_fractional += n_present
    elif pa.types.is_boolean(column.type):
        found.n_boolean += n_present
    else:
        _add_text(column, found, first_row)


def _add_text(column: pa.ChunkedArray, found: Evidence, first_row: int) -> None:
    values = column.drop_null().value_counts()
    texts, counts = values.field(0), values.field(1)
    number = pc.match_substring_regex(texts, _WHOLE)
    integer = pc.match_substring_regex(texts, _INTEGER)
    boolean = pc.is_in(texts, value_set=_BOOLEANS)
    n_number, n_integer = _sum(counts, number), _sum(counts, integer)
    n_boolean = _sum(counts, boolean)
    n_others = (pc.sum(counts).as_py() or 0) - n_number
    found.n_integer += n_integer
    found.n_fractional += n_number - n_integer
    found.n_boolean += n_boolean
    found.n_text += n_others - n_boolean
    if n_others and found.first_other is None:
        other = pc.filter(texts, pc.invert(number))
        at = pc.index(pc.is_in(column, value_set=other), True).as_py()
        found.first_other = (first_row + at, column[at].as_py())


def _sum(counts: pa.Array, mask: pa.Array) -> int:
    return pc.sum(pc.filter(counts, mask)).as_py() or 0


def _decided(name: str, found: Evidence, *, header: bool) -> ColumnType:
    kind = found.type()
    n_present = found.n_number + found.n_boolean + found.n_text
    if kind != "text" or found.first_other is None or found.n_number < NUMBER_SHARE * n_present:
        return kind
    row, value = found.first_other
    facts = {"value": shown(value), "n": found.n_number, "total": n_present}
    message = (
        _(
            "{value} is not a number, but {n} of {total} cells of this column are; "
            "does the first row name the columns?",
            **facts,
        )
        if row == 1 and not header
        else _("{value} is not a number, but {n} of {total} cells of this column are", **facts)
    )
    raise DataError(
        message,
        row=row,
        column=name,
        value=value,
    )


def _jsonlines(path: Path, layout: Layout) -> FoundColumns:
    evidence: list[Evidence] = []
    with open_source(path) as stream:
        reader = JsonLinesReader(stream)
        for lines in reader.blocks():
            evidence = evidence or [Evidence() for _ in reader.columns]
            _jsonlines_block(reader, lines, evidence)
            reader.advance(len(lines))
    types = tuple(map(_of_one_kind, reader.columns, evidence))
    return FoundColumns(reader.columns, types, reader.row - 1)


def _jsonlines_block(reader: JsonLinesReader, lines: Lines, evidence: list[Evidence]) -> None:
    if reader.row > 1:
        try:
            table = reader.table(lines, [found.type() for found in evidence])
        except pa.ArrowInvalid:
            pass  # some column is of another type from here on, or has missing cells
        else:
            for column, found in zip(table.columns, evidence, strict=True):
                _add_json(column, found)
            return
    for row, cells in reader.rows(lines):
        for value, found in zip(cells, evidence, strict=True):
            _add_value(value, found, row)


def _add_json(column: pa.ChunkedArray, found: Evidence) -> None:
    n_present = len(column) - column.null_count
    if pa.types.is_string(column.type):
        found.n_text += n_present
    elif pa.types.is_boolean(column.type):
        found.n_boolean += n_present
    else:
        values = column.to_numpy()
        n_integer = int((values == np.floor(values)).sum())
        found.n_integer += n_integer
        found.n_fractional += int((values == values).sum()) - n_integer  # NaN is missing


def _add_value(value: float | bool | str | None, found: Evidence, row: int) -> None:
    if value is None:
        return
    if isinstance(value, bool):
        found.n_boolean += 1
    elif isinstance(value, str):
        found.n_text += 1
    elif value.is_integer():
        found.n_integer += 1
    else:
        found.n_fractional += 1
    if isinstance(value, bool | str):
        found.first_other = found.first_other or (row, str(value))
    else:
        found.first_number = found.first_number or (row, f"{value:g}")


def _of_one_kind(name: str, found: Evidence) -> ColumnType:
    """JSON says what a value is: a column of two kinds is refused where the rarer one first appears."""
    kinds: Sequence[int] = [n for n in (found.n_number, found.n_boolean, found.n_text) if n]
    if len(kinds) < 2:
        return found.type()
    numbers_are_rarer = 2 * found.n_number < sum(kinds)
    place = found.first_number if numbers_are_rarer and found.first_number else found.first_other
    assert place is not None
    row, value = place
    raise DataError(
        _(
            "{value} is of another kind than most values of this column; numbers, truth values and text "
            "cannot be mixed",
            value=shown(value),
        ),
        row=row,
        column=name,
        value=value,
    )
