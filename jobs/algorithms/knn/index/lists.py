"""Inverted lists (`faiss.IVFFlat`, `faiss.IVFPQ`): rows by cluster, of which a search looks into the nearest ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.flat import BLAS_NEVER
from jobs.algorithms.knn.index.neighbours import Neighbours

_BLOCK_ROWS: Final = 65_536
_COLUMNS_AT_A_TIME: Final = 4


class ListsIndex:
    """An IndexIVF that looks into `nprobe` lists."""

    def __init__(self, index: Any, *, nprobe: int, n_threads: int) -> None:
        self.index = index
        self._n_threads = n_threads
        self._nearest_lists = _probing(min(nprobe, index.nlist))
        self._all_lists = _probing(index.nlist)

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The nearest clusters; rows that find fewer than k there look into all clusters."""
        faiss.omp_set_num_threads(1 if len(X) == 1 else self._n_threads)
        faiss.cvar.distance_compute_blas_threshold = BLAS_NEVER
        distances, positions = self.index.search(X, k, params=self._nearest_lists)
        short = np.flatnonzero(positions[:, -1] < 0)
        if len(short):
            distances[short], positions[short] = self.index.search(X[short], k, params=self._all_lists)
        return distances, positions


def lists_train(
    X: NDArray[np.float32], values: Mapping[str, Any], *, n_lists: int, inner_product: bool
) -> Any:
    """An empty index with clusters of X."""
    d, metric = X.shape[1], faiss.METRIC_INNER_PRODUCT if inner_product else faiss.METRIC_L2
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
    index.train(X)
    return index


def lists_fill(index: Any, X: NDArray[np.float32], on_added: Callable[[float], None]) -> None:
    """Adds the rows of X, which is used up: whole rows are moved into their lists, and never all there twice.

    faiss by itself would let every list grow by doubling beside the rows that it is filled from.

    Args:
        on_added: Called with the fraction that is done.
    """
    if isinstance(index, faiss.IndexIVFFlat):
        _move(index, X, on_added)
        return
    for start in range(0, len(X), _BLOCK_ROWS):
        index.add(X[start : start + _BLOCK_ROWS])
        on_added(min(1.0, (start + _BLOCK_ROWS) / len(X)))


def _move(index: Any, X: NDArray[np.float32], on_added: Callable[[float], None]) -> None:
    """Sorts the rows by list in their own memory, then takes list by list from the end and gives that end back."""
    lists = np.empty(len(X), np.int64)
    for start in range(0, len(X), _BLOCK_ROWS):
        lists[start : start + _BLOCK_ROWS] = index.quantizer.assign(X[start : start + _BLOCK_ROWS], 1)[:, 0]
        on_added(0.9 * min(1.0, (start + _BLOCK_ROWS) / len(X)))
    ids = np.argsort(lists, kind="stable")
    for column in range(0, X.shape[1], _COLUMNS_AT_A_TIME):
        columns = slice(column, column + _COLUMNS_AT_A_TIME)
        X[:, columns] = X[ids, columns]
    ends = np.cumsum(np.bincount(lists, minlength=index.nlist))
    n, n_kept = len(X), len(X)
    for number in range(index.nlist - 1, -1, -1):
        begin, end = int(ends[number - 1]) if number else 0, int(ends[number])
        if end > begin:
            rows = X[begin:end].view(np.uint8)
            index.invlists.add_entries(
                number, end - begin, faiss.swig_ptr(ids[begin:end]), faiss.swig_ptr(rows)
            )
            del rows
        if X.flags.owndata and n_kept - begin >= _BLOCK_ROWS:
            n_kept = begin
            X.resize((n_kept, X.shape[1]), refcheck=False)
    index.ntotal = n


def _probing(n_lists: int) -> Any:
    parameters: Any = faiss.SearchParametersIVF()
    parameters.nprobe = n_lists
    return parameters
