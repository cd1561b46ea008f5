"""Reads a whole table and says what is in it: statistics per column, a preview and a random sample.

Two passes where a number column has more different values than are kept (its histogram needs the range
first), else one. Any value that could not be trained on is refused here, before the dataset becomes visible.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.data.cells import Cell, cell_text, table_rows
from jobs.data.statistics import (
    DISTINCT_LIMIT,
    NumberStatistics,
    Statistics,
    TextStatistics,
    statistics_new,
)
from mlplatform.core.errors import DataError
from mlplatform.core.tabular.arrays import EXACT_LIMIT
from mlplatform.core.tabular.cells import NOT_FINITE, shown
from mlplatform.core.tabular.read import read_tables
from mlplatform.core.tabular.schema import BOOLEAN_MAPPING, TableSchema
from mlplatform.core.text import text as _

PREVIEW_ROWS: Final = 100
SAMPLE_ROWS: Final = 1000
SHOWN_CELLS: Final = 100_000
"""Preview and sample of a very wide table have fewer rows, so that neither has more cells than this."""
KEPT_VALUES: Final = 8_000_000
"""Different values kept for all columns together; a table of more than 800 columns keeps fewer than 10,000 of
each.
"""
_FLOAT32_MAX = float(np.finfo(np.float32).max)
_SHOWN_WHOLE_BELOW = 1e15


@dataclass(frozen=True)
class Profile:
    """`columns`, `preview` and `sample` as in profile.json; `schema` with the label mapping found."""

    schema: TableSchema
    n_rows: int
    columns: list[dict[str, Any]]
    preview: list[list[str]]
    sample: list[list[Cell]]


def profile_read(path: Path, schema: TableSchema, n_rows: int, *, seed: int = 0) -> Profile:
    """Profile of the file at `path`.

    Args:
        schema: With types; a text label's mapping is found here.
        n_rows: Rows of the file, as the pass before counted them.

    Raises:
        DataError: a missing label, a number beyond float32, a label column with too many different texts.
    """
    width = len(schema.columns)
    statistics = [statistics_new(kind, _distinct_limit(width)) for kind in schema.types]
    wanted = _sample_rows(n_rows, min(SAMPLE_ROWS, max(SHOWN_CELLS // width, 10)), seed)
    preview_rows = min(PREVIEW_ROWS, max(SHOWN_CELLS // width, 10))
    preview: list[list[str]] = []
    sample: list[list[Cell]] = []
    for _places, first_row, table in read_tables(path, schema):
        _check(table, schema, first_row)
        for column, found in zip(table.columns, statistics, strict=True):
            found.add(column)
        if len(preview) < preview_rows:
            preview += _preview(table.slice(0, preview_rows - len(preview)), schema)
        sample += _sample(table, schema, wanted, first_row - 1)
    _finish_histograms(path, schema, statistics)
    return Profile(_with_mapping(schema, statistics), n_rows, _columns(schema, statistics), preview, sample)


def _distinct_limit(width: int) -> int:
    return max(min(DISTINCT_LIMIT, KEPT_VALUES // width), 256)


def _sample_rows(n_rows: int, n_wanted: int, seed: int) -> NDArray[np.int64]:
    if n_rows <= n_wanted:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(seed).choice(n_rows, n_wanted, replace=False))


def _check(table: pa.Table, schema: TableSchema, first_row: int) -> None:
    for place, column in enumerate(table.columns):
        kind, name = schema.types[place], schema.columns[place]
        is_label = place == schema.label
        if is_label and (at := _first(_missing(column))) is not None:
            raise DataError(_("the label is missing; every row needs one"), row=first_row + at, column=name)
        if kind == "fractional" and (at := _first(pc.greater(pc.abs(column), _FLOAT32_MAX))) is not None:
            raise _refused(column, at, name, first_row, NOT_FINITE)
        if kind == "integral" and is_label:
            large = pc.greater(pc.abs(column.cast(pa.float64(), safe=False)), EXACT_LIMIT)
            if (at := _first(large)) is not None:
                reason = _("is too large for a label; use numbers up to {limit}", limit=EXACT_LIMIT)
                raise _refused(column, at, name, first_row, reason)


def _missing(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.is_null(column, nan_is_null=True)


def _first(mask: pa.ChunkedArray) -> int | None:
    at = pc.index(mask, True).as_py()
    return None if at < 0 else int(at)


def _refused(column: pa.ChunkedArray, at: int, name: str, first_row: int, reason: str) -> DataError:
    found = column[at].as_py()
    value = f"{found:.0f}" if abs(found) < _SHOWN_WHOLE_BELOW and found == int(found) else f"{found:g}"
    return DataError(
        _("{value} {reason}", value=shown(value), reason=reason), row=first_row + at, column=name, value=value
    )


def _preview(table: pa.Table, schema: TableSchema) -> list[list[str]]:
    return [[cell_text(value) for value in row] for row in table_rows(table, schema.types)]


def _sample(
    table: pa.Table, schema: TableSchema, wanted: NDArray[np.int64], rows_before: int
) -> list[list[Cell]]:
    low, high = np.searchsorted(wanted, [rows_before, rows_before + table.num_rows])
    if low == high:
        return []
    return table_rows(table.take(pa.array(wanted[low:high] - rows_before)), schema.types)


def _finish_histograms(path: Path, schema: TableSchema, statistics: Sequence[Statistics]) -> None:
    rest = {place: found for place, found in enumerate(statistics) if found.exceeded}
    if not rest:
        return
    for _places, _row, table in read_tables(path, schema, list(rest)):
        for column, found in zip(table.columns, rest.values(), strict=True):
            assert isinstance(found, NumberStatistics)
            found.add_to_histogram(column)


def _with_mapping(schema: TableSchema, statistics: Sequence[Statistics]) -> TableSchema:
    known = schema.label_mapping is not None
    if known or schema.label is None or schema.types[schema.label] not in {"text", "boolean"}:
        return schema
    if schema.types[schema.label] == "boolean":
        return replace(schema, label_mapping=dict(BOOLEAN_MAPPING))
    found, name = statistics[schema.label], schema.columns[schema.label]
    assert isinstance(found, TextStatistics)
    if found.too_many or any(len(text) > 200 for text in found.counts):
        raise DataError(
            _("has more than {n} different texts or very long ones; choose another label", n=DISTINCT_LIMIT),
            column=name,
        )
    return replace(schema, label_mapping={text: code for code, text in enumerate(sorted(found.counts))})


def _columns(schema: TableSchema, statistics: Sequence[Statistics]) -> list[dict[str, Any]]:
    return [
        {"name": name, "type": kind, **found.summary(), "histogram": found.histogram()}
        for name, kind, found in zip(schema.columns, schema.types, statistics, strict=True)
    ]
