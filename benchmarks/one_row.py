"""One row through a library and through ours, in turn. No benchmark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter
from typing import Any, Final

import numpy as np

CALLS: Final = 2000
OneRow = Callable[[np.ndarray], Any]


def one_row_us(
    theirs: OneRow,
    ours: OneRow,
    rows: Sequence[np.ndarray],
    *,
    n_calls: int = CALLS,
    before: Callable[[], None] = lambda: None,
) -> tuple[float, float]:
    """Median microseconds of both, called in turn so that a busy machine is as busy for either.

    Args:
        before: Is called before every call, and not measured.
    """
    times: tuple[list[float], list[float]] = ([], [])
    for call in range(n_calls):
        row = rows[call % len(rows)]
        for held, predict in zip(times, (theirs, ours), strict=True):
            before()
            began_at = perf_counter()
            predict(row)
            held.append((perf_counter() - began_at) * 1e6)
    return median(times[0]), median(times[1])
