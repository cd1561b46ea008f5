"""Cells of a piece of table as values that JSON has, and as texts. Called by profiles and by reading single rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from jobs.data.statistics import text_key

Cell = float | int | str | bool | None


def table_rows(table: pa.Table, types: Sequence[str]) -> list[list[Cell]]:
    """The rows of a piece; None where a cell is missing."""
    columns = [_cells(column, kind) for column, kind in zip(table.columns, types, strict=True)]
    return [list(row) for row in zip(*columns, strict=True)]


def cell_text(value: Cell) -> str:
    """The cell as it is shown; empty where it is missing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.15g}" if isinstance(value, float) else str(value)


def _cells(column: pa.ChunkedArray, kind: str) -> Iterator[Cell]:
    for value in column.to_pylist():
        if value is None or value != value:
            yield None
        elif kind == "integral":
            yield int(value)
        elif kind == "text":
            yield text_key(value)
        else:
            yield bool(value) if kind == "boolean" else float(value)
