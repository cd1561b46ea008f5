"""The scores that the managed service's linear-learner logs, under its names. Pure numpy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Prediction
from jobs.algorithms.linear_learner.rules import BINARY, REGRESSOR
from jobs.algorithms.scores import ClassifierScore

Floats = NDArray[np.float32]


def linear_scores(predictor_type: str, prediction: Prediction, y: Floats) -> dict[str, float]:
    """Of all rows at once; NaN where a score is not defined, as precision without a row predicted 1."""
    if predictor_type == REGRESSOR:
        error = prediction["score"].astype(np.float64) - y
        mse = float(np.mean(error**2))
        return {"mse": mse, "rmse": math.sqrt(mse), "absolute_loss": float(np.mean(np.abs(error)))}
    if predictor_type == BINARY:
        return _binary(prediction["score"], prediction["predicted_label"], y)
    score = ClassifierScore()
    score.update(prediction["predicted_label"], y)
    found = score.values()
    return {"multiclass_accuracy": found["accuracy"], "macro_f_beta": found["macro_f_1.000"]}


def roc_auc(score: Floats, y: Floats) -> float:
    """Area under the ROC curve by the rank sum (Mann and Whitney), equal scores counting half. O(n log n)."""
    n_positive = int((y == 1).sum())
    n_negative = len(y) - n_positive
    if not n_positive or not n_negative:
        return math.nan
    _values, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    total = float(ranks[place][y == 1].sum())
    return (total - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def _binary(score: Floats, label: Floats, y: Floats) -> dict[str, float]:
    right = int(((label == 1) & (y == 1)).sum())
    n_predicted, n_actual = int((label == 1).sum()), int((y == 1).sum())
    return {
        "binary_classification_accuracy": float(np.mean(label == y)),
        "precision": right / n_predicted if n_predicted else math.nan,
        "recall": right / n_actual if n_actual else math.nan,
        "binary_f_beta": 2 * right / (n_predicted + n_actual) if n_predicted + n_actual else math.nan,
        "roc_auc_score": roc_auc(score, y),
    }
