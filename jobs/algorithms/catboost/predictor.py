"""Answers of a trained CatBoost model, in the columns that the other classifiers and regressors have."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction, Predictor
from jobs.algorithms.catboost.ensemble import LoadedEnsemble
from jobs.algorithms.class_labels import ClassLabels


class CatBoostPredictor(Predictor):
    """Answers `score`, and `predicted_label` where it tells labels apart."""

    takes_missing = True

    def __init__(
        self, ensemble: LoadedEnsemble, *, labels: ClassLabels | None, sample_row: list[float] | None
    ) -> None:
        self.n_features = ensemble.n_features
        self.sample_row = None if sample_row is None else np.asarray(sample_row, np.float32)
        self._ensemble = ensemble
        self._labels = labels

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`; a NaN is a missing value.

        Returns:
            `score`: the number float32 [n], the probability of the larger one of two labels float32 [n], or of each of
            several labels float32 [n, c]. Unless it is a regression, `predicted_label` float32 [n].
        """
        self.columns_check(X)
        if self._labels is None:
            return {"score": self._ensemble.values(X)}
        probabilities = self._ensemble.probabilities(X)
        predicted = self._labels.decode(probabilities.argmax(axis=1))
        score = np.ascontiguousarray(probabilities[:, 1]) if len(self._labels) == 2 else probabilities
        return {"score": score, "predicted_label": predicted}
