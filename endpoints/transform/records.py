"""Cuts an object into records, one after the other, in constant memory: rows of CSV, lines, or all of it at once.

A record is a list of cells (CSV and datasets), the bytes of a line, or the bytes of the whole object.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

from endpoints.transform.failure import TransformFailed
from endpoints.transform.spec import CSV, TransformSpec
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.schema import MAX_CELL_BYTES, TableSchema
from mlplatform.core.tabular.source import open_source
from mlplatform.core.text import text as _

Record = list[str] | bytes
_BOM: Final = b"\xef\xbb\xbf"


def records_read(path: Path, spec: TransformSpec) -> Iterator[Record]:
    """The records of one object, unpacked where it is gzip.

    Raises:
        DataError: It cannot be read.
        TransformFailed: A record, or the whole object, is larger than a request may be.
    """
    if spec.schema is not None and spec.media_type == CSV:
        yield from _dataset_rows(path, TableSchema.from_dict(spec.schema))
        return
    with open_source(path) as stream:
        if spec.split_type == "None":
            yield _whole(stream, spec.max_payload_bytes)
        elif spec.media_type == CSV:
            yield from csv_rows(stream)
        else:
            yield from lines(stream, spec.max_payload_bytes)


def csv_rows(stream: BinaryIO, *, encoding: str = "utf-8", delimiter: str = ",") -> Iterator[list[str]]:
    """Rows of delimited text; a line end in quotation marks is part of its cell. Raises DataError."""
    csv.field_size_limit(MAX_CELL_BYTES)
    decoder = "utf-8-sig" if encoding.lower() in {"utf-8", "utf8", "ascii"} else encoding
    number = 0
    try:
        with io.TextIOWrapper(stream, encoding=decoder, newline="") as text:
            for row in csv.reader(text, delimiter=delimiter):
                if row:
                    number += 1
                    yield row
    except UnicodeDecodeError:
        raise DataError(
            _("has a byte that is not {encoding}; save it as UTF-8", encoding=encoding.upper()),
            row=number + 1,
        ) from None
    except csv.Error as error:
        raise DataError(
            _("cannot be read as delimited text ({error})", error=str(error)), row=number + 1
        ) from None


def lines(stream: BinaryIO, longest_bytes: int) -> Iterator[bytes]:
    """Lines without their ends; empty ones are passed over. Raises TransformFailed for one that is too long."""
    number, is_first = 0, True
    while line := stream.readline(longest_bytes + 2):
        if is_first:
            line, is_first = line.removeprefix(_BOM), False
        line = line.rstrip(b"\r\n")
        if not line.strip():
            continue
        number += 1
        if len(line) > longest_bytes:
            raise too_large(number, longest_bytes)
        yield line


def too_large(number: int, limit_bytes: int) -> TransformFailed:
    """A record that no request can carry."""
    limit = f"{limit_bytes / 1024**2:g}"
    return TransformFailed(
        _(
            "record {number}: it is larger than a request may be, {limit} MB; raise max_payload_mb",
            number=number,
            limit=limit,
        ),
        record=number,
    )


def _whole(stream: BinaryIO, limit_bytes: int) -> bytes:
    content = stream.read(limit_bytes + 1)
    if len(content) > limit_bytes:
        limit = f"{limit_bytes / 1024**2:g}"
        raise TransformFailed(
            _(
                "the object is larger than a request may be, {limit} MB; raise max_payload_mb, or split by line",
                limit=limit,
            )
        )
    return content


def _dataset_rows(path: Path, schema: TableSchema) -> Iterator[list[str]]:
    """Cells as the file has them; of formats other than CSV as the shortest text. A header is no record."""
    if schema.format != "csv":
        yield from _typed_rows(path, schema)
        return
    with open_source(path) as stream:
        rows = csv_rows(stream, encoding=schema.encoding, delimiter=schema.delimiter)
        if schema.header:
            next(rows, None)
        yield from rows


def _typed_rows(path: Path, schema: TableSchema) -> Iterator[list[str]]:
    from mlplatform.core.tabular.read import read_tables

    for found, _row, table in read_tables(path, schema):
        columns = [
            _texts(column.to_pylist(), whole=kind == "integral")
            for column, kind in zip(table.columns, found.types, strict=True)
        ]
        yield from (list(row) for row in zip(*columns, strict=True))


def _texts(values: Sequence[Any], *, whole: bool) -> list[str]:
    return [_cell(value, whole=whole) for value in values]


def _cell(value: Any, *, whole: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if whole and float(value).is_integer() else str(value)
