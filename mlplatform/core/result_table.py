"""A small table of results, as a page, a CSV file or JSON has it: columns, cells, marks on cells. Django-free, pure.

Not a dataset. Made by selectors of evaluations, experiments and comparisons; the faces draw it or offer it as a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mlplatform.core.spreadsheet import csv_chunks

Value = str | int | float | None


@dataclass(frozen=True)
class Column:
    """A column: `key` in files, `title` (a template where it can be translated) with its unit on pages."""

    key: str
    title: str
    unit: str = ""


@dataclass(frozen=True)
class Cell:
    """A value, and what is to be seen at once of it: `best`, `slow`, or nothing."""

    value: Value
    mark: str = ""


@dataclass(frozen=True)
class ResultTable:
    """Rows as long as there are columns."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.rows)

    def records(self) -> list[dict[str, Value]]:
        """A mapping of keys to values per row."""
        keys = [column.key for column in self.columns]
        return [dict(zip(keys, (cell.value for cell in row), strict=True)) for row in self.rows]

    def to_json(self) -> dict[str, Any]:
        """`{"columns": [{"key", "unit"}], "rows": [{key: value}], "marks": [{"row", "column", "mark"}]}`.

        Rows of marks count from 0.
        """
        return {
            "columns": [{"key": column.key, "unit": column.unit or None} for column in self.columns],
            "rows": self.records(),
            "marks": [
                {"row": place, "column": column.key, "mark": cell.mark}
                for place, row in enumerate(self.rows)
                for column, cell in zip(self.columns, row, strict=True)
                if cell.mark
            ],
        }

    def to_csv(self, *, bom: bool = True) -> Iterator[bytes]:
        """Keys and values with all their digits; marks are left out."""
        return csv_chunks(
            [column.key for column in self.columns],
            ([cell.value for cell in row] for row in self.rows),
            bom=bom,
        )
