"""A loaded k-NN model: neighbours, then vote or mean. Used by model servers, and by training to score the
test channel.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction, Predictor
from jobs.algorithms.knn import votes
from jobs.algorithms.knn.artifact import Artifact
from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

_BLOCK_NEIGHBOURS: Final = 2**17
"""Rows are predicted in blocks of about that many neighbours, so that memory stays bounded for any k."""


class KNNPredictor(Predictor):
    """Answers `predicted_label`; verbose also `distances` and `labels`, nearest first, and which rows they are."""

    def __init__(self, artifact: Artifact) -> None:
        self.n_features = artifact.preparation.feature_dim
        self.sample_row = np.asarray(artifact.description.sample_row, np.float32)
        self.k = artifact.description.k
        self._artifact = artifact
        self._block_rows = max(16, min(4096, _BLOCK_NEIGHBOURS // self.k))
        self._decide = votes.majority if artifact.description.predictor_type == "classifier" else votes.mean

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`.

        Returns:
            `predicted_label` float32 [n]; verbose: `distances` float32 [n, k], `labels` float32 [n, k] and, where the
            model has them, `rows` int64 [n, k]: row numbers in the train channel, from 1. Distances are squared for
            L2, 1 - cosine for COSINE, the product itself (descending) for INNER_PRODUCT.
        """
        if X.ndim != 2 or X.shape[1] != self.n_features:
            n_columns = X.shape[1] if X.ndim == 2 else X.shape
            raise DataError(
                _(
                    "{n} columns; the model wants {expected} feature columns",
                    n=str(n_columns),
                    expected=self.n_features,
                )
            )
        starts = range(0, max(1, len(X)), self._block_rows)  # no rows are one empty block
        blocks = [self._block(X[start : start + self._block_rows], verbose=verbose) for start in starts]
        return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}

    def _block(self, X: NDArray[np.float32], *, verbose: bool) -> Prediction:
        vectors = self._artifact.preparation(np.asarray(X, np.float32))
        distances, positions = self._artifact.index.search(vectors, self.k)
        labels = self._artifact.labels[positions]
        prediction: Prediction = {"predicted_label": self._decide(labels)}
        if verbose:
            prediction |= {"distances": distances, "labels": labels}
            if self._artifact.rows is not None:
                prediction["rows"] = self._artifact.rows[positions].astype(np.int64)
        return prediction
