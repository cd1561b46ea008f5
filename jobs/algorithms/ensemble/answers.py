"""What members answer, in one form that can be blended. Pure numpy."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.base import Predictor
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.scores import ClassifierScore, RegressorScore

Floats = NDArray[np.float64]

_LEAST: float = 1e-15


def answer(predictor: Predictor, X: NDArray[np.float32], n_classes: int | None) -> Floats:
    """A regression's numbers float64 [n, 1], or the probability of each class float64 [n, c].

    Of nearest neighbours, which have no probabilities, the share of each class among them.
    """
    if n_classes is None:
        found = predictor.predict(X)
        return np.asarray(found.get("score", found.get("predicted_label")), np.float64)[:, None]
    found = predictor.predict(X, verbose=True)
    if "score" not in found:
        shares: Floats = (found["labels"][:, :, None] == np.arange(n_classes)).mean(axis=1, dtype=np.float64)
        return shares
    score = np.asarray(found["score"], np.float64)
    return score if score.ndim == 2 else np.stack((1 - score, score), axis=1)


def answer_scores(answers: Floats, y: NDArray[np.float32], labels: ClassLabels | None) -> dict[str, float]:
    """`rmse` and `mse`, or `accuracy` and `macro_f_1.000`.

    Args:
        answers: As of `answer`.
        y: float32 [n], classes as numbers from 0 or the numbers themselves.
    """
    if labels is None:
        numbers = RegressorScore()
        numbers.update(answers[:, 0].astype(np.float32), y)
        mse = numbers.values()["mse"]
        return {"rmse": math.sqrt(mse), "mse": mse}
    classes = ClassifierScore()
    classes.update(answers.argmax(axis=1).astype(np.float32), y)
    return classes.values()


def answer_error(answers: Floats, y: NDArray[np.float32]) -> float:
    """Mean squared error [n, 1], or mean negative logarithm of the right class's probability [n, c]."""
    if answers.shape[1] == 1:
        return float(np.mean((answers[:, 0] - y) ** 2))
    right = answers[np.arange(len(y)), y.astype(np.intp)]
    return float(-np.log(np.maximum(right, _LEAST)).mean())
