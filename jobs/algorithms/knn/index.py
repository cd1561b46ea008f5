"""The index of nearest neighbours. The only module that imports faiss, and only in job processes and model
servers.

Flat search over a batch goes through BLAS, which faiss 1.15 by itself does only for far larger batches
(several times slower), but whose float32 cancellation can miss a neighbour. So more candidates are fetched
than asked for, their distances computed again exactly, and each row is either proven complete by an error
bound or searched again without BLAS. Hence a row's neighbours do not depend on the batch it came in. Equal
distances: the earlier row first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

Neighbours = tuple[NDArray[np.float32], NDArray[np.int64]]
"""(distances, positions), both [n, k], nearest first."""

_BLAS_FROM_ROWS: Final = 10
"""From this many rows on a Flat search through BLAS is faster (measured; below it is up to five times
slower).
"""
_NEVER_BLAS: Final = 2**31 - 1
_WRITE_BYTES: Final = 1024 * 1024
_UNIT_ROUNDOFF: Final = 2.0**-24
_MAX_TIE_CANDIDATES: Final = 4096


class NeighbourIndex:
    """A faiss index with the metric's meaning. Searches may run in several threads at once."""

    def __init__(self, index: Any, *, metric: str, nprobe: int, n_threads: int) -> None:
        self._index = index
        self._metric = metric
        self._n_threads = n_threads
        self._flat = isinstance(index, faiss.IndexFlat)
        self._largest = _largest_length(index) if self._flat else 0.0
        if not self._flat:
            self._nearest_lists = _probing(min(nprobe, index.nlist))
            self._all_lists = _probing(index.nlist)

    @classmethod
    def build(
        cls,
        X: NDArray[np.float32],
        values: Mapping[str, Any],
        *,
        n_lists: int,
        n_threads: int,
        on_trained: Callable[[], None] = lambda: None,
    ) -> NeighbourIndex:
        """Trains an index of the type in `values["index_type"]` and adds all rows of X, float32 [n, d].

        Args:
            on_trained: Called between the two.
        """
        faiss.omp_set_num_threads(n_threads)
        index = _empty_index(X.shape[1], values, n_lists=n_lists)
        if not index.is_trained:
            index.train(X)
        on_trained()
        index.add(X)
        metric, nprobe = values["index_metric"], values["_faiss_index_nprobe"]
        return cls(index, metric=metric, nprobe=nprobe, n_threads=n_threads)

    @classmethod
    def read(cls, path: Path, *, metric: str, nprobe: int, n_threads: int) -> NeighbourIndex:
        """The index in a file. Raises ValueError when it is not one of ours or is damaged."""
        # faiss would allocate up to 1 TiB on a damaged header's word; nothing in a file exceeds the file.
        faiss.set_deserialization_vector_byte_limit(16 * path.stat().st_size + 65536)
        try:
            index = faiss.read_index(str(path))
        except RuntimeError as error:
            raise ValueError(f"{path.name} is not a readable faiss index: {error}") from None
        if not isinstance(index, faiss.IndexFlat | faiss.IndexIVFFlat | faiss.IndexIVFPQ):
            raise ValueError(f"{path.name} is a {type(index).__name__}; Flat, IVFFlat or IVFPQ was expected")
        return cls(index, metric=metric, nprobe=nprobe, n_threads=n_threads)

    def write(self, path: Path) -> None:
        """Writes the index through a file of ours: faiss' own only warns when the last piece finds no room."""
        refused: list[OSError] = []

        def take(piece: bytes) -> None:
            try:
                file.write(piece)
            except OSError as error:
                refused.append(error)
                raise

        with path.open("wb") as file:
            try:
                faiss.write_index(self._index, faiss.PyCallbackIOWriter(take, _WRITE_BYTES))  # type: ignore[attr-defined]
            except Exception:
                if refused:
                    raise refused[0] from None
                raise

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to each row of X, C-contiguous float32 [n, dim]; k at most `len(self)`. O(n · k) memory.

        Distances: L2 squared Euclidean, COSINE 1 - cosine, both ascending; INNER_PRODUCT the product,
            descending.
        """
        # Two OpenMP threads make one query slower, not faster; the setting belongs to the calling thread.
        faiss.omp_set_num_threads(1 if len(X) == 1 else self._n_threads)
        faiss.cvar.distance_compute_blas_threshold = _BLAS_FROM_ROWS * self.dim if self._flat else _NEVER_BLAS
        if len(X) == 0:
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        distances, positions = self._search_flat(X, k) if self._flat else self._search_lists(X, k)
        if self._metric == "COSINE":
            distances = np.divide(distances, 2, dtype=np.float32)  # of unit vectors: |x - y|^2 = 2 (1 - cos)
        return distances, positions

    def _search_flat(self, X: NDArray[np.float32], k: int) -> Neighbours:
        if len(X) < _BLAS_FROM_ROWS:
            return self._search_exactly(X, k)
        n_candidates = min(len(self), k + max(16, k // 8))
        estimates, positions = self._index.search(X, n_candidates)
        distances, nearest = self._exact_order(X, positions, k)
        if n_candidates < len(self):
            unproven = np.flatnonzero(~self._proven(X, estimates[:, -1], distances[:, -1]))
            for start in range(0, len(unproven), _BLAS_FROM_ROWS - 1):
                rows = unproven[start : start + _BLAS_FROM_ROWS - 1]
                distances[rows], nearest[rows] = self._search_exactly(np.ascontiguousarray(X[rows]), k)
        return distances, nearest

    def _proven(
        self, X: NDArray[np.float32], farthest: NDArray[np.float32], kth: NDArray[np.float32]
    ) -> NDArray[np.bool_]:
        """Whether no row outside the candidates can be as near as the k-th found.

        Rows outside have an estimate of at least `farthest`. An inner product of d float32 terms is off by at
        most about d·u·|x||y| (N. Higham, Accuracy and Stability of Numerical Algorithms, 3.1), so |x|² + |y|²
        - 2xy by at most d·u·(|x| + |y|)²; the factor 2 covers the norms and the exact distances' own
        rounding.
        """
        lengths = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))
        scale = 2 * (self.dim + 8) * _UNIT_ROUNDOFF
        if self._metric == "INNER_PRODUCT":
            return np.asarray(farthest + scale * lengths * self._largest < kth)
        return np.asarray(farthest - scale * (lengths + self._largest) ** 2 > kth)

    def _search_exactly(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """Without BLAS (fewer than _BLAS_FROM_ROWS rows); widened while the k-th distance ties with the last
        found.
        """
        n_candidates = min(len(self), k + 16)
        while True:
            _, positions = self._index.search(X, n_candidates)
            distances, nearest = self._exact_order(X, positions, n_candidates)
            tied = bool((distances[:, -1] == distances[:, k - 1]).any())
            if not tied or n_candidates >= min(len(self), max(_MAX_TIE_CANDIDATES, k + 16)):
                return distances[:, :k], nearest[:, :k]
            n_candidates = min(len(self), 4 * n_candidates)

    def _exact_order(self, X: NDArray[np.float32], positions: NDArray[np.int64], k: int) -> Neighbours:
        """The k best of the candidates [n, m] by exact distance, then by position."""
        distances = np.empty(positions.shape, np.float32)
        self._index.compute_distance_subset(
            len(X),
            faiss.swig_ptr(X),
            positions.shape[1],
            faiss.swig_ptr(distances),
            faiss.swig_ptr(positions),
        )
        cost = -distances if self._metric == "INNER_PRODUCT" else distances
        order = np.lexsort((positions, cost), axis=1)[:, :k]
        return np.take_along_axis(distances, order, 1), np.take_along_axis(positions, order, 1)

    def _search_lists(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The nearest clusters; rows that find fewer than k there look into all clusters."""
        distances, positions = self._index.search(X, k, params=self._nearest_lists)
        short = np.flatnonzero(positions[:, -1] < 0)
        if len(short):
            again = np.ascontiguousarray(X[short])
            distances[short], positions[short] = self._index.search(again, k, params=self._all_lists)
        return distances, positions


