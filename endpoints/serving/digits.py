"""Labels from 0 to 9 as JSON, all at once: a classifier's verbose answer is half of them.

Writing a float costs the same however short it is. Where every value of a column is a whole number of one digit, as the
labels of up to ten classes are, their texts are equally long and are filled in as a table of bytes, ten times faster.
Called by `encode.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

_WORTHWHILE = 1_000
_ZERO = int.from_bytes(b"0.0,", "little")


def digits_written(column: NDArray[Any]) -> list[orjson.Fragment] | None:
    """The rows of a float32 array [n, k] as `[3.0,1.0]`; None where a value has another text, or they are few.

    Args:
        column: Without NaN.
    """
    if column.dtype != np.float32 or column.ndim != 2 or column.size < _WORTHWHILE or column.max() > 9:
        return None
    if np.ascontiguousarray(column).view(np.int32).min() < 0:  # the sign, of -0.0 too
        return None
    cells = column.astype("<u4")
    if not (cells == column).all():
        return None
    cells += _ZERO  # the first of a cell's four bytes is the digit
    text, width = cells.tobytes(), 4 * column.shape[1]
    return [
        orjson.Fragment(b"[%b]" % text[end - width : end - 1]) for end in range(width, len(text) + 1, width)
    ]
