"""Makes float32 features and labels, what algorithms train on, of a piece of table; checks every value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.cells import NOT_A_NUMBER, NOT_FINITE, shown
from mlplatform.core.tabular.schema import TableSchema
from mlplatform.core.text import text as _

Floats = NDArray[np.float32]
EXACT_LIMIT = 2**24
"""float32 holds every whole number up to this one."""


def table_arrays(
    table: pa.Table, schema: TableSchema, first_row: int, *, require_label: bool
) -> tuple[Floats, Floats | None]:
    """Features float32 [n, d] (missing: NaN) and labels float32 [n] or None.

    Args:
        table: All columns of `schema`, in its order.
        first_row: Number of the table's first row, for messages.
        require_label: Refuse a missing label instead of giving NaN.

    Raises:
        DataError: a text column among the features, a value that float32 cannot hold, an unknown or missing
            label.
    """
    places = [place for place in range(table.num_columns) if place != schema.label]
    X = np.empty((table.num_rows, len(places)), dtype=np.float32)
    for feature, place in enumerate(places):
        column = table.column(place)
        if pa.types.is_string(column.type):
            raise _text_feature(column, schema.columns[place], first_row)
        with np.errstate(over="ignore"):
            X[:, feature] = _numbers(column)
    if np.isinf(X).any():
        raise _infinite(X, table, places, schema, first_row)
    if schema.label is None:
        return X, None
    return X, _labels(table.column(schema.label), schema, first_row, require_label=require_label)


def _numbers(column: pa.ChunkedArray) -> NDArray[Any]:
    """Numbers as numpy sees them; float64 with NaN where a cell is missing."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if column.null_count or not column.num_chunks:
        return np.asarray(column.to_numpy())
    # Not to_numpy, for which pyarrow imports pandas where there is one (40 MB and half a second).
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks]
    return chunks[0] if len(chunks) == 1 else np.concatenate(chunks)


def _labels(column: pa.ChunkedArray, schema: TableSchema, first_row: int, *, require_label: bool) -> Floats:
    name = schema.label_name or ""
    is_text = pa.types.is_string(column.type)
    values = _codes(column, schema, name, first_row) if is_text else _numbers(column)
    with np.errstate(over="ignore"):
        y = values.astype(np.float32)
    if np.isinf(y).any():
        at = int(np.flatnonzero(np.isinf(y))[0])
        raise _at(values[at], name, first_row + at, NOT_FINITE)
    if schema.label_mapping is None and schema.types[schema.label or 0] == "integral":
        _check_exact(values, y, name, first_row)
    if require_label and np.isnan(y).any():
        at = int(np.flatnonzero(np.isnan(y))[0])
        raise DataError(
            _("the label is missing; every row needs one"), row=first_row + at, column=name, value=""
        )
    return y


def _codes(column: pa.ChunkedArray, schema: TableSchema, name: str, first_row: int) -> NDArray[Any]:
    mapping = schema.label_mapping
    if mapping is None:
        raise _text_feature(column, name, first_row)
    import pyarrow.compute as pc  # 10 MB, of which a table of numbers has no use

    texts = pa.array(list(mapping), pa.string())
    index = pc.index_in(column, value_set=texts)
    unknown = pc.and_(pc.is_null(index), pc.is_valid(column))
    if pc.any(unknown).as_py():
        at = pc.index(unknown, True).as_py()
        known = ", ".join(shown(text) for text in list(mapping)[:10])
        raise _at(
            column[at].as_py(), name, first_row + at, _("is not one of the labels {labels}", labels=known)
        )
    codes = pa.array(list(mapping.values()), pa.float64())
    return np.asarray(pc.take(codes, index).to_numpy())


def _check_exact(values: NDArray[Any], y: Floats, name: str, first_row: int) -> None:
    inexact = (values != y) & (values == values)
    if inexact.any():
        at = int(np.flatnonzero(inexact)[0])
        raise _at(
            values[at],
            name,
            first_row + at,
            _("is too large for a label; use whole numbers up to {limit}", limit=EXACT_LIMIT),
        )


def _text_feature(column: pa.ChunkedArray, name: str, first_row: int) -> DataError:
    import pyarrow.compute as pc

    valid = pc.is_valid(column)
    at = pc.index(valid, True).as_py() if pc.any(valid).as_py() else 0
    return _at(column[at].as_py() or "", name, first_row + at, NOT_A_NUMBER)


def _infinite(
    X: Floats, table: pa.Table, places: list[int], schema: TableSchema, first_row: int
) -> DataError:
    row, feature = (int(i) for i in np.argwhere(np.isinf(X))[0])
    place = places[feature]
    return _at(table.column(place)[row].as_py(), schema.columns[place], first_row + row, NOT_FINITE)


def _at(value: object, column: str, row: int, reason: str) -> DataError:
    text = f"{value:g}" if isinstance(value, float | np.floating) else str(value)
    return DataError(
        _("{value} {reason}", value=shown(text), reason=reason), row=row, column=column, value=text
    )