def _empty_index(d: int, values: Mapping[str, Any], *, n_lists: int) -> Any:
    inner = values["index_metric"] == "INNER_PRODUCT"
    metric = faiss.METRIC_INNER_PRODUCT if inner else faiss.METRIC_L2
    if values["index_type"] == "faiss.Flat":
        return faiss.IndexFlat(d, metric)
    quantizer = faiss.IndexFlat(d, metric)
    index: Any
    if values["index_type"] == "faiss.IVFFlat":
        index = faiss.IndexIVFFlat(quantizer, d, n_lists, metric)
    else:
        index = faiss.IndexIVFPQ(quantizer, d, n_lists, values["faiss_index_pq_m"], 8, metric)
        index.pq.cp.seed = values["_seed"] + 1
        index.pq.cp.min_points_per_centroid = 1
    index.cp.seed = values["_seed"] + 1
    index.cp.min_points_per_centroid = 1  # the engine warns in the log's own form
    return index


def _probing(n_lists: int) -> Any:
    parameters: Any = faiss.SearchParametersIVF()
    parameters.nprobe = n_lists
    return parameters


def _largest_length(index: Any) -> float:
    """The length of the longest vector in a Flat index. O(n · d), no copy."""
    n, d = int(index.ntotal), int(index.d)
    if n == 0:
        return 0.0
    X = faiss.rev_swig_ptr(index.get_xb(), n * d).reshape(n, d)
    squares = (
        float(np.einsum("ij,ij->i", X[start : start + 65536], X[start : start + 65536]).max())
        for start in range(0, n, 65536)
    )
    return float(np.sqrt(max(squares)))
