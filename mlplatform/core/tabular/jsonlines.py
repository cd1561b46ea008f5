"""Reads JSON Lines: an object per line, with one key per column or `{"features": [...], "label": ...}`.

Every line has the same keys; null is a missing cell. A JSON string is text even where it looks like a number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import NOT_A_NUMBER, NOT_BOOLEAN, shown, text_cell
from mlplatform.core.tabular.names import column_names_check, generated_names
from mlplatform.core.tabular.schema import MAX_CELL_BYTES, ColumnType, all_numbers

BLOCK_ROWS = 8192
_MAX_LINE_BYTES = 16 * 1024 * 1024
_ARROW_TYPES = {
    "integral": pa.float64(),
    "fractional": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
}
Cell = float | bool | str | None


class JsonLinesReader:
    """Rows of one stream; `columns` is known once the first row is read."""

    def __init__(self, stream: BinaryIO, *, columns: Sequence[str] = ()) -> None:
        self._stream = stream
        self._given = tuple(columns)
        self._features_form = False
        self.columns: tuple[str, ...] = ()

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Number and cells of each row. Raises DataError for a line that is not such a row."""
        row = 0
        for line in iter(lambda: self._stream.readline(_MAX_LINE_BYTES), b""):
            line = line.removeprefix(b"\xef\xbb\xbf") if row == 0 else line
            if not line.strip():
                continue
            row += 1
            cells = self._object(line, row)
            if row == 1:
                self._begin(cells)
            yield row, self._cells(cells, row)
        if row == 0:
            raise DataError("the file is empty; a table with at least one row is needed")

    def _object(self, line: bytes, row: int) -> dict[str, Any]:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"is not JSON ({str(error)[:120]})", row=row) from None
        if not isinstance(found, dict):
            raise DataError(f"is {shown(json.dumps(found))}, a JSON object is expected", row=row)
        return found

    def _begin(self, first: dict[str, Any]) -> None:
        features = first.get("features")
        self._features_form = isinstance(features, list)
        if isinstance(features, list):
            self.columns = generated_names(len(features)) + (("label",) if "label" in first else ())
        else:
            self.columns = column_names_check(list(first))
        if self._given and self.columns != self._given:
            raise DataError(f"has the columns {shown(', '.join(self.columns))}, not those expected", row=1)

    def _cells(self, found: dict[str, Any], row: int) -> list[Cell]:
        if self._features_form:
            found = self._spread(found, row)
        if len(found) != len(self.columns) or any(name not in found for name in self.columns):
            missing = next((name for name in self.columns if name not in found), None)
            extra = next((name for name in found if name not in self.columns), None)
            what = f"lacks the key {shown(missing)}" if missing is not None else f"has the key {shown(extra)}"
            raise DataError(f"{what}; every row needs the keys of the first", row=row)
        return [self._cell(found[name], name, row) for name in self.columns]

    def _spread(self, found: dict[str, Any], row: int) -> dict[str, Any]:
        features = found.get("features")
        n_features = len(self.columns) - (self.columns[-1] == "label")
        if not isinstance(features, list):
            raise DataError("lacks the key 'features' with a list of numbers", row=row)
        if len(features) != n_features:
            raise DataError(f"has {len(features)} features, {n_features} are expected", row=row)
        rest = {name: value for name, value in found.items() if name != "features"}
        return {f"c{place}": value for place, value in enumerate(features)} | rest

    def _cell(self, value: Any, name: str, row: int) -> Cell:
        if isinstance(value, str):
            if len(value) > MAX_CELL_BYTES:
                raise DataError(f"is longer than {MAX_CELL_BYTES} bytes", row=row, column=name)
            return text_cell(value)
        if isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return float("inf")
        if value is None or isinstance(value, bool | float):
            return None if value != value else value  # NaN is missing
        raise DataError(
            f"{shown(json.dumps(value))} is not a number, truth value or text", row=row, column=name
        )


def jsonlines_tables(
    reader: JsonLinesReader, types: Sequence[ColumnType], columns: Sequence[int] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Row number of the first row, and the table, piece by piece. Raises DataError."""
    rows: list[list[Cell]] = []
    first_row = 1
    for row, cells in reader.rows():
        rows.append(cells)
        if len(rows) == BLOCK_ROWS:
            yield first_row, _table(reader, rows, types, columns, first_row)
            first_row, rows = row + 1, []
    if rows:
        yield first_row, _table(reader, rows, types, columns, first_row)


def _table(
    reader: JsonLinesReader,
    rows: list[list[Cell]],
    types: Sequence[ColumnType],
    columns: Sequence[int] | None,
    first_row: int,
) -> pa.Table:
    types = types or all_numbers(len(reader.columns))
    wanted = range(len(types)) if columns is None else columns
    arrays = []
    for position in wanted:
        values = [cells[position] for cells in rows]
        _check_kind(values, types[position], reader.columns[position], first_row)
        arrays.append(pa.array(values, _ARROW_TYPES[types[position]]))
    return pa.table(arrays, [str(position) for position in wanted])


def _check_kind(values: list[Cell], kind: ColumnType, name: str, first_row: int) -> None:
    accepted, reason = {
        "text": (str, "is not text in quotes"),
        "boolean": (bool, NOT_BOOLEAN),
    }.get(kind, (float, NOT_A_NUMBER))
    for offset, value in enumerate(values):
        if value is not None and type(value) is not accepted:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            raise DataError(f"{shown(text)} {reason}", row=first_row + offset, column=name, value=text)
