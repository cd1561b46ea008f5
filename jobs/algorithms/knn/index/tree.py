"""Exact search by a k-d tree over some of the columns.

The distance over a part of the columns is a lower bound of the whole one. So the tree gives more candidates than asked
for by that part, their whole distances are computed, and the k best are proven when the last candidate's part is
farther than the k-th whole: nobody outside can be nearer. Rows that are not proven ask the tree for more, and at last
look at every row. (J. H. Friedman, J. L. Bentley and R. A. Finkel, "An algorithm for finding best matches in
logarithmic expected time", ACM TOMS 3(3), 1977.)

scipy is imported when a tree is built: a model without one does not pay for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.flat import SMALLEST, UNIT_ROUNDOFF, WIDEST, FlatVectors
from jobs.algorithms.knn.index.neighbours import Neighbours

_LEAF_ROWS: Final = 32
_GROWTH: Final = 4
_ROWS_PER_THREAD: Final = 16
_BLOCK_ROWS: Final = 256
_OWN_ERROR: Final = 1e-9
"""Far more than float64 loses on the way through the tree, relative to the distance."""


class ColumnTree:
    """A k-d tree over `columns` of the rows of `vectors`, L2 only. Searches may run in several threads at once.

    Args:
        columns: Widest first, so that questions can be put in an order in which neighbours follow each other.
        n_extra: How many candidates more than asked for the tree is to give at first.
    """

    def __init__(self, vectors: FlatVectors, columns: Sequence[int], *, n_extra: int) -> None:
        from scipy.spatial import cKDTree

        self.columns = tuple(columns)
        self.n_extra = n_extra
        self._vectors = vectors
        self._places = np.array(self.columns, np.int64)
        # Cut in the middle and not at the median, with tight boxes: built and searched in less time (measured).
        self._tree: Any = cKDTree(
            _part(vectors.rows, self.columns), leafsize=_LEAF_ROWS, balanced_tree=False, copy_data=False
        )
        # Whole distances are float32: nearer than the truth by that much at most.
        self._certain = (1 - (vectors.dim + 8) * UNIT_ROUNDOFF) * (1 - _OWN_ERROR)
        self._smallest = (vectors.dim + 8) * SMALLEST

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to each row of X, C-contiguous; k at most as many as there are rows."""
        self._vectors.threads_set(len(X))
        if len(X) == 1:
            return self._search_block(X, k)
        # Near questions one after the other find what they look at in the processor's caches: half the time.
        order = np.argsort(X[:, self.columns[0]], kind="stable")
        distances, positions = np.empty((len(X), k), np.float32), np.empty((len(X), k), np.int64)
        for start in range(0, len(X), _BLOCK_ROWS):
            rows = order[start : start + _BLOCK_ROWS]
            distances[rows], positions[rows] = self._search_block(X[rows], k)
        return distances, positions

    def candidates(
        self, X: NDArray[np.float32], n_candidates: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Lower bounds of the whole distances as computed, and positions, both [n, n_candidates], nearest first.

        Rows that are not among the candidates are at least as far as the last one.
        """
        workers = max(1, min(self._vectors.n_threads, len(X) // _ROWS_PER_THREAD))
        lengths, positions = self._tree.query(X[:, self._places], n_candidates, workers=workers)
        shape = (len(X), n_candidates)  # which scipy leaves away for one
        bounds = np.square(lengths.reshape(shape)) * self._certain - self._smallest
        return bounds, positions.reshape(shape)

    def _search_block(self, X: NDArray[np.float32], k: int) -> Neighbours:
        n_rows = len(self._vectors)
        n_candidates = min(n_rows, k + self.n_extra)
        distances, positions, proven = self._search_once(X, k, n_candidates)
        unproven = np.flatnonzero(~proven)
        while len(unproven):
            n_candidates *= _GROWTH
            if n_candidates > min(WIDEST, n_rows):
                distances[unproven], positions[unproven] = self._vectors.search(X[unproven], k)
                break
            again = self._search_once(X[unproven], k, n_candidates)
            distances[unproven], positions[unproven], proven = again
            unproven = unproven[~proven]
        return distances, positions

    def _search_once(
        self, X: NDArray[np.float32], k: int, n_candidates: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64], NDArray[np.bool_]]:
        """The k best among so many candidates, and which rows are proven to have no nearer ones."""
        bounds, found = self.candidates(X, n_candidates)
        distances, positions = self._vectors.best(X, found, k)
        if n_candidates == len(self._vectors):
            return distances, positions, np.ones(len(X), np.bool_)
        # Not "as near": a row outside that is as near as the k-th might be an earlier one.
        return distances, positions, distances[:, -1] < bounds[:, -1]


def _part(X: NDArray[np.float32], columns: Sequence[int]) -> NDArray[np.float64]:
    """Those columns as float64 [n, m], without a copy as float32 in between."""
    part = np.empty((len(X), len(columns)), np.float64)
    for place, column in enumerate(columns):
        part[:, place] = X[:, column]
    return part
