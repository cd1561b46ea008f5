"""Where the rows of a block of delimited text or of JSON lines begin and end, without reading their cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlplatform.core.tabular.records import record_pattern

Places = NDArray[np.int64]


def row_places(block: bytes, delimiter: bytes, *, is_csv: bool) -> tuple[Places, Places]:
    """First byte of each row and the one after its last, int64 [n]; line ends and blank lines are left out.

    Args:
        block: Whole rows, in UTF-8.
        is_csv: Whether a quoted field may hold line ends.
    """
    if is_csv and (b'"' in block or block.count(b"\r") != block.count(b"\r\n")):
        return _quoted_places(block, delimiter)
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(data == ord("\n"))
    if not block.endswith(b"\n"):
        ends = np.append(ends, len(data))
    starts = np.append(0, ends[:-1] + 1)
    ends = ends - ((ends > starts) & (data[np.maximum(ends - 1, 0)] == ord("\r")))
    return starts[ends > starts], ends[ends > starts]


def _quoted_places(block: bytes, delimiter: bytes) -> tuple[Places, Places]:
    pattern = record_pattern(delimiter)
    places: list[tuple[int, int]] = []
    at = 0
    while at < len(block):
        match = pattern.match(block, at)
        assert match is not None
        if match.end() > at:
            places.append(match.span())
        at = match.end() + 1
    found = np.array(places, dtype=np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]
