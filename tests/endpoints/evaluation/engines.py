"""Tiny real engines for model servers whose endpoint is evaluated: with neighbours, without, and strange ones."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.votes import majority, mean


class NearestPredictor:
    """k-NN by comparing with every row. `strange` makes it answer what k-NN does not: rows that begin with more than 5
    get a neighbour less ("uneven"), or another prediction than their neighbours' ("contrary").
    """

    def __init__(
        self,
        X: list[list[float]],
        y: list[float],
        k: int,
        kind: str = "classifier",
        neighbours: bool = True,
        strange: str = "",
        pause_s: float = 0.0,
    ) -> None:
        self._X, self._y = np.array(X, np.float32), np.array(y, np.float32)
        self._k, self._decide = k, majority if kind == "classifier" else mean
        self._neighbours, self._strange, self._pause_s = neighbours, strange, pause_s

    @property
    def n_features(self) -> int:
        return self._X.shape[1]

    def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
        time.sleep(self._pause_s)
        distances = ((X[:, None] - self._X[None]) ** 2).sum(axis=2)
        k = self._k - (self._strange == "uneven" and bool((X[:, 0] > 5).any()))
        labels = self._y[np.argsort(distances, axis=1, kind="stable")[:, :k]]
        prediction = self._decide(labels)
        if self._strange == "contrary":
            prediction = np.where(X[:, 0] > 5, labels.max(axis=1), prediction)
        found = {"predicted_label": prediction.astype(np.float32)}
        return (
            found | {"distances": distances[:, :k], "labels": labels}
            if verbose and self._neighbours
            else found
        )


class Nearest:
    """Loads `train.json`, the arguments of the predictor."""

    def load(self, model_dir: Path, *, n_threads: int) -> NearestPredictor:
        return NearestPredictor(**json.loads((model_dir / "train.json").read_text()))


class Wrong:
    """Answers two numbers for each row."""

    n_features = 2

    def load(self, model_dir: Path, *, n_threads: int) -> Wrong:
        return self

    def predict(self, X: NDArray[np.float32], *, verbose: bool) -> dict[str, NDArray[Any]]:
        return {"centre": X}
