"""Gradient descent on a linear model, epoch by epoch. Pure numpy, float64; knows nothing of jobs.

Adam as in Kingma and Ba, "Adam: a method for stochastic optimization" (2015); L1 by a proximal step of each weight, so
that weights become exactly 0. The learning rate falls linearly to a hundredth.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.linear_learner.losses import Floats, Loss

_AUTO_RATE: Final = 0.03
_STEPS_LEAST: Final = 30
"""Steps of an epoch at least."""
_MOMENTUM, _SECOND, _TINY = 0.9, 0.999, 1e-8


@dataclass
class Weights:
    """W float64 [d, c] and bias float64 [c]."""

    W: Floats
    bias: Floats

    @classmethod
    def zeros(cls, n_features: int, n_answers: int) -> Weights:
        return cls(np.zeros((n_features, n_answers)), np.zeros(n_answers))

    def __call__(self, X: NDArray[Any]) -> Floats:
        """Raw answers float64 [n, c]."""
        found: Floats = X.astype(np.float64) @ self.W + self.bias
        return found

    def copy(self) -> Weights:
        return Weights(self.W.copy(), self.bias.copy())


def batch_rows(mini_batch_size: int, n_rows: int) -> int:
    """Rows of a step: as asked for, but few enough that little data is learned from as well."""
    return min(mini_batch_size, max(1, n_rows // _STEPS_LEAST))


def epochs(
    weights: Weights,
    X: NDArray[np.float32],
    y: Floats,
    row_weights: Floats | None,
    *,
    loss: Loss,
    values: Mapping[str, Any],
) -> Iterator[float]:
    """Changes `weights`, one pass over the rows at a time; yields the mean loss of each pass as it went.

    Args:
        X: float32 [n, d], already normalised.
        values: The hyperparameters.
    """
    n = len(X)
    size = batch_rows(values["mini_batch_size"], n)
    steps = -(-n // size) * values["epochs"]
    stepper = _Stepper(weights, values, n_steps=steps)
    random = np.random.default_rng(values["_seed"])
    for _epoch in range(values["epochs"]):
        order, total = random.permutation(n), 0.0
        for start in range(0, n, size):
            rows = order[start : start + size]
            x = X[rows].astype(np.float64)
            losses, slopes = loss(x @ weights.W + weights.bias, y[rows])
            if row_weights is not None:
                losses, slopes = losses * row_weights[rows], slopes * row_weights[rows, None]
            total += float(losses.sum())
            stepper.step(x.T @ slopes / len(rows), slopes.mean(axis=0))
        yield total / n


class _Stepper:
    """Adam, or gradient descent with momentum, on the weights in place."""

    def __init__(self, weights: Weights, values: Mapping[str, Any], *, n_steps: int) -> None:
        self._weights = weights
        self._adam = values["optimizer"] != "sgd"
        rate = values["learning_rate"]
        self._rate = _AUTO_RATE if rate == "auto" else float(rate)
        self._l1 = 0.0 if values["l1"] == "auto" else float(values["l1"])
        self._l2 = 0.0 if values["wd"] == "auto" else float(values["wd"])
        self._use_bias = values["use_bias"] == "true"
        self._n_steps = n_steps
        self._done = 0
        self._first = [np.zeros_like(weights.W), np.zeros_like(weights.bias)]
        self._second = [np.zeros_like(weights.W), np.zeros_like(weights.bias)]

    def step(self, slope_W: Floats, slope_bias: Floats) -> None:
        self._done += 1
        rate = self._rate * (1 - 0.99 * (self._done - 1) / max(1, self._n_steps - 1))
        slope_W = slope_W + self._l2 * self._weights.W
        self._weights.W -= rate * self._direction(0, slope_W)
        if self._l1:
            shrunk = np.maximum(np.abs(self._weights.W) - rate * self._l1, 0)
            self._weights.W[...] = np.sign(self._weights.W) * shrunk
        if self._use_bias:
            self._weights.bias -= rate * self._direction(1, slope_bias)

    def _direction(self, which: int, slope: Floats) -> Floats:
        first = self._first[which]
        if not self._adam:
            first *= _MOMENTUM
            first += (1 - _MOMENTUM) * slope
            return first
        second = self._second[which]
        first += (1 - _MOMENTUM) * (slope - first)
        second += (1 - _SECOND) * (slope**2 - second)
        mean = first / (1 - _MOMENTUM**self._done)
        found: Floats = mean / (np.sqrt(second / (1 - _SECOND**self._done)) + _TINY)
        return found
