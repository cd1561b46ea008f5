"""Reads Parquet in constant memory, and says which of our column types its own types are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.names import column_names_check
from mlplatform.core.tabular.schema import EMPTY_FILE, MAX_CELL_BYTES, ColumnType
from mlplatform.core.text import text as _

BATCH_ROWS = 16_384
BUFFER_BYTES = 256 * 1024
"""Of each column: a table has many, and all are read side by side."""
_MAGIC = b"PAR1"


def parquet_open(stream: BinaryIO) -> pq.ParquetFile:
    """The file's reader. Raises DataError for what is no Parquet file, or has nested columns."""
    stream.seek(0)
    magic = stream.read(4)
    stream.seek(0)
    if not magic:
        raise DataError(EMPTY_FILE)
    if magic != _MAGIC:
        raise DataError(_("the file is not Parquet: it does not begin with PAR1"))
    try:
        file = pq.ParquetFile(stream, pre_buffer=False, buffer_size=BUFFER_BYTES)
    except MemoryError:
        raise  # Arrow's is an ArrowException too, but no fault of the file's form
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            _("the Parquet file is damaged or incomplete ({error})", error=_first_line(error))
        ) from None
    if file.metadata.num_rows == 0:
        raise DataError(_("the Parquet file has no data row"))
    return file


def parquet_columns(file: pq.ParquetFile) -> tuple[tuple[str, ...], tuple[ColumnType, ...]]:
    """Names and types. Raises DataError naming a column whose type is not a number, truth value or text."""
    schema = file.schema_arrow
    names = column_names_check(schema.names)
    return names, tuple(_column_type(name, schema.field(i).type) for i, name in enumerate(names))


def parquet_tables(
    file: pq.ParquetFile, types: Sequence[ColumnType], columns: Sequence[int] | None = None
) -> Iterator[tuple[int, pa.Table]]:
    """Row number of the first row, and the table, piece by piece.

    Numbers keep their own width. Raises DataError.
    """
    names = file.schema_arrow.names
    wanted = range(len(names)) if columns is None else columns
    row = 1
    try:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=[names[i] for i in wanted]):
            found = pa.Table.from_batches([batch])
            # Parquet gives the columns in file order; ask by name for ours.
            arrays = [_plain(found.column(names[i]), types[i]) for i in wanted]
            for place, column in zip(wanted, arrays, strict=True):
                _check_length(column, names[place], row)
            yield row, pa.table(arrays, [str(i) for i in wanted])
            row += batch.num_rows
    except MemoryError:
        raise  # Arrow's is an ArrowException too, but no fault of the file's form
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            _("the Parquet file is damaged ({error})", error=_first_line(error)), row=row
        ) from None


def _column_type(name: str, kind: pa.DataType) -> ColumnType:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_integer(kind):
        return "integral"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "fractional"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return "text"
    if pa.types.is_temporal(kind):
        return "text"
    if pa.types.is_null(kind):
        return "fractional"
    raise DataError(
        _("has the Parquet type {kind}; use numbers, booleans, dates or text", kind=str(kind)), column=name
    )


def _plain(column: pa.ChunkedArray, kind: ColumnType) -> pa.ChunkedArray:
    if kind == "text":
        return column.cast(pa.string())
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_decimal(column.type) or pa.types.is_null(column.type) or pa.types.is_float16(column.type):
        return column.cast(pa.float64())
    return column


def _check_length(column: pa.ChunkedArray, name: str, first_row: int) -> None:
    if not pa.types.is_string(column.type):
        return
    import pyarrow.compute as pc  # 10 MB, of which a table of numbers has no use

    at = pc.index(pc.greater(pc.binary_length(column), MAX_CELL_BYTES), True).as_py()
    if at >= 0:
        raise DataError(_("is longer than {n} bytes", n=MAX_CELL_BYTES), row=first_row + at, column=name)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
