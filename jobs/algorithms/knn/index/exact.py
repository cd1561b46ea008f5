"""An index that finds the nearest rows exactly: by brute force or by a k-d tree, as was chosen for its rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.index.choice import EngineChoice
from jobs.algorithms.knn.index.flat import BLAS_FROM_ROWS, FlatVectors
from jobs.algorithms.knn.index.neighbours import Neighbours
from jobs.algorithms.knn.index.tree import ColumnTree
from mlplatform.core.process_memory import freed_memory_return


class ExactIndex:
    """`faiss.Flat`. Which way is taken changes no answer."""

    def __init__(self, vectors: FlatVectors) -> None:
        self.vectors = vectors
        self._choice = EngineChoice("")
        self._tree: ColumnTree | None = None

    @property
    def index(self) -> Any:
        return self.vectors.index

    def engine_use(self, choice: EngineChoice) -> None:
        """Searches as chosen from now on; a tree is built. Raises ValueError for one over other columns."""
        self._choice, self._tree = EngineChoice(""), None
        if choice.tree is None:
            return
        columns, known = choice.tree.columns, range(self.vectors.dim)
        # A column taken twice would count twice in what is to be a lower bound.
        if self.vectors.is_inner or len(set(columns)) < len(columns) or not set(columns) <= set(known):
            raise ValueError(f"no tree over the columns {list(columns)} can search this index")
        self._tree = ColumnTree(self.vectors, choice.tree.columns, n_extra=choice.tree.n_extra)
        self._choice = choice
        freed_memory_return()

    def search(self, X: NDArray[np.float32], k: int) -> Neighbours:
        """The k nearest rows to each row of X, C-contiguous; k at most as many as there are rows."""
        # Below that many rows brute force compares row by row, so what is chosen for one row holds for them.
        wanted = self._choice.for_single if len(X) < BLAS_FROM_ROWS else self._choice.for_batch
        if self._tree is not None and wanted:
            return self._tree.search(X, k)
        return self.vectors.search(X, k)
