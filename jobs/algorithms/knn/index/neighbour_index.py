"""The index of nearest neighbours, whatever its type: built from rows or read from a file, then searched."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.choice import EngineChoice
from jobs.algorithms.knn.index.exact import ExactIndex
from jobs.algorithms.knn.index.files import index_read, index_write
from jobs.algorithms.knn.index.flat import FlatVectors
from jobs.algorithms.knn.index.graph import GraphIndex, graph_build
from jobs.algorithms.knn.index.lists import ListsIndex, lists_fill, lists_train
from jobs.algorithms.knn.index.measuring import engine_choose
from jobs.algorithms.knn.index.neighbours import Neighbours


class _Searched(Protocol):
    """What each type of index is."""

    @property
    def index(self) -> Any: ...
    def search(self, X: NDArray[np.float32], k: int) -> Neighbours: ...


class NeighbourIndex:
    """A faiss index with the metric's meaning. Searches may run in several threads at once.

    A row's neighbours do not depend on the rows that are searched with it. `faiss.Flat` is exact, and of equally
    distant rows the earlier ones come first.
    """

    def __init__(self, searched: _Searched, *, metric: str) -> None:
        self._searched = searched
        self._metric = metric

    @classmethod
    def build(
        cls,
        X: NDArray[np.float32],
        values: Mapping[str, Any],
        *,
        n_lists: int,
        n_threads: int,
        on_trained: Callable[[], None] = lambda: None,
        on_added: Callable[[float], None] = lambda fraction: None,
    ) -> NeighbourIndex:
        """An index of the type in `values["index_type"]` over the rows of X, float32 [n, d], C-contiguous.

        Args:
            X: Given up by the caller: the index keeps or uses up its memory.
            on_trained: Called when the rows are about to be added.
            on_added: Called with the fraction of them that is.
        """
        faiss.omp_set_num_threads(n_threads)
        metric = values["index_metric"]
        inner_product = metric == "INNER_PRODUCT"
        kind = values["index_type"]
        searched: _Searched
        if kind == "faiss.Flat":
            on_trained()
            vectors = FlatVectors.of_rows(X, inner_product=inner_product, n_threads=n_threads)
            searched = ExactIndex(vectors)
        elif kind == "faiss.HNSW32":
            on_trained()
            ef_search = values["_faiss_index_hnsw_ef_search"]
            searched = GraphIndex(graph_build(X, values, on_added), ef_search=ef_search, n_threads=n_threads)
        else:
            index = lists_train(X, values, n_lists=n_lists, inner_product=inner_product)
            on_trained()
            lists_fill(index, X, on_added)
            searched = ListsIndex(index, nprobe=values["_faiss_index_nprobe"], n_threads=n_threads)
        on_added(1.0)
        return cls(searched, metric=metric)

    @classmethod
    def read(
        cls, path: Path, *, metric: str, nprobe: int, n_threads: int, ef_search: int = 0
    ) -> NeighbourIndex:
        """The index in a file. Raises ValueError when it is not one of ours or is damaged."""
        index = index_read(path)
        searched: _Searched
        if isinstance(index, faiss.IndexFlat):
            searched = ExactIndex(FlatVectors(index, n_threads=n_threads))
        elif isinstance(index, faiss.IndexHNSWFlat):
            searched = GraphIndex(index, ef_search=ef_search, n_threads=n_threads)
        else:
            searched = ListsIndex(index, nprobe=nprobe, n_threads=n_threads)
        return cls(searched, metric=metric)

    def write(self, path: Path) -> None:
        """Raises OSError where the file cannot be written whole."""
        index_write(self._searched.index, path)

    def engine_choose(
        self, *, k: int, seed: int, check_stop: Callable[[], None] = lambda: None
    ) -> EngineChoice | None:
        """The fastest way to search these rows for k neighbours, measured, and used from now on. None for an index that
        has one way only.
        """
        if not isinstance(self._searched, ExactIndex):
            return None
        choice = engine_choose(self._searched.vectors, k=k, seed=seed, check_stop=check_stop)
        self.engine_use(choice)
        return choice

    def engine_use(self, choice: EngineChoice) -> None:
        """Searches as chosen. Raises ValueError for a choice that does not fit this index."""
        if not isinstance(self._searched, ExactIndex):
            raise ValueError("an engine was chosen for an index that has one only")
        self._searched.engine_use(choice)

    @property
    def faiss_index(self) -> Any:
        """As faiss has it, for those who measure."""
        return self._searched.index

    def __len__(self) -> int:
        return int(self._searched.index.ntotal)

    @property
    def dim(self) -> int:
        return int(self._searched.index.d)

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to each row of X, C-contiguous float32 [n, dim]; k at most `len(self)`. O(n · k) memory.

        Distances: L2 squared Euclidean, COSINE 1 - cosine, both ascending; INNER_PRODUCT the product,
            descending.
        """
        if len(X) == 0:
            return np.empty((0, k), np.float32), np.empty((0, k), np.int64)
        distances, positions = self._searched.search(X, k)
        if self._metric == "COSINE":
            distances = np.divide(distances, 2, dtype=np.float32)  # of unit vectors: |x - y|^2 = 2 (1 - cos)
        return distances, positions
