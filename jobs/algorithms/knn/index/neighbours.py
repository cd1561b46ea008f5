"""What a search answers, and the one order of neighbours: by distance, of equal ones the earlier row first.

Pure numpy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Neighbours = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(distances, positions), both [n, k], nearest first."""

_LOW_HALF = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def nearest(distances: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Neighbours:
    """The k nearest of the candidates in each row of [n, m], by distance, then by position.

    Args:
        distances: Not negative, no NaN. The bits of such floats are in the order of their values, so distance and
            position (below 2^32) are sorted as one integer, several times as fast as by two keys.
    """
    keys = distances.view(np.uint32).astype(np.uint64)
    keys <<= _HALF
    keys |= positions.view(np.uint64)
    keys.sort(axis=1)
    kept = keys[:, :k]
    return (kept >> _HALF).astype(np.uint32).view(np.float32), (kept & _LOW_HALF).view(np.int64)


def largest(products: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Neighbours:
    """The same for inner products, of which the largest is the nearest."""
    order = np.lexsort((positions, -products), axis=1)[:, :k]
    return np.take_along_axis(products, order, 1), np.take_along_axis(positions, order, 1)
