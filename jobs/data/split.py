"""Writes the parts of a split as files of the same format. Cells keep their text: "5.10" stays "5.10".

A CSV becomes UTF-8 with a header, a Parquet file keeps its types. Rows are taken in scikit-learn's order from
a memory-mapped copy, so that the table need not fit into memory.
"""

from __future__ import annotations

import csv
import io
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from jobs.data.fractions import fractions_check
from jobs.data.parts import Rows, row_parts
from jobs.data.places import row_places
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.tabular.csv import CsvReader
from mlplatform.core.tabular.parquet import BATCH_ROWS, parquet_open
from mlplatform.core.tabular.read import read_tables
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.tabular.source import open_seekable, open_source
from mlplatform.core.text import text as _

TAKEN_ROWS: Final = 32_768
SUFFIXES: Final = {"csv": ".csv", "parquet": ".parquet", "jsonlines": ".jsonl"}


@dataclass(frozen=True)
class Part:
    name: str
    path: Path
    schema: TableSchema
    n_rows: int


def file_split(
    path: Path,
    schema: TableSchema,
    fractions: Mapping[str, float],
    *,
    folder: Path,
    seed: int = 0,
    shuffle: bool = True,
    stratify: bool = False,
) -> list[Part]:
    """Splits the table at `path` into one file per fraction, written to `folder`.

    Args:
        fractions: Name of the part → share of the rows; see `row_parts` for the exact counts.
        stratify: Keep the proportions of the labels in every part.

    Raises:
        InvalidRequest: fractions that are none, `stratify` without a label, or parts that would be empty.
        DataError: the file is not what the schema says.
    """
    fractions_check(fractions)
    labels = _labels(path, schema) if stratify else None
    rows = (
        _RowsOfTable(path, schema, folder)
        if schema.format == "parquet"
        else _RowsOfText(path, schema, folder)
    )
    with rows:
        parts = row_parts(rows.n_rows, fractions, seed=seed, shuffle=shuffle, labels=labels)
        written = replace(schema, encoding="utf-8", header=True)
        return [
            Part(name, rows.write(f"part-{place}", chosen), written, len(chosen))
            for place, (name, chosen) in enumerate(parts.items())
        ]


def _labels(path: Path, schema: TableSchema) -> NDArray[np.generic]:
    if schema.label is None:
        raise InvalidRequest.for_field("stratify", _("the dataset has no label column; choose one first"))
    pieces = [table.column(0) for _, _, table in read_tables(path, schema, [schema.label])]
    whole = pa.chunked_array([chunk for piece in pieces for chunk in piece.chunks])
    return np.asarray(whole.dictionary_encode().unify_dictionaries().combine_chunks().indices.to_numpy())


class _RowsOfText:
    """Lines of a CSV or JSON Lines file, in a copy without header, found by their offsets."""

    def __init__(self, path: Path, schema: TableSchema, folder: Path) -> None:
        self._schema = schema
        self._folder = folder
        copy = folder / "rows.part"
        with copy.open("w+b") as file:
            starts, ends = _copy_rows(path, schema, file)
            file.flush()
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        copy.unlink()
        self._starts, self._ends = starts, ends
        self.n_rows = len(starts)

    def __enter__(self) -> _RowsOfText:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    def write(self, stem: str, rows: Rows) -> Path:
        path = self._folder / f"{stem}{SUFFIXES[self._schema.format]}"
        with path.open("wb") as file:
            if self._schema.format == "csv":
                file.write(_header(self._schema))
            for start in range(0, len(rows), TAKEN_ROWS):
                chosen = rows[start : start + TAKEN_ROWS]
                places = zip(self._starts[chosen].tolist(), self._ends[chosen].tolist(), strict=True)
                file.write(b"".join(self._map[low:high] + b"\n" for low, high in places))
        return path


class _RowsOfTable:
    """Rows of a Parquet file, in an uncompressed copy that is mapped and not loaded."""

    def __init__(self, path: Path, schema: TableSchema, folder: Path) -> None:
        self._folder = folder
        copy = folder / "rows.part"
        with open_seekable(path) as stream:
            file = parquet_open(stream)
            with pa.OSFile(str(copy), "wb") as sink, pa.ipc.new_file(sink, file.schema_arrow) as writer:
                for batch in file.iter_batches(batch_size=BATCH_ROWS):
                    writer.write_batch(batch)
        self._map = pa.memory_map(str(copy))
        self._table = pa.ipc.open_file(self._map).read_all()
        copy.unlink()
        self.n_rows = self._table.num_rows

    def __enter__(self) -> _RowsOfTable:
        return self

    def __exit__(self, *_: object) -> None:
        self._map.close()

    def write(self, stem: str, rows: Rows) -> Path:
        path = self._folder / f"{stem}.parquet"
        with pq.ParquetWriter(path, self._table.schema, compression="zstd") as writer:
            for start in range(0, len(rows), TAKEN_ROWS):
                writer.write_table(self._table.take(pa.array(rows[start : start + TAKEN_ROWS])))
        return path


def _header(schema: TableSchema) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=schema.delimiter, lineterminator="\n").writerow(schema.columns)
    return text.getvalue().encode()


def _copy_rows(path: Path, schema: TableSchema, target: BinaryIO) -> tuple[Rows, Rows]:
    """Copies the data rows as UTF-8; returns where each begins and ends in the copy."""
    starts, ends = [], []
    offset = 0
    with open_source(path) as stream:
        for block in _blocks(stream, schema):
            low, high = row_places(block, schema.delimiter.encode(), is_csv=schema.format == "csv")
            starts.append(low + offset)
            ends.append(high + offset)
            target.write(block)
            offset += len(block)
    return np.concatenate(starts), np.concatenate(ends)


def _blocks(stream: BinaryIO, schema: TableSchema) -> Iterator[bytes]:
    if schema.format == "jsonlines":
        first = True
        while lines := stream.readlines(4 * 1024 * 1024):
            block = b"".join(lines)
            yield block.removeprefix(b"\xef\xbb\xbf") if first else block
            first = False
        return
    yield from CsvReader(
        stream,
        encoding=schema.encoding,
        delimiter=schema.delimiter,
        header=schema.header,
        columns=schema.columns,
    ).blocks()
