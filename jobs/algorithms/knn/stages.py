"""How far a k-NN job is: its stages, weighted by the work that each is expected to be. Only for the progress shown.

The weights are ratios measured on an index in memory; they need not be exact, but the stages differ by orders of
magnitude: against a large sample, scoring by brute force takes far longer than reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DISTANCES_PER_CELL = 1500
"""So many features are compared in the time in which one cell is read."""
_CLUSTERING_ROUNDS = 25
_ROWS_PER_LIST = 256
"""More rows per cluster faiss does not look at when it trains."""
_LINKING = 0.5
"""Rows read in the time in which a graph looks at one row more while it links a new one."""
_ENGINE_SEARCHES = 2500
"""By brute force, while it is chosen how an exact index searches."""
_UNKNOWN = 10_000


@dataclass(frozen=True)
class Stages:
    """The fraction of the job that is done when each stage ends."""

    read: float
    trained: float
    added: float
    chosen: float

    @classmethod
    def of(
        cls, *, n_train: int | None, n_test: int | None, n_lists: int, values: Mapping[str, Any]
    ) -> Stages:
        """From the rows of the channels, where known.

        Args:
            n_test: 0 without a test channel.
            n_lists: Clusters of the index; 0 for one without.
        """
        n_train, n_test = n_train or _UNKNOWN, _UNKNOWN if n_test is None else n_test
        n_sampled = min(n_train, int(values["sample_size"]))
        n_searched, per_added, n_chosen = n_sampled, 1 / _DISTANCES_PER_CELL, 0
        if n_lists:
            n_probed = min(int(values["_faiss_index_nprobe"]), n_lists)
            n_searched = n_lists + n_sampled * n_probed // n_lists
            per_added = (1 + n_lists) / _DISTANCES_PER_CELL
        elif values["index_type"] == "faiss.HNSW32":
            n_searched = 0
            per_added = _LINKING * int(values["_faiss_index_hnsw_ef_construction"])
        else:
            n_chosen = _ENGINE_SEARCHES
        work = (
            n_train,
            _CLUSTERING_ROUNDS * n_lists * min(n_sampled, _ROWS_PER_LIST * n_lists) / _DISTANCES_PER_CELL,
            n_sampled * per_added,
            n_chosen * n_sampled / _DISTANCES_PER_CELL,
            n_test * (1 + n_searched / _DISTANCES_PER_CELL),
        )
        total = sum(work)
        # Writing the model, and saying so, is always still to be done.
        return cls(*(min(0.99, sum(work[:n]) / total) for n in (1, 2, 3, 4)))

    def adding(self, fraction: float) -> float:
        """When so many of the rows are in the index."""
        return self.trained + (self.added - self.trained) * min(1.0, fraction)

    def scored(self, fraction: float) -> float:
        """When so much of the test channel is scored."""
        return self.chosen + (0.99 - self.chosen) * min(1.0, fraction)
