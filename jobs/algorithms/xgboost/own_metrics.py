"""The managed service's additions to XGBoost's metrics: accuracy, f1 (macro) and mse. Pure numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def own_metric(names: Sequence[str]) -> Callable[[NDArray[Any], Any], list[tuple[str, float]]]:
    """A `custom_metric` of XGBoost that evaluates these."""

    def evaluate(scores: NDArray[Any], data: Any) -> list[tuple[str, float]]:
        y = data.get_label()
        return [(name, _METRICS[name](scores, y)) for name in names]

    return evaluate


def accuracy(scores: NDArray[Any], y: NDArray[Any]) -> float:
    """Share of the rows whose class is predicted."""
    return float(np.mean(_classes(scores) == y))


def f1_macro(scores: NDArray[Any], y: NDArray[Any]) -> float:
    """Mean over the classes of F1, as scikit-learn's `f1_score(average="macro", zero_division=0)`."""
    predicted = _classes(scores)
    found = []
    for label in np.union1d(predicted, y):
        right = np.sum((predicted == label) & (y == label))
        found.append(2 * right / (np.sum(predicted == label) + np.sum(y == label)))
    return float(np.mean(found))


def mse(scores: NDArray[Any], y: NDArray[Any]) -> float:
    return float(np.mean((scores.astype(np.float64) - y) ** 2))


def _classes(scores: NDArray[Any]) -> NDArray[Any]:
    """Probabilities [n] of class 1, classes [n], or probabilities [n, c]."""
    if scores.ndim == 2:
        best: NDArray[Any] = scores.argmax(axis=1)
        return best
    whole = np.equal(scores, np.floor(scores)).all()
    return scores if whole else scores > 0.5


_METRICS: dict[str, Callable[[NDArray[Any], NDArray[Any]], float]] = {
    "accuracy": accuracy,
    "f1": f1_macro,
    "mse": mse,
}
