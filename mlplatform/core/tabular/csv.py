"""Reads delimited text: fast by pyarrow, and precisely by the standard library where a block has a fault.

The fast look parses a block of some megabytes at once. When it fails, a second look at that same block, cell
by cell, either finds the row and column at fault or, where only the fast parser was too strict, gives the
same table.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.csv as pacsv

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.blocks import block_bytes
from mlplatform.core.tabular.cells import FALSE, MISSING, TRUE, boolean_cell, number_cell, shown, text_cell
from mlplatform.core.tabular.names import column_names_check, generated_names
from mlplatform.core.tabular.records import record_blocks, record_pattern
from mlplatform.core.tabular.schema import EMPTY_FILE, MAX_CELL_BYTES, ColumnType, all_numbers
from mlplatform.core.tabular.text import text_array
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

MAX_BLOCK_BYTES: Final = 32 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_UTF8 = frozenset({"utf-8", "utf8", "utf-8-sig", "ascii"})
_ARROW_TYPES = {
    "integral": pa.float64(),
    "fractional": pa.float64(),
    "boolean": pa.bool_(),
    "text": pa.string(),
}
_CELLS = {
    "integral": number_cell,
    "fractional": number_cell,
    "boolean": boolean_cell,
    "text": text_cell,
}


class CsvReader:
    """Data blocks of one stream, in UTF-8 and without the header.

    Args:
        stream: From `open_source`; read once, never sought.
        columns: The expected names; empty where they are to be found.

    Attributes:
        columns: Names of the columns, once `blocks` has given its first block.
        row: Number of the first row of the block given last; `blocks` relies on `advance` for it.
    """

    def __init__(
        self, stream: BinaryIO, *, encoding: str, delimiter: str, header: bool, columns: Sequence[str] = ()
    ) -> None:
        self._stream = stream
        self._encoding = encoding.lower()
        self._delimiter = delimiter
        self._header = header
        self.columns = tuple(columns)
        self.row = 1

    def blocks(self) -> Iterator[bytes]:
        """Blocks of whole data rows.

        Raises DataError for a file without one and for what is not in the encoding.
        """
        begun = empty = False
        for piece in self._pieces():
            if not begun:
                piece = piece.removeprefix(_BOM).lstrip(b"\r\n")
                if not piece:
                    continue
                piece, begun, empty = self._begin(piece), True, True
            piece = piece.lstrip(b"\r\n")
            if piece:
                yield self._utf8(piece)
                empty = False
        if not begun:
            raise DataError(EMPTY_FILE)
        if empty:
            raise DataError(_("the file has a header but no data row"))

    def advance(self, n_rows: int) -> None:
        """Says how many rows the block given last had."""
        self.row += n_rows

    def table(
        self,
        block: bytes,
        types: Sequence[ColumnType],
        columns: Sequence[int] | None = None,
        *,
        integers: pa.DataType = _ARROW_TYPES["integral"],
    ) -> pa.Table:
        """The block's cells by type, text without blanks around it.

        Args:
            columns: Positions of the columns wanted, all by default.
            integers: The Arrow type of integral columns.

        Raises:
            pa.ArrowInvalid: some cell or row is not as expected; `precise_table` finds out which.
        """
        wanted = range(len(types)) if columns is None else columns
        table = pacsv.read_csv(
            pa.BufferReader(block),
            read_options=pacsv.ReadOptions(
                column_names=[str(i) for i in range(len(types))], block_size=max(len(block), 1024)
            ),
            parse_options=pacsv.ParseOptions(delimiter=self._delimiter, newlines_in_values=b'"' in block),
            convert_options=_convert_options(types, wanted, integers),
        )
        if "text" not in types:
            return table
        arrays = [
            text_array(column) if pa.types.is_string(column.type) else column for column in table.columns
        ]
        return pa.table(arrays, table.column_names)

    def precise_table(
        self, block: bytes, types: Sequence[ColumnType], columns: Sequence[int] | None = None
    ) -> pa.Table:
        """The same as `table`, slowly. Raises DataError with row, column and value."""
        wanted = list(range(len(types)) if columns is None else columns)
        cells: list[list[float | bool | str | None]] = [[] for _ in wanted]
        for row, record in self.records(block, len(types)):
            for values, position in zip(cells, wanted, strict=True):
                try:
                    values.append(_CELLS[types[position]](record[position]))
                except ValueError as error:
                    name = self.columns[position]
                    text = record[position].strip()
                    raise cell_error(row, name, text, text_of(error)) from None
        arrays = [pa.array(values, _ARROW_TYPES[types[i]]) for values, i in zip(cells, wanted, strict=True)]
        return pa.table(arrays, [str(i) for i in wanted])

    def records(self, block: bytes, n_columns: int) -> Iterator[tuple[int, list[str]]]:
        """Row number and cells of each record of the block. Raises DataError for a row of another length."""
        csv.field_size_limit(MAX_CELL_BYTES)
        text = io.StringIO(block.decode(errors="replace"), newline="")
        row = self.row
        try:
            for record in csv.reader(text, delimiter=self._delimiter):
                if not record:
                    continue
                if len(record) != n_columns:
                    raise DataError(
                        _("has {n} fields, {expected} are expected", n=len(record), expected=n_columns),
                        row=row,
                    )
                yield row, record
                row += 1
        except csv.Error as error:
            raise DataError(
                _("cannot be read as delimited text ({error})", error=str(error)), row=row
            ) from error

    def _block_bytes(self) -> int:
        """More for a wide table, whose columns each cost something per block."""
        return min(max(block_bytes(), len(self.columns) * 4096), MAX_BLOCK_BYTES)

    def _pieces(self) -> Iterator[bytes]:
        try:
            yield from record_blocks(self._stream, self._delimiter.encode(), self._block_bytes)
        except DataError as error:
            raise DataError(error.message, row=self.row) from None

    def _begin(self, piece: bytes) -> bytes:
        """Takes the columns from the first record, and the record itself away where it is the header."""
        match = record_pattern(self._delimiter.encode()).match(piece)
        assert match is not None
        names = _split(self._utf8(match.group()), self._delimiter)
        if not self._header:
            self.columns = self.columns or generated_names(len(names))
            return piece
        names = [name.strip() for name in names]
        if not self.columns:
            self.columns = column_names_check(names)
        elif tuple(names) != self.columns:
            raise DataError(_header_difference(names, self.columns))
        return piece[match.end() :]

    def _utf8(self, data: bytes) -> bytes:
        try:
            text = data.decode("utf-8" if self._encoding in _UTF8 else self._encoding)
        except UnicodeDecodeError as error:
            row = self.row + _n_records(data[: error.start], self._delimiter)
            raise DataError(
                _(
                    "has a byte that is not {encoding}; name its encoding or save it as UTF-8",
                    encoding=self._encoding.upper(),
                ),
                row=row,
                value=f"0x{data[error.start]:02X}",
            ) from None
        return data if self._encoding in _UTF8 else text.encode()


def csv_tables(
    reader: CsvReader, types: Sequence[ColumnType], columns: Sequence[int] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Row number of the first row, and the table, block by block. Raises DataError."""
    for block in reader.blocks():
        found = types or all_numbers(len(reader.columns))
        try:
            table = reader.table(block, found, columns)
        except pa.ArrowInvalid:
            table = reader.precise_table(block, found, columns)
        yield reader.row, table
        reader.advance(table.num_rows)


