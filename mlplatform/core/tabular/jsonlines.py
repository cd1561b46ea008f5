"""Reads JSON Lines: an object per line, with one key per column or `{"features": [...], "label": ...}`.

Every line has the same keys; null is a missing cell. A JSON string is text even where it looks like a number.
As with CSV, a block is parsed fast by pyarrow, and looked at line by line where that fails or where a key may
be absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.blocks import block_bytes
from mlplatform.core.tabular.cells import NOT_A_NUMBER, NOT_BOOLEAN, shown, text_cell
from mlplatform.core.tabular.names import column_names_check, generated_names
from mlplatform.core.tabular.schema import EMPTY_FILE, MAX_CELL_BYTES, ColumnType, all_numbers
from mlplatform.core.tabular.text import text_array
from mlplatform.core.text import text as _

TOO_DEEP: Final = _("it is nested too deeply")
MAX_LINE_BYTES: Final = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_ARROW_TYPES = {
    "integral": pa.float64(),
    "fractional": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
}
Cell = float | bool | str | None
Lines = list[bytes]


class JsonLinesReader:
    """Blocks of lines of one stream; `columns` is known once `blocks` has given its first.

    Attributes:
        row: Number of the first row of the block given last; `blocks` relies on `advance` for it.
    """

    def __init__(self, stream: BinaryIO, *, columns: Sequence[str] = ()) -> None:
        self._stream = stream
        self._given = tuple(columns)
        self._features_form = False
        self.columns: tuple[str, ...] = ()
        self.row = 1

    def blocks(self) -> Iterator[Lines]:
        """Lines that are not blank, some megabytes at a time. Raises DataError for a file without one."""
        first = True
        for piece in self._pieces():
            lines = [line for line in piece.removeprefix(_BOM if first else b"").split(b"\n") if line.strip()]
            if lines and first:
                self._begin(self._object(lines[0], 1))
                first = False
            if lines:
                yield lines
        if first:
            raise DataError(EMPTY_FILE)

    def advance(self, n_rows: int) -> None:
        """Says how many rows the block given last had."""
        self.row += n_rows

    def table(
        self, lines: Lines, types: Sequence[ColumnType], columns: Sequence[int] | None = None
    ) -> pa.Table:
        """The cells by type, fast. Raises pa.ArrowInvalid where `precise_table` has to look."""
        wanted = range(len(types)) if columns is None else columns
        block = b"\n".join(lines)
        found = pajson.read_json(
            pa.BufferReader(block),
            read_options=pajson.ReadOptions(block_size=max(len(block), 1024)),
            parse_options=pajson.ParseOptions(
                explicit_schema=self._arrow_schema(types), unexpected_field_behavior="error"
            ),
        )
        if found.num_rows != len(lines) or any(column.null_count for column in found.columns):
            raise pa.ArrowInvalid("a null may be a key that is absent")
        arrays = self._spread_features(found) if self._features_form else found.columns
        texts = [text_array(arrays[i]) if types[i] == "text" else arrays[i] for i in wanted]
        return pa.table(texts, [str(i) for i in wanted])

    def precise_table(
        self, lines: Lines, types: Sequence[ColumnType], columns: Sequence[int] | None = None
    ) -> pa.Table:
        """The same as `table`, slowly. Raises DataError with row, column and value."""
        wanted = range(len(types)) if columns is None else columns
        rows = [cells for _row, cells in self.rows(lines)]
        arrays = []
        for position in wanted:
            values = [cells[position] for cells in rows]
            _check_kind(values, types[position], self.columns[position], self.row)
            arrays.append(pa.array(values, _ARROW_TYPES[types[position]]))
        return pa.table(arrays, [str(position) for position in wanted])

    def rows(self, lines: Lines) -> Iterator[tuple[int, list[Cell]]]:
        """Number and cells of each row. Raises DataError for a line that is not such a row."""
        for row, line in enumerate(lines, self.row):
            yield row, self._cells(self._object(line, row), row)

    def _pieces(self) -> Iterator[bytes]:
        """Whole lines, some megabytes at a time."""
        rest = b""
        while data := self._stream.read(block_bytes()):
            data = rest + data
            cut = data.rfind(b"\n") + 1
            rest = data[cut:]
            if cut:
                yield data[:cut]
            if len(rest) > MAX_LINE_BYTES:
                raise DataError(_("is longer than {n} MiB", n=MAX_LINE_BYTES // 1024**2), row=self.row)
        if rest:
            yield rest

    def _arrow_schema(self, types: Sequence[ColumnType]) -> pa.Schema:
        fields = [pa.field(name, _ARROW_TYPES[kind]) for name, kind in zip(self.columns, types, strict=True)]
        if not self._features_form:
            return pa.schema(fields)
        return pa.schema([pa.field("features", pa.list_(pa.float64())), *fields[self._n_features :]])

    def _spread_features(self, found: pa.Table) -> list[pa.ChunkedArray]:
        features = found.column(0).combine_chunks()
        width = self._n_features
        if not pc.all(pc.equal(pc.list_value_length(features), width)).as_py():
            raise pa.ArrowInvalid("another count of features")
        values = features.flatten()
        if values.null_count:
            raise pa.ArrowInvalid("a missing feature")
        cells = values.to_numpy().reshape(-1, width)
        columns = [pa.chunked_array([pa.array(cells[:, place])]) for place in range(width)]
        return [*columns, *found.columns[1:]]

    @property
    def _n_features(self) -> int:
        return len(self.columns) - (self.columns[-1] == "label")

    def _object(self, line: bytes, row: int) -> dict[str, Any]:
        try:
            found = json.loads(line)
            if b"\\u" in line:
                json.dumps(found, ensure_ascii=False).encode()  # an escape may be half of a character
        except (ValueError, RecursionError) as error:
            said = TOO_DEEP if isinstance(error, RecursionError) else str(error)[:120]
            raise DataError(_("is not JSON ({error})", error=said), row=row) from None
        if not isinstance(found, dict):
            raise DataError(
                _("is {value}, a JSON object is expected", value=shown(json.dumps(found))), row=row
            )
        return found

    def _begin(self, first: dict[str, Any]) -> None:
        features = first.get("features")
        self._features_form = isinstance(features, list)
        if isinstance(features, list):
            self.columns = generated_names(len(features)) + (("label",) if "label" in first else ())
        else:
            self.columns = column_names_check(list(first))
        if self._given and self.columns != self._given:
            raise DataError(
                _("has the columns {names}, not those expected", names=shown(", ".join(self.columns))), row=1
            )

    def _cells(self, found: dict[str, Any], row: int) -> list[Cell]:
        if self._features_form:
            found = self._spread(found, row)
        if len(found) != len(self.columns) or any(name not in found for name in self.columns):
            missing = next((name for name in self.columns if name not in found), None)
            extra = next((name for name in found if name not in self.columns), None)
            what = (
                _("lacks the key {key}; every row needs the keys of the first", key=shown(missing))
                if missing is not None
                else _("has the key {key}; every row needs the keys of the first", key=shown(extra))
            )
            raise DataError(what, row=row)
        return [self._cell(found[name], name, row) for name in self.columns]

    def _spread(self, found: dict[str, Any], row: int) -> dict[str, Any]:
        features = found.get("features")
        n_features = self._n_features
        if not isinstance(features, list):
            raise DataError(_("lacks the key 'features' with a list of numbers"), row=row)
        if len(features) != n_features:
            raise DataError(
                _("has {n} features, {expected} are expected", n=len(features), expected=n_features), row=row
            )
        rest = {name: value for name, value in found.items() if name != "features"}
        return {f"c{place}": value for place, value in enumerate(features)} | rest

    def _cell(self, value: Any, name: str, row: int) -> Cell:
        if isinstance(value, str):
            if len(value) > MAX_CELL_BYTES:
                raise DataError(_("is longer than {n} bytes", n=MAX_CELL_BYTES), row=row, column=name)
            return text_cell(value)
        if isinstance(value, int) and not isinstance(value, bool):
            try:
                return float(value)
            except OverflowError:
                return float("inf")
        if value is None or isinstance(value, bool | float):
            return None if value != value else value  # NaN is missing
        raise DataError(
            _("{value} is not a number, truth value or text", value=shown(json.dumps(value))),
            row=row,
            column=name,
        )


def jsonlines_tables(
    reader: JsonLinesReader, types: Sequence[ColumnType], columns: Sequence[int] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Row number of the first row, and the table, block by block. Raises DataError."""
    for lines in reader.blocks():
        found = types or all_numbers(len(reader.columns))
        try:
            table = reader.table(lines, found, columns)
        except pa.ArrowInvalid:
            table = reader.precise_table(lines, found, columns)
        yield reader.row, table
        reader.advance(len(lines))


def _check_kind(values: list[Cell], kind: ColumnType, name: str, first_row: int) -> None:
    accepted, reason = {
        "text": (str, _("is not text in quotes")),
        "boolean": (bool, NOT_BOOLEAN),
    }.get(kind, (float, NOT_A_NUMBER))
    for offset, value in enumerate(values):
        if value is not None and type(value) is not accepted:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            raise DataError(
                _("{value} {reason}", value=shown(text), reason=reason),
                row=first_row + offset,
                column=name,
                value=text,
            )
