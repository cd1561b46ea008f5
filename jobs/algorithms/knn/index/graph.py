"""A navigable graph (`faiss.HNSW32`): each row linked to near ones, along which a search walks towards the question.

Y. A. Malkov and D. A. Yashunin, "Efficient and robust approximate nearest neighbor search using hierarchical navigable
small world graphs", IEEE TPAMI 42(4), 2020.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.flat import FlatVectors
from jobs.algorithms.knn.index.neighbours import Neighbours

N_LINKS: Final = 32
_BLOCK_ROWS: Final = 2048


class GraphIndex:
    """An IndexHNSWFlat that keeps the best `ef_search` rows in sight, and k at least."""

    def __init__(self, index: Any, *, ef_search: int, n_threads: int) -> None:
        self.index = index
        self._ef_search = ef_search
        self._n_threads = n_threads
        self._vectors = FlatVectors(faiss.downcast_index(index.storage), n_threads=n_threads)

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The nearest rows on the way; rows that come past fewer than k are searched exactly."""
        faiss.omp_set_num_threads(1 if len(X) == 1 else self._n_threads)
        parameters: Any = faiss.SearchParametersHNSW()  # type: ignore[attr-defined]
        parameters.efSearch = max(self._ef_search, k)
        distances, positions = self.index.search(X, k, params=parameters)
        short = np.flatnonzero(positions[:, -1] < 0)
        if len(short):
            distances[short], positions[short] = self._vectors.search(X[short], k)
        return distances, positions


def graph_build(X: NDArray[np.float32], values: Mapping[str, Any], on_added: Callable[[float], None]) -> Any:
    """The graph of the rows of X. One thread: several would link rows in an order that changes from run to run.

    Args:
        on_added: Called with the fraction that is done.
    """
    faiss.omp_set_num_threads(1)
    index: Any = faiss.IndexHNSWFlat(X.shape[1], N_LINKS, faiss.METRIC_L2)
    index.hnsw.efConstruction = values["_faiss_index_hnsw_ef_construction"]
    index.hnsw.rng = faiss.RandomGenerator(values["_seed"] + 1)  # type: ignore[attr-defined]
    for start in range(0, len(X), _BLOCK_ROWS):
        index.add(X[start : start + _BLOCK_ROWS])
        on_added(min(1.0, (start + _BLOCK_ROWS) / len(X)))
    return index
