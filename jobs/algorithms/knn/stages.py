"""How far a k-NN job is: its stages, weighted by the work that each is expected to be. Only for the progress shown.

The weights are ratios measured on CSV and an index in memory; they need not be exact, but the stages differ by
orders of magnitude: against a large sample, scoring takes far longer than reading.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DISTANCES_PER_CELL = 300
"""So many features are compared in the time in which one cell is read."""
_CLUSTERING_ROUNDS = 25
_ROWS_PER_LIST = 256
"""More rows per cluster faiss does not look at when it trains."""
_UNKNOWN = 10_000


@dataclass(frozen=True)
class Stages:
    """The fraction of the job that is done when each stage ends."""

    read: float
    trained: float
    added: float

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
        n_searched = n_sampled
        if n_lists:
            n_probed = min(int(values["_faiss_index_nprobe"]), n_lists)
            n_searched = n_lists + n_sampled * n_probed // n_lists
        work = (
            n_train,
            _CLUSTERING_ROUNDS * n_lists * min(n_sampled, _ROWS_PER_LIST * n_lists) / _DISTANCES_PER_CELL,
            n_sampled * (1 + n_lists) / _DISTANCES_PER_CELL,
            n_test * (1 + n_searched / _DISTANCES_PER_CELL),
        )
        total = sum(work)
        read, trained, added = (sum(work[:n]) / total for n in (1, 2, 3))
        # Writing the model, and saying so, is always still to be done.
        return cls(*(min(0.99, part) for part in (read, trained, added)))

    def scored(self, fraction: float) -> float:
        """When so much of the test channel is scored."""
        return self.added + (0.99 - self.added) * min(1.0, fraction)
