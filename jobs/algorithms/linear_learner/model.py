"""A trained linear model: its arrays, its files, its answers."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction, Predictor
from jobs.algorithms.linear_learner.losses import Floats, probabilities, probability
from jobs.algorithms.linear_learner.rules import BINARY, REGRESSOR
from jobs.algorithms.model_files import description_read, description_write
from mlplatform.core.errors import ModelError

NAME: Final = "linear-learner"
FILE: Final = "weights.npz"


@dataclass(frozen=True)
class LinearModel:
    """W float64 [d, c] and bias float64 [c], by the columns as users have them: normalisation is multiplied in.

    Args:
        loss: With hinge_loss the score is the distance from the border, else a probability.
    """

    predictor_type: str
    loss: str
    W: Floats
    bias: Floats

    def raw(self, X: NDArray[np.float32]) -> Floats:
        """float64 [n, c]; summed in float64, so that a row answers the same alone as in a batch."""
        found: Floats = X.astype(np.float64) @ self.W + self.bias
        return found

    def write(self, model_dir: Path, content: dict[str, Any]) -> None:
        np.savez(model_dir / FILE, W=self.W, bias=self.bias)
        kind = {"predictor_type": self.predictor_type, "loss": self.loss}
        description_write(model_dir, algorithm=NAME, content={**kind, **content})


class LinearPredictor(Predictor):
    """Answers `score`, and `predicted_label` for classifiers."""

    def __init__(self, model: LinearModel, sample_row: list[float]) -> None:
        self.n_features = len(model.W)
        self.sample_row = np.asarray(sample_row, np.float32)
        self._model = model

    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """See `Predictor.predict`.

        Returns:
            `score`: regressor: the number, float32 [n]. binary_classifier: probability of label 1 (with hinge_loss the
            distance from the border), float32 [n]. multiclass_classifier: probabilities, float32 [n, c]. Classifiers
            also `predicted_label` float32 [n], the smallest one of a tie.
        """
        self.columns_check(X)
        raw = self._model.raw(X)
        if self._model.predictor_type == REGRESSOR:
            return {"score": _narrow(raw[:, 0])}
        if self._model.predictor_type == BINARY:
            score = raw[:, 0] if self._model.loss == "hinge_loss" else probability(raw[:, 0])
            return {"score": _narrow(score), "predicted_label": (raw[:, 0] > 0).astype(np.float32)}
        label = raw.argmax(axis=1).astype(np.float32)
        return {"score": _narrow(probabilities(raw)), "predicted_label": label}


def linear_read(model_dir: Path) -> LinearPredictor:
    """The model in a folder. Raises ModelError."""
    description = description_read(model_dir, algorithm=NAME)
    try:
        with np.load(model_dir / FILE, allow_pickle=False) as arrays:
            model = LinearModel(
                description["predictor_type"], description["loss"], arrays["W"], arrays["bias"]
            )
        return LinearPredictor(model, description["sample_row"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"The model's file {FILE} cannot be read: {error}") from error


def _narrow(values: Floats) -> NDArray[np.float32]:
    """As float32; what is larger than it can hold is its largest."""
    limit = float(np.finfo(np.float32).max)
    return np.clip(values, -limit, limit).astype(np.float32)
