"""Reservoir sampling: a uniform random sample of a stream of unknown length, in one pass and constant memory.

Algorithm R (attributed to Alan Waterman by Knuth, The Art of Computer Programming vol. 2, 3.4.2; J. S.
Vitter, "Random sampling with a reservoir", ACM TOMS 11(1), 1985), one vector operation per batch instead of a
loop over rows. Which rows are drawn depends on the seed and the order of the rows, not on how the stream is
cut into batches.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FIRST_CAPACITY = 8192
_GROWTH = 1.25
"""New room is filled with zeros, so more of it than rows to come would be memory for nothing."""


class Reservoir:
    """A sample of at most `size` rows with their labels and row numbers.

    Attributes:
        n_seen: Rows offered so far.
    """

    def __init__(self, *, size: int, n_columns: int, seed: int) -> None:
        if size < 1:
            raise ValueError(f"size {size} is not a sample size; use 1 or more")
        self.n_seen = 0
        self._n_before = 0
        self._size = size
        self._random = np.random.Generator(np.random.PCG64(seed))
        capacity = min(size, _FIRST_CAPACITY)
        self._X = np.empty((capacity, n_columns), np.float32)
        self._y = np.empty(capacity, np.float32)
        self._rows = np.empty(capacity, np.int64)

    def __len__(self) -> int:
        return min(self.n_seen, self._size)

    @property
    def X(self) -> NDArray[np.float32]:
        """float32 [len, n_columns], a view."""
        return self._X[: len(self)]

    @property
    def y(self) -> NDArray[np.float32]:
        """float32 [len], a view."""
        return self._y[: len(self)]

    @property
    def rows(self) -> NDArray[np.int64]:
        """int64 [len], a view: which row of the stream each is, counted from 1."""
        return self._rows[: len(self)]

    def release(self) -> NDArray[np.float32]:
        """`X` with its memory, which is the caller's from now on; the reservoir keeps labels and row numbers."""
        X, self._X = self._X, np.empty((0, self._X.shape[1]), np.float32)
        X.resize((len(self), X.shape[1]), refcheck=False)
        return X

    def slots(self, n_rows: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Decides on the next `n_rows` rows of the stream and counts them as seen. O(n_rows).

        Returns:
            (rows, slots), both int64: row `rows[i]` of the batch belongs into place `slots[i]` of the sample.
            Where a place comes twice the later row holds it. The caller hands exactly these rows to `put`, before
            it asks for the next ones.
        """
        start = self.n_seen
        self._n_before, self.n_seen = start, start + n_rows
        first = np.arange(start, min(self.n_seen, max(start, self._size)), dtype=np.int64)
        later = np.arange(start + len(first), self.n_seen, dtype=np.int64)
        drawn = (self._random.random(len(later)) * (later + 1)).astype(np.int64)
        kept = np.flatnonzero(drawn < self._size)
        rows = np.concatenate([np.arange(len(first)), kept + len(first)])
        return rows, np.concatenate([first, drawn[kept]])

    def put(
        self,
        rows: NDArray[np.int64],
        slots: NDArray[np.int64],
        X: NDArray[np.float32],
        y: NDArray[np.float32],
    ) -> None:
        """Writes what `slots` chose into its places; numpy keeps the last of several values for one place.

        Args:
            X, y: Of those rows only, prepared.
        """
        if len(slots) == 0:
            return
        self._grow(int(slots.max()) + 1)
        self._X[slots] = X
        self._y[slots] = y
        self._rows[slots] = rows + (self._n_before + 1)

    def _grow(self, needed: int) -> None:
        """Makes room by parts; `realloc` moves large arrays without a second copy."""
        capacity = len(self._y)
        if needed <= capacity:
            return
        capacity = min(self._size, max(needed, int(_GROWTH * capacity)))
        self._X.resize((capacity, self._X.shape[1]), refcheck=False)
        self._y.resize(capacity, refcheck=False)
        self._rows.resize(capacity, refcheck=False)
