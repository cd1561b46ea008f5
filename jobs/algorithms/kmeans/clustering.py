"""scikit-learn's k-means: the one module that imports it. Batch by batch, in constant memory; knows nothing of jobs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.lean_import import hidden, numpy_parts_later

numpy_parts_later()
with hidden("pandas"):  # a quarter of the time, for data frames that nobody hands it
    from sklearn.cluster import KMeans, MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

_NAMES: Final = {"random": "random", "kmeans++": "k-means++"}
_AUTO_FACTOR: Final = 10
_TRIES: Final = 10
"""Times the centres kept are joined to k; the best counts."""


class Clustering:
    """Keeps more centres than asked for while it sees rows, and joins them to k at the end, as the service does."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._kept: Any = None
        self._waiting: list[NDArray[np.float32]] = []

    def add(self, X: NDArray[np.float32]) -> None:
        """Moves the centres by the rows of a batch, once there have been k rows."""
        if self._kept is None:
            self._waiting.append(X)
            if sum(map(len, self._waiting)) < self._values["k"]:
                return
            X, self._waiting = np.concatenate(self._waiting), []
            factor = self._values["extra_center_factor"]
            wanted = self._values["k"] * (_AUTO_FACTOR if factor == "auto" else factor)
            self._kept = MiniBatchKMeans(
                min(wanted, len(X)),
                init=_NAMES[self._values["init_method"]],
                batch_size=self._values["mini_batch_size"],
                n_init=1,
                random_state=self._values["_seed"],
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # rows that are all the same
            self._kept.partial_fit(X)

    def centres(self) -> NDArray[np.float64]:
        """The k centres, float64 [k, d], the most populous first. Not before k rows were added."""
        weights = np.asarray(self._kept._counts, np.float64)
        joined = KMeans(
            self._values["k"],
            init=_NAMES[self._values["local_lloyd_init_method"]],
            max_iter=self._values["local_lloyd_max_iter"],
            tol=self._values["local_lloyd_tol"],
            n_init=_TRIES,
            random_state=self._values["_seed"],
        )
        used = weights > 0
        if used.sum() < self._values["k"]:
            used[:] = True
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            joined.fit(
                self._kept.cluster_centers_[used].astype(np.float64), sample_weight=weights[used] + 1e-9
            )
        sizes = np.bincount(joined.labels_, weights=weights[used], minlength=self._values["k"])
        found: NDArray[np.float64] = joined.cluster_centers_[np.argsort(-sizes, kind="stable")]
        return found
