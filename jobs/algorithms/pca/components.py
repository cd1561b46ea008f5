"""Principal components, batch by batch. Pure numpy, float64.

regular: the eigenvectors of the covariance, summed around the first batch's mean so that large offsets do not cancel;
memory d². randomized: Halko, Martinsson and Tropp, "Finding structure with randomness" (2011), in one pass: the
covariance is only ever multiplied with the random directions, so memory is d × directions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_EXTRA_LEAST: Final = 10


@dataclass(frozen=True)
class Components:
    """mean float64 [d]; vectors float64 [d, c], the one that keeps most first; deviations float64 [c]: of the training
    rows along each.
    """

    mean: Floats
    vectors: Floats
    deviations: Floats


class CovarianceSum:
    """Sums of one pass: of rows, and of their products with each other or with random directions.

    Args:
        directions: float64 [d, m]; None for all products.
    """

    def __init__(self, shift: Floats, directions: Floats | None) -> None:
        d = len(shift)
        self._shift, self._directions = shift, directions
        self._products = np.zeros((d, d if directions is None else directions.shape[1]))
        self._sum = np.zeros(d)
        self.n = 0

    def add(self, X: NDArray[np.float32]) -> None:
        rows = X - self._shift
        self._products += rows.T @ (rows if self._directions is None else rows @ self._directions)
        self._sum += rows.sum(axis=0)
        self.n += len(rows)

    def components(self, n: int, *, subtract_mean: bool) -> Components:
        """The first `n`. Their signs are such that the largest entry of each is positive."""
        offset = self._sum / self.n
        mean = self._shift + offset if subtract_mean else np.zeros_like(self._shift)
        other = np.eye(len(offset)) if self._directions is None else self._directions
        products = self._products
        if subtract_mean:
            products = products - self.n * np.outer(offset, offset @ other)
        squares, vectors = _eigen(products / max(1, self.n - 1), self._directions)
        order = np.argsort(-squares, kind="stable")[:n]
        vectors = vectors[:, order]
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(order))]
        signs = np.where(largest < 0, -1.0, 1.0)
        return Components(mean, vectors * signs, np.sqrt(np.maximum(squares[order], 0)))


def directions_draw(n_features: int, n_components: int, extra: int, seed: int) -> Floats:
    """Random orthogonal directions float64 [d, min(d, n_components + extra)]; extra -1: as many again, at least 10."""
    extra = max(_EXTRA_LEAST, n_components) if extra < 0 else extra
    m = min(n_features, n_components + extra)
    random = np.random.default_rng(seed).normal(size=(n_features, m))
    found: Floats = np.linalg.qr(random)[0]
    return found


def _eigen(products: Floats, directions: Floats | None) -> tuple[Floats, Floats]:
    """Eigenvalues and vectors of the covariance; of its product with directions, near ones (Nyström)."""
    if directions is None:
        values, vectors = np.linalg.eigh(products)
        return values, vectors
    core = directions.T @ products
    values, vectors = np.linalg.eigh((core + core.T) / 2)
    good = values > values.max(initial=0) * 1e-12
    if not good.any():
        return np.zeros(directions.shape[1]), directions
    half = products @ (vectors[:, good] / np.sqrt(values[good]))
    left, singular, _right = np.linalg.svd(half, full_matrices=False)
    missing = directions.shape[1] - len(singular)
    if missing:
        rest = np.linalg.qr(np.concatenate([left, directions], axis=1))[0][:, len(singular) :][:, :missing]
        return np.concatenate([singular**2, np.zeros(missing)]), np.concatenate([left, rest], axis=1)
    return singular**2, left
