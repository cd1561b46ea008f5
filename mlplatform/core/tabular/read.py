"""The one way to read a table of any format: typed pieces for statistics, float32 batches for algorithms.

Called by algorithms' channels, the model server's table runs and the dataset processes. Memory is constant:
one block of the file and one batch, whatever the file's size; of a format's reader, only the one in use is loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.arrays import Floats, table_arrays
from mlplatform.core.tabular.schema import SERVICE_CSV, Batch, TableSchema
from mlplatform.core.tabular.source import Source, open_seekable, open_source

Pieces = Iterator[tuple[TableSchema, int, pa.Table]]


def read_batches(
    source: Source, schema: TableSchema | None = None, *, batch_rows: int = 5000, require_label: bool = False
) -> Iterator[Batch]:
    """Rows of `source` as numbers, in file order, `batch_rows` at a time (fewer in the last batch).

    Args:
        source: A file, a FIFO or an open binary stream; gzip is unpacked.
        schema: None reads as the service does: CSV without header, label first.
        require_label: Refuse a row whose label is missing, and a schema that has no label.

    Yields:
        Batches with X float32 [n, d] and y float32 [n]. A missing feature is NaN, infinities are refused.

    Raises:
        DataError: with row, column and value where one is at fault.
    """
    schema = schema or SERVICE_CSV
    if require_label and schema.label is None:
        raise DataError("the table has no label column; choose one")
    held: list[tuple[Floats, Floats | None]] = []
    n_held, next_row = 0, 1
    for found, first_row, table in read_tables(source, schema):
        X, y = table_arrays(table, found, first_row, require_label=require_label)
        held.append((X, y))
        n_held += len(X)
        if n_held < batch_rows:
            continue
        X, y = _joined(held)
        whole = n_held - n_held % batch_rows
        for start in range(0, whole, batch_rows):
            yield _batch(X, y, start, start + batch_rows, next_row)
        next_row += whole
        held, n_held = [(X[whole:], None if y is None else y[whole:])], n_held - whole
    if n_held:
        X, y = _joined(held)
        yield Batch(X, y, next_row)


def read_tables(source: Source, schema: TableSchema, columns: Sequence[int] | None = None) -> Pieces:
    """The table in typed pieces: schema (completed with the columns found), number of the first row, cells.

    Columns of the pieces are named by their position. Numbers are float64, or as wide as Parquet has them;
    truth values are bool; text is string without blanks around it. Missing cells are null.

    Raises:
        DataError: with row, column and value where one is at fault.
    """
    if schema.format == "parquet":
        return _parquet(source, schema, columns)
    return (_csv if schema.format == "csv" else _jsonlines)(source, schema, columns)


def _csv(source: Source, schema: TableSchema, columns: Sequence[int] | None) -> Pieces:
    from mlplatform.core.tabular.csv import CsvReader, csv_tables

    with open_source(source) as stream:
        reader = CsvReader(
            stream,
            encoding=schema.encoding,
            delimiter=schema.delimiter,
            header=schema.header,
            columns=schema.columns,
        )
        for row, table in csv_tables(reader, schema.types, columns):
            yield _with_columns(schema, reader.columns), row, table


def _jsonlines(source: Source, schema: TableSchema, columns: Sequence[int] | None) -> Pieces:
    from mlplatform.core.tabular.jsonlines import JsonLinesReader, jsonlines_tables

    with open_source(source) as stream:
        reader = JsonLinesReader(stream, columns=schema.columns)
        for row, table in jsonlines_tables(reader, schema.types, columns):
            yield _with_columns(schema, reader.columns), row, table


def _parquet(source: Source, schema: TableSchema, columns: Sequence[int] | None) -> Pieces:
    from mlplatform.core.tabular.parquet import parquet_columns, parquet_open, parquet_tables

    with open_seekable(source) as stream:
        file = parquet_open(stream)
        names, types = parquet_columns(file)
        if schema.columns and (names, types) != (schema.columns, schema.types):
            raise DataError("the Parquet file's columns are not those of its description")
        found = schema if schema.columns else schema.found(names, types)
        for row, table in parquet_tables(file, types, columns):
            yield found, row, table


def _with_columns(schema: TableSchema, columns: tuple[str, ...]) -> TableSchema:
    if schema.columns:
        return schema
    if schema.label is not None and schema.label >= len(columns):
        raise DataError(f"the label is at position {schema.label}, but there are {len(columns)} columns")
    return schema.found(columns)


def _joined(held: list[tuple[Floats, Floats | None]]) -> tuple[Floats, Floats | None]:
    if len(held) == 1:
        return held[0]
    X = np.concatenate([X for X, _ in held])
    labels = [y for _, y in held if y is not None]
    return X, np.concatenate(labels) if labels else None


def _batch(X: Floats, y: Floats | None, start: int, end: int, next_row: int) -> Batch:
    return Batch(X[start:end], None if y is None else y[start:end], next_row + start)