def cell_error(row: int, column: str, value: str, reason: str) -> DataError:
    """The one form of message about a cell: its value, then what is wrong with it."""
    return DataError(
        _("{value} {reason}", value=shown(value), reason=reason), row=row, column=column, value=value
    )


def _convert_options(
    types: Sequence[ColumnType], wanted: Sequence[int], integers: pa.DataType
) -> pacsv.ConvertOptions:
    arrow_types = _ARROW_TYPES | {"integral": integers}
    return pacsv.ConvertOptions(
        column_types={str(position): arrow_types[types[position]] for position in wanted},
        include_columns=[str(position) for position in wanted],
        null_values=list(MISSING),
        quoted_strings_can_be_null=True,
        strings_can_be_null=False,
        true_values=list(TRUE),
        false_values=list(FALSE),
    )


def _split(record: bytes, delimiter: str) -> list[str]:
    csv.field_size_limit(MAX_CELL_BYTES)
    return next(csv.reader(io.StringIO(record.decode(), newline=""), delimiter=delimiter))


def _n_records(prefix: bytes, delimiter: str) -> int:
    """Whole records in the part of a block that lies before a bad byte."""
    text = io.StringIO((prefix + b"x").decode("latin-1"), newline="")
    return sum(1 for record in csv.reader(text, delimiter=delimiter) if record) - 1


def _header_difference(found: Sequence[str], expected: Sequence[str]) -> str:
    if len(found) != len(expected):
        return _("the header has {n} fields, {expected} are expected", n=len(found), expected=len(expected))
    place = next(i for i, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1])
    return _(
        "the header names column {place} '{found}', '{expected}' is expected",
        place=place,
        found=found[place][:80],
        expected=expected[place][:80],
    )
