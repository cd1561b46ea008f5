"""What a table's columns are, and which is the label. Plain data, cheap to import: no numpy, no pyarrow.

Stored as JSON beside every dataset version and handed to job processes; the readers of this package follow
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from mlplatform.core.text import text as _

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Format = Literal["csv", "parquet", "jsonlines"]
ColumnType = Literal["integral", "fractional", "text", "boolean"]

EMPTY_FILE: Final = _("the file is empty; a table with at least one row is needed")
MAX_COLUMNS: Final = 10_000
MAX_CELL_BYTES: Final = 1024 * 1024
BOOLEAN_MAPPING: Final = {"false": 0, "true": 1}
"""The label mapping of a boolean label column, however its cells are spelt."""

CONTENT_TYPES: Final[Mapping[str, str]] = {
    "csv": "text/csv",
    "parquet": "application/x-parquet",
    "jsonlines": "application/jsonlines",
}


@dataclass(frozen=True)
class TableSchema:
    """Columns of a table in file order.

    Args:
        columns: All names, the label's too; `c0`, `c1`, … where the file has none. Empty: found while
            reading, every column then being a number.
        types: Per column; as long as `columns`.
        label: Position of the label column, None for a table without one.
        label_mapping: Text of a label → 0 … c-1, in sorted order of the texts; None when labels are numbers.
    """

    format: Format
    columns: tuple[str, ...]
    types: tuple[ColumnType, ...]
    encoding: str = "utf-8"
    delimiter: str = ","
    header: bool = True
    label: int | None = None
    label_mapping: dict[str, int] | None = None

    def __post_init__(self) -> None:
        if len(self.columns) != len(self.types):
            raise ValueError(f"{len(self.columns)} columns but {len(self.types)} types")
        if self.label is not None and self.columns and not 0 <= self.label < len(self.columns):
            raise ValueError(f"label {self.label} is not the position of one of {len(self.columns)} columns")

    @property
    def n_features(self) -> int:
        return len(self.columns) - (self.label is not None)

    @property
    def feature_names(self) -> tuple[str, ...]:
        return tuple(name for position, name in enumerate(self.columns) if position != self.label)

    @property
    def label_name(self) -> str | None:
        return None if self.label is None or not self.columns else self.columns[self.label]

    @property
    def content_type(self) -> str:
        """The media type, with the service's `label_size=1` where a CSV has no header and its label first."""
        first = self.format == "csv" and not self.header and self.label == 0
        return CONTENT_TYPES[self.format] + (";label_size=1" if first else "")

    def to_dict(self) -> dict[str, Any]:
        """The schema as JSON types; `from_dict` makes the same schema of it again."""
        return {
            "format": self.format,
            "columns": list(self.columns),
            "types": list(self.types),
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "header": self.header,
            "label": self.label,
            "label_mapping": self.label_mapping,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableSchema:
        """Raises ValueError for an unknown format or type, KeyError for a missing entry."""
        if data["format"] not in get_args(Format):
            raise ValueError(f"{data['format']!r} is not a table format; use {', '.join(get_args(Format))}")
        for kind in data["types"]:
            if kind not in get_args(ColumnType):
                raise ValueError(f"{kind!r} is not a column type; use {', '.join(get_args(ColumnType))}")
        return cls(
            format=data["format"],
            columns=tuple(data["columns"]),
            types=tuple(data["types"]),
            encoding=data.get("encoding", "utf-8"),
            delimiter=data.get("delimiter", ","),
            header=data.get("header", True),
            label=data.get("label"),
            label_mapping=data.get("label_mapping"),
        )

    def found(self, columns: tuple[str, ...], types: tuple[ColumnType, ...] = ()) -> TableSchema:
        """This schema with the columns found in the file; all fractional unless `types` says otherwise."""
        return replace(self, columns=columns, types=types or all_numbers(len(columns)))


def all_numbers(n_columns: int) -> tuple[ColumnType, ...]:
    """The types of a table whose every column is a number."""
    fractional: ColumnType = "fractional"
    return (fractional,) * n_columns


SERVICE_CSV: Final = TableSchema(format="csv", columns=(), types=(), header=False, label=0)
"""How a channel without a dataset is read: no header, label first, all numbers (`text/csv;label_size=1`)."""


@dataclass(frozen=True)
class Batch:
    """Rows as numbers.

    Args:
        X: float32 [n, d], the features in file order, C-contiguous. A missing cell is NaN; there is never an
            infinity.
        y: float32 [n], or None where the schema has no label. A missing label is NaN (never so with
            `require_label`).
        first_row: Number of the first data row, from 1, header not counted.
    """

    X: NDArray[np.float32]
    y: NDArray[np.float32] | None
    first_row: int
