"""Columns of text as pyarrow has them, made what `cells.text_cell` makes of one cell."""

from __future__ import annotations

from functools import cache

import pyarrow as pa

from mlplatform.core.tabular.cells import MISSING
from mlplatform.core.tabular.schema import MAX_CELL_BYTES


def text_array(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells without blanks around them, null where missing.

    Raises ArrowInvalid for one over the size of a cell.
    """
    import pyarrow.compute as pc  # 10 MB, of which a table of numbers has no use

    longest = pc.max(pc.binary_length(cells)).as_py()
    if longest is not None and longest > MAX_CELL_BYTES:
        raise pa.ArrowInvalid("cell too long")
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(trimmed, value_set=_missing()), pa.scalar(None, pa.string()), trimmed)


@cache
def _missing() -> pa.Array:
    """Not made on import: for the first array of Python's own values pyarrow imports pandas, where there is one, which
    tables without text need not pay for (40 MB).
    """
    return pa.array(MISSING)
