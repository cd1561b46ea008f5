"""Exact search that looks at every row: brute force, through BLAS for batches.

faiss 1.15 by itself uses BLAS only for far larger batches (several times slower). But BLAS' float32 cancellation
can miss a neighbour. So more candidates are fetched than asked for, their distances computed again without
cancellation, and each row is either proven complete by an error bound or searched again with more care. Hence a
row's neighbours do not depend on the batch it came in.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.neighbours import Neighbours, largest, nearest

BLAS_FROM_ROWS: Final = 10
"""From this many rows on a search through BLAS is faster (measured; below it is up to five times slower)."""
BLAS_NEVER: Final = 2**31 - 1
UNIT_ROUNDOFF: Final = 2.0**-24
SMALLEST: Final = 2.0**-126
"""What float32 may lose of one term by underflow."""
WIDEST: Final = 4096
"""More candidates than that are not asked for: looking at every row is cheaper then."""
_SPARE: Final = 4
_MOST_SPARE: Final = 16
_UNPROVEN: Final = 0.02
"""Where more of a batch than that is unproven, more candidates are asked for from then on."""
_WHOLE_LIMIT: Final = 2.0**24
"""Up to this one float32 holds every whole number."""
_BLOCK_ROWS: Final = 65_536


class FlatVectors:
    """float32 rows [n, d] that are searched by brute force.

    Args:
        index: An IndexFlat.
        n_threads: Used for more than one row.
        rows: What the index has its rows in, if they are not its own; kept alive.
    """

    def __init__(self, index: Any, *, n_threads: int = 1, rows: NDArray[np.float32] | None = None) -> None:
        self.index = index
        self.n_threads = n_threads
        self._rows = rows
        self.is_inner = index.metric_type == faiss.METRIC_INNER_PRODUCT
        self._spare = _SPARE
        self._slack = (index.d + 8) * UNIT_ROUNDOFF
        self._longest = _longest(self.rows) if self.is_inner else 0.0

    @classmethod
    def of_rows(
        cls, X: NDArray[np.float32], *, inner_product: bool = False, n_threads: int = 1
    ) -> FlatVectors:
        """Over the rows of X, C-contiguous, which are not copied."""
        metric = faiss.METRIC_INNER_PRODUCT if inner_product else faiss.METRIC_L2
        index: Any = faiss.IndexFlat(X.shape[1], metric)
        octets: Any = faiss.MaybeOwnedVectorUInt8
        if len(X):
            nobody = octets().owner
            index.codes = octets.create_view(faiss.swig_ptr(X.reshape(-1).view(np.uint8)), X.nbytes, nobody)
            index.ntotal = len(X)
        return cls(index, n_threads=n_threads, rows=X)

    def __len__(self) -> int:
        return int(self.index.ntotal)

    @property
    def dim(self) -> int:
        return int(self.index.d)

    @property
    def rows(self) -> NDArray[np.float32]:
        """float32 [n, d], no copy."""
        n, d = len(self), self.dim
        if n == 0:
            return np.empty((0, d), np.float32)
        rows: NDArray[np.float32] = faiss.rev_swig_ptr(self.index.get_xb(), n * d).reshape(n, d)
        return rows

    def threads_set(self, n_rows: int) -> None:
        """For the calling thread. Two OpenMP threads make one question slower, not faster."""
        faiss.omp_set_num_threads(1 if n_rows == 1 else self.n_threads)

    def distances(self, X: NDArray[np.float32], positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """From each row of X to the rows at its positions [n, m], C-contiguous; the one computation that ranks
        neighbours. Off by at most (d + 2) unit roundoffs of the distance itself.
        """
        found = np.empty(positions.shape, np.float32)
        self.index.compute_distance_subset(
            len(X), faiss.swig_ptr(X), positions.shape[1], faiss.swig_ptr(found), faiss.swig_ptr(positions)
        )
        return found

    def best(self, X: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Neighbours:
        """The k nearest of the candidates [n, m] of each row."""
        order = largest if self.is_inner else nearest
        return order(self.distances(X, positions), positions, k)

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to each row of X, C-contiguous; k at most `len(self)`."""
        self.threads_set(len(X))
        if len(X) < BLAS_FROM_ROWS:
            return self._search_plainly(X, k)
        return self._search_together(X, k, min(len(self), k + self._spare))

    def _search_together(self, X: NDArray[np.float32], k: int, n_candidates: int) -> Neighbours:
        """Through BLAS; rows that are not proven with four times the candidates, or plainly."""
        estimates, positions = self._search_by_faiss(X, n_candidates)
        distances, found = self.best(X, positions, k)
        if n_candidates == len(self):
            return distances, found
        unproven = np.flatnonzero(~self._proven(X, estimates[:, -1], distances[:, -1]))
        if len(unproven):
            unproven = unproven[~self._no_rounding(X[unproven])]
            if len(unproven) > _UNPROVEN * len(X):
                self._spare = min(2 * self._spare, max(_MOST_SPARE, k // 8))
        wider = 4 * n_candidates
        if len(unproven) >= BLAS_FROM_ROWS and wider <= min(WIDEST, len(self)):
            distances[unproven], found[unproven] = self._search_together(X[unproven], k, wider)
            return distances, found
        for start in range(0, len(unproven), BLAS_FROM_ROWS - 1):
            rows = unproven[start : start + BLAS_FROM_ROWS - 1]
            distances[rows], found[rows] = self._search_plainly(X[rows], k)
        return distances, found

    def _search_by_faiss(self, X: NDArray[np.float32], n_candidates: int) -> Neighbours:
        faiss.cvar.distance_compute_blas_threshold = BLAS_FROM_ROWS * self.dim
        estimates, positions = self.index.search(X, n_candidates)
        return estimates, positions

    def _proven(
        self, X: NDArray[np.float32], farthest: NDArray[np.float32], kth: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Whether no row outside the candidates can be as near as the k-th found.

        Rows outside have an estimate of at least `farthest`. An inner product of d float32 terms is off by at
        most about d·u·|x||y| (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.1), so |x|² + |y|²
        - 2xy by at most d·u·(|x| + |y|)². A row y as near as the k-th is no longer than |x| + its distance,
        whatever lengths there are elsewhere.
        """
        lengths = _lengths(X)
        if self.is_inner:
            return np.asarray(farthest + 2 * self._slack * lengths * self._longest < kth)
        reach = np.sqrt(kth, dtype=np.float64)
        return np.asarray(farthest - self._slack * ((2 * lengths + reach) ** 2 + kth) - self._smallest > kth)

    def _no_rounding(self, X: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether all is whole numbers so small that BLAS computes exactly; then faiss' own order of candidates, by
        distance and of equal ones the earlier first, is ours. Such rows are many equally far ones, as one-hot ones.
        """
        if self.is_inner:
            return np.zeros(len(X), np.bool_)
        whole = (np.rint(X) == X).all(axis=1)
        return np.asarray(whole & ((_lengths(X) + self._longest_if_whole) ** 2 < _WHOLE_LIMIT))

    @cached_property
    def _longest_if_whole(self) -> float:
        """The length of the longest row if all rows are whole numbers, else infinite."""
        blocks = (self.rows[start : start + _BLOCK_ROWS] for start in range(0, len(self), _BLOCK_ROWS))
        whole = all(bool((np.rint(block) == block).all()) for block in blocks)
        return _longest(self.rows) if whole else float("inf")

    @property
    def _smallest(self) -> float:
        return (self.dim + 8) * SMALLEST

    def _search_plainly(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """Without BLAS (fewer than BLAS_FROM_ROWS rows), hence without cancellation. Of equal distances faiss keeps the
        earlier rows itself.
        """
        if self._faiss_ranks_alike:
            return self._search_by_faiss(X, k)
        return self._search_carefully(X, k)

    @cached_property
    def _faiss_ranks_alike(self) -> bool:
        """Whether faiss, searching without BLAS, computes the distances that rank neighbours, to the bit: so it was on
        every processor tried, for L2. Looked at with random rows, in whose last bits any other way would show.
        """
        if self.is_inner:
            return False
        random = np.random.Generator(np.random.PCG64(0))
        tried = FlatVectors.of_rows(random.random((256, self.dim), np.float32))
        questions = random.random((BLAS_FROM_ROWS - 1, self.dim), np.float32)
        estimates, positions = tried._search_by_faiss(questions, len(tried))
        return bool(np.array_equal(estimates, tried.distances(questions, positions)))

    def _search_carefully(self, X: NDArray[np.float32], k: int) -> Neighbours:
        n_candidates = min(len(self), k + _MOST_SPARE)
        estimates, positions = self._search_by_faiss(X, n_candidates)
        distances, found = self.best(X, positions, k)
        if n_candidates == len(self):
            return distances, found
        farthest, kth = estimates[:, -1], distances[:, -1]
        if self.is_inner:
            proven = self._proven(X, farthest, kth)
        else:
            proven = farthest * (1 - 2 * self._slack) - self._smallest > kth
        for row in np.flatnonzero(~proven):
            distances[row], found[row] = self._look_at_all(X[row : row + 1], k)
        return distances, found

    def _look_at_all(self, x: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to one, by the distances to all rows: for rows that many others are equally far from."""
        found = np.empty((1, len(self)), np.float32)
        for start in range(0, len(self), _BLOCK_ROWS):
            block = np.arange(start, min(len(self), start + _BLOCK_ROWS))
            found[0, block] = self.distances(x, block[None])[0]
        cost = -found[0] if self.is_inner else found[0]
        kth = np.partition(cost, k - 1)[k - 1]
        nearer, tied = np.flatnonzero(cost < kth), np.flatnonzero(cost == kth)
        kept = np.concatenate([nearer, tied[: k - len(nearer)]])[None]
        order = largest if self.is_inner else nearest
        return order(found[:, kept[0]], kept, k)


def _lengths(X: NDArray[np.float32]) -> NDArray[np.float64]:
    lengths: NDArray[np.float64] = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))
    return lengths


def _longest(X: NDArray[np.float32]) -> float:
    """The length of the longest row. O(n · d), no copy."""
    if len(X) == 0:
        return 0.0
    blocks = (X[start : start + _BLOCK_ROWS] for start in range(0, len(X), _BLOCK_ROWS))
    return float(np.sqrt(max(float(np.einsum("ij,ij->i", block, block).max()) for block in blocks)))
