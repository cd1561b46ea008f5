"""Losses of a linear model, each with its derivative. Pure numpy, float64.

`Z [n, c]` are the model's raw answers (c = 1 unless classes are many), `y [n]` the labels. The loss is one number per
row, the derivative is by Z.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Loss = Callable[[Floats, Floats], tuple[Floats, Floats]]


def loss_make(name: str, values: Mapping[str, Any], *, label_scale: float = 1.0) -> Loss:
    """The loss of that name, with what the hyperparameters say of it.

    Args:
        label_scale: What labels were divided by: a huber_delta is in the labels' own unit.
    """
    if name == "quantile_loss":
        return lambda Z, y: _quantile(Z, y, values["quantile"])
    if name == "huber_loss":
        return lambda Z, y: _huber(Z, y, values["huber_delta"] / label_scale)
    return {
        "logistic": _logistic,
        "hinge_loss": _hinge,
        "softmax_loss": _softmax,
        "squared_loss": _squared,
        "absolute_loss": lambda Z, y: _quantile(Z, y, 0.5, 2.0),
    }[name]


def probability(Z: Floats) -> Floats:
    """Of class 1: the logistic function, without overflow."""
    small = np.exp(-np.abs(Z))
    return np.where(Z >= 0, 1 / (1 + small), small / (1 + small))


def probabilities(Z: Floats) -> Floats:
    """Of every class: the softmax of each row."""
    powers = np.exp(Z - Z.max(axis=1, keepdims=True))
    found: Floats = powers / powers.sum(axis=1, keepdims=True)
    return found


def _logistic(Z: Floats, y: Floats) -> tuple[Floats, Floats]:
    z = Z[:, 0]
    loss = np.logaddexp(0, z) - y * z
    return loss, (probability(z) - y)[:, None]


def _hinge(Z: Floats, y: Floats) -> tuple[Floats, Floats]:
    sign = 2 * y - 1
    missing = 1 - sign * Z[:, 0]
    return np.maximum(missing, 0), np.where(missing > 0, -sign, 0.0)[:, None]


def _softmax(Z: Floats, y: Floats) -> tuple[Floats, Floats]:
    shares, place = probabilities(Z), (np.arange(len(y)), y.astype(np.intp))
    loss = -np.log(np.maximum(shares[place], 1e-300))
    shares[place] -= 1
    return loss, shares


def _squared(Z: Floats, y: Floats) -> tuple[Floats, Floats]:
    error = Z[:, 0] - y
    return error**2, 2 * error[:, None]


def _quantile(Z: Floats, y: Floats, quantile: float, scale: float = 1.0) -> tuple[Floats, Floats]:
    error = Z[:, 0] - y
    slope = scale * np.where(error > 0, 1 - quantile, -quantile)
    return slope * error, slope[:, None]


def _huber(Z: Floats, y: Floats, delta: float) -> tuple[Floats, Floats]:
    error = Z[:, 0] - y
    clipped = np.clip(error, -delta, delta)
    return clipped * (error - clipped / 2), clipped[:, None]
