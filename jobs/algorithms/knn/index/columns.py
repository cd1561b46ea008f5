"""Which columns a k-d tree is worth trying over: those in which the rows are spread widest. Pure numpy."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MOST_COLUMNS: Final = 16
"""More of them cost more memory than the rows themselves where the rows have few, and prune little where they have
many."""
_SAMPLED_ROWS: Final = 8192
_LEFT_OUT: Final = (1e-2, 1e-3, 2e-4, 1e-5)
"""Shares of the whole variance that the columns outside a set have at most: what a tree does not see of a distance."""


def column_sets(X: NDArray[np.float32], random: np.random.Generator) -> list[tuple[int, ...]]:
    """Sets to try, smallest first, each with its widest column first; at most one per share, and the largest one.

    Args:
        X: float32 [n, d]; a random part of the rows is looked at.
    """
    n, d = X.shape
    rows = X if n <= _SAMPLED_ROWS else X[np.sort(random.choice(n, _SAMPLED_ROWS, replace=False))]
    spread = rows.var(axis=0, dtype=np.float64)
    order = np.argsort(-spread, kind="stable")
    n_spread = int(np.count_nonzero(spread))
    if n_spread == 0:
        return []
    most = min(MOST_COLUMNS, n_spread)
    outside = 1 - np.cumsum(spread[order]) / spread.sum()
    sizes = {int(np.argmax(outside <= share)) + 1 for share in _LEFT_OUT}
    kept = sorted(
        {size for size in sizes if size <= most}
        | ({most} if d <= MOST_COLUMNS or min(sizes) > most else set())
    )
    return [tuple(int(column) for column in order[:size]) for size in kept]
