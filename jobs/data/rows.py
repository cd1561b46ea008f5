"""The cells of a few rows of a table, by their numbers, in one pass that parses nothing else.

A row of delimited text or JSON lines is cut out by its place in the file, so its cells are as they were written; of
Parquet only the row groups that have a wanted row are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from jobs.data.cells import cell_text, table_rows
from jobs.data.places import row_places
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import text_cell
from mlplatform.core.tabular.csv import CsvReader
from mlplatform.core.tabular.jsonlines import JsonLinesReader
from mlplatform.core.tabular.parquet import BATCH_ROWS, parquet_open
from mlplatform.core.tabular.schema import MAX_CELL_BYTES, TableSchema
from mlplatform.core.tabular.source import open_seekable, open_source
from mlplatform.core.text import text as _

TEXT_MAX: Final = 200
"""Longer cells are cut: rows are looked at, not computed with, and numbers are shorter."""
Wanted = NDArray[np.int64]
Found = Iterator[tuple[int, list[str]]]


def rows_read(path: Path, schema: TableSchema, numbers: Sequence[int]) -> dict[int, list[str]]:
    """The wanted rows: number → a text per column of `schema`, empty where a cell is missing.

    Args:
        numbers: From 1, header not counted; in any order. One beyond the last row is left out of the answer.

    Raises:
        DataError: the file is not what the schema says.
    """
    wanted = np.unique(np.asarray([number for number in numbers if number > 0], np.int64))
    if not len(wanted):
        return {}
    found = {"csv": _of_csv, "jsonlines": _of_json, "parquet": _of_parquet}[schema.format](
        path, schema, wanted
    )
    return {row: _checked(row, cells, schema) for row, cells in found}


def _checked(row: int, cells: list[str], schema: TableSchema) -> list[str]:
    if len(cells) != len(schema.columns):
        message = _("has {n} fields, {expected} are expected", n=len(cells), expected=len(schema.columns))
        raise DataError(message, row=row)
    return [cell[:TEXT_MAX] for cell in cells]


def _of_csv(path: Path, schema: TableSchema, wanted: Wanted) -> Found:
    delimiter = schema.delimiter.encode()
    csv.field_size_limit(MAX_CELL_BYTES)
    before = 0
    with open_source(path) as stream:
        reader = CsvReader(
            stream,
            encoding=schema.encoding,
            delimiter=schema.delimiter,
            header=schema.header,
            columns=schema.columns,
        )
        for block in reader.blocks():
            starts, ends = row_places(block, delimiter, is_csv=True)
            for number in _within(wanted, before, len(starts)):
                at = number - before - 1
                yield number, _csv_cells(block[starts[at] : ends[at]], number, schema.delimiter)
            before += len(starts)
            if before >= wanted[-1]:
                return


def _csv_cells(record: bytes, row: int, delimiter: str) -> list[str]:
    text = io.StringIO(record.decode("utf-8", "replace"), newline="")
    try:
        cells = next(csv.reader(text, delimiter=delimiter), [])
    except csv.Error as error:
        message = _("cannot be read as delimited text ({error})", error=str(error))
        raise DataError(message, row=row) from error
    return [text_cell(cell) or "" for cell in cells]


def _of_json(path: Path, schema: TableSchema, wanted: Wanted) -> Found:
    before = 0
    with open_source(path) as stream:
        reader = JsonLinesReader(stream, columns=schema.columns)
        for lines in reader.blocks():
            for number in _within(wanted, before, len(lines)):
                reader.row = number
                _row, cells = next(reader.rows([lines[number - before - 1]]))
                yield number, [cell_text(cell) for cell in cells]
            before += len(lines)
            if before >= wanted[-1]:
                return


def _of_parquet(path: Path, schema: TableSchema, wanted: Wanted) -> Found:
    with open_seekable(path) as stream:
        file = parquet_open(stream)
        before = 0
        for group in range(file.metadata.num_row_groups):
            n_rows = file.metadata.row_group(group).num_rows
            inside = _within(wanted, before, n_rows)
            if inside:
                batches = file.iter_batches(batch_size=BATCH_ROWS, row_groups=[group])
                yield from _of_batches(batches, schema, np.asarray(inside), before)
            before += n_rows


def _of_batches(batches: Iterator[pa.RecordBatch], schema: TableSchema, wanted: Wanted, before: int) -> Found:
    try:
        for batch in batches:
            inside = _within(wanted, before, batch.num_rows)
            if inside:
                taken = pa.Table.from_batches([batch]).take(
                    pa.array([number - before - 1 for number in inside])
                )
                rows = table_rows(_plain(taken, schema), schema.types)
                yield from zip(inside, ([cell_text(cell) for cell in row] for row in rows), strict=True)
            before += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, MemoryError):
            raise
        said = str(error).partition("\n")[0][:200]
        raise DataError(_("the Parquet file is damaged ({error})", error=said), row=before + 1) from None


def _plain(table: pa.Table, schema: TableSchema) -> pa.Table:
    """Dates and categories as the texts and numbers that the schema says they are."""
    columns = [
        column.cast(pa.string()) if kind == "text" else column
        for column, kind in zip(table.columns, schema.types, strict=True)
    ]
    return pa.table(columns, list(schema.columns))


def _within(wanted: Wanted, before: int, n_rows: int) -> list[int]:
    """The wanted numbers from `before` + 1 to `before` + `n_rows`."""
    low, high = np.searchsorted(wanted, [before + 1, before + n_rows + 1])
    return [int(number) for number in wanted[low:high]]
