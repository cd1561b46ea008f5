"""Scores of a test channel, summed batch by batch in constant memory."""

from __future__ import annotations

from collections import Counter
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Score(Protocol):
    def update(self, predicted: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        """Counts one batch, both [n]."""

    def values(self) -> dict[str, float]:
        """The scores by the service's names; NaN when there was no row."""


class ClassifierScore:
    """`accuracy`, and `macro_f_1.000`: the unweighted mean of F1 over all labels that occur or were
    predicted, where a label never predicted right counts 0 (scikit-learn's `f1_score(average="macro",
    zero_division=0)`)."""

    def __init__(self) -> None:
        self._right: Counter[float] = Counter()
        self._actual: Counter[float] = Counter()
        self._predicted: Counter[float] = Counter()

    def update(self, predicted: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        self._right.update(_counts(y[predicted == y]))
        self._actual.update(_counts(y))
        self._predicted.update(_counts(predicted))

    def values(self) -> dict[str, float]:
        n = self._actual.total()
        if n == 0:
            return {"accuracy": float("nan"), "macro_f_1.000": float("nan")}
        labels = self._actual.keys() | self._predicted.keys()
        f1 = [
            2 * self._right[label] / (self._actual[label] + self._predicted[label])
            for label in sorted(labels)
        ]
        return {"accuracy": self._right.total() / n, "macro_f_1.000": sum(f1) / len(f1)}


class RegressorScore:
    """`mse`: the mean squared error."""

    def __init__(self) -> None:
        self._n = 0
        self._squares = 0.0

    def update(self, predicted: NDArray[np.float32], y: NDArray[np.float32]) -> None:
        difference = predicted.astype(np.float64) - y
        self._n += len(y)
        self._squares += float(difference @ difference)

    def values(self) -> dict[str, float]:
        return {"mse": self._squares / self._n if self._n else float("nan")}


def _counts(labels: NDArray[np.float32]) -> dict[float, int]:
    values, counts = np.unique(labels, return_counts=True)
    return dict(zip(values.tolist(), counts.tolist(), strict=True))
