"""Answers of a trained XGBoost model, in the managed service's columns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction, Predictor
from jobs.algorithms.xgboost.booster import LoadedBooster
from jobs.algorithms.xgboost.objectives import REGRESSION


class XGBoostPredictor(Predictor):
    """Answers `score`, and `predicted_label` where the objective tells classes apart."""

    takes_missing = True
    csv_columns = ("score",)

    def __init__(self, booster: LoadedBooster, *, objective: str, sample_row: list[float] | None) -> None:
        self.n_features = booster.n_features
        self.sample_row = None if sample_row is None else np.asarray(sample_row, np.float32)
        self._booster = booster
        self._is_regression = objective in REGRESSION
        self._threshold = 0.0 if objective == "binary:logitraw" else 0.5
        self._is_label = objective == "multi:softmax"

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`; a NaN is a missing value.

        Returns:
            `score`, as the objective has it: float32 [n], or with multi:softprob [n, c], the probabilities. Unless it
            is a regression, `predicted_label` float32 [n]: the more probable class, the smallest one of a tie.
        """
        self.columns_check(X)
        scores = self._booster.scores(X)
        if self._is_regression:
            return {"score": scores}
        return {"score": scores, "predicted_label": self._labels(scores)}

    def _labels(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._is_label:
            return scores
        labels = scores.argmax(axis=1) if scores.ndim == 2 else scores > self._threshold
        return labels.astype(np.float32)
