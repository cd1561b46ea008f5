"""From the members' answers to one: a weight for each member, and for a stacked regression a constant. Pure numpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.ensemble.answers import Floats, answer_error

_PASSES: Final = 10_000
_SETTLED: Final = 1e-12


@dataclass(frozen=True)
class Blend:
    """The weighted sum of the members' answers, and a constant."""

    weights: tuple[float, ...]
    constant: float = 0.0

    def __call__(self, answers: Sequence[Floats]) -> Floats:
        """float64 [n, c]; summed member by member, so that a row answers the same alone as in a batch."""
        found = np.full(answers[0].shape, self.constant)
        for weight, one in zip(self.weights, answers, strict=True):
            found += weight * one
        return found


def blend_mean(n_members: int) -> Blend:
    return Blend((1 / n_members,) * n_members)


def blend_weighted(answers: Sequence[Floats], y: NDArray[np.float32]) -> Blend:
    """Weights by the inverse of each member's error on rows that it had not seen."""
    inverse = [1 / max(answer_error(one, y), _SETTLED) for one in answers]
    return Blend(tuple(one / sum(inverse) for one in inverse))


def blend_stacked(answers: Sequence[Floats], y: NDArray[np.float32]) -> Blend:
    """The weights of at least 0 with the least squares error on rows that no member had seen.

    A regression has a constant too; a classification's weights are brought to a sum of 1, so that probabilities stay
    such. Source: Breiman, Stacked Regressions, Machine Learning 24 (1996).
    """
    n_classes = answers[0].shape[1]
    if n_classes > 1:
        target = (y[:, None] == np.arange(n_classes)).astype(np.float64).ravel()
        weights = _least_squares(np.stack([one.ravel() for one in answers], axis=1), target)
        total = float(weights.sum())
        return Blend(tuple((weights / total).tolist())) if total > 0 else blend_mean(len(answers))
    A = np.concatenate(answers, axis=1)
    centre, mean = A.mean(axis=0), float(y.mean(dtype=np.float64))
    weights = _least_squares(A - centre, y.astype(np.float64) - mean)
    return Blend(tuple(weights.tolist()), mean - float(centre @ weights))


def _least_squares(A: Floats, b: Floats) -> Floats:
    """w float64 [m] ≥ 0 with the least |A w - b|², by coordinate descent; m is small. O(n · m² + passes · m²)."""
    gram, right = A.T @ A, A.T @ b
    w = np.zeros(A.shape[1])
    for _pass in range(_PASSES):
        before = w.copy()
        for j in np.flatnonzero(gram.diagonal() > 0):
            w[j] = max(0.0, w[j] + (right[j] - gram[j] @ w) / gram[j, j])
        if np.abs(w - before).max() <= _SETTLED * max(1.0, float(np.abs(w).max())):
            break
    return w
