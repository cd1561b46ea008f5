"""Columns of text as pyarrow has them, made what `cells.text_cell` makes of one cell."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from mlplatform.core.tabular.cells import MISSING
from mlplatform.core.tabular.schema import MAX_CELL_BYTES

_MISSING = pa.array(MISSING)


def text_array(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Cells without blanks around them, null where missing.

    Raises ArrowInvalid for one over the size of a cell.
    """
    longest = pc.max(pc.binary_length(cells)).as_py()
    if longest is not None and longest > MAX_CELL_BYTES:
        raise pa.ArrowInvalid("cell too long")
    trimmed = pc.utf8_trim_whitespace(cells)
    return pc.if_else(pc.is_in(trimmed, value_set=_MISSING), pa.scalar(None, pa.string()), trimmed)
