"""Random projections to fewer dimensions that keep Euclidean distances and inner products, up to noise.

`sign`: a dense matrix of random signs (D. Achlioptas, "Database-friendly random projections", JCSS 66, 2003).
`fjlt`: random signs, Walsh-Hadamard transform, random choice of coordinates (N. Ailon and B. Chazelle, "The
fast Johnson-Lindenstrauss transform", SIAM J. Comput. 39, 2009; with the sampling of J. A. Tropp, "Improved
analysis of the subsampled randomized Hadamard transform", 2011).

An artifact stores only the seed, so the random bits come from PCG64's raw output, whose stream numpy
guarantees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Projection(Protocol):
    """Maps float32 [n, input_dim] to float32 [n, target_dim]."""

    def __call__(self, X: NDArray[np.float32]) -> NDArray[np.float32]: ...


def projection_build(kind: str, *, input_dim: int, target_dim: int, seed: int) -> Projection:
    """The projection `kind` (sign or fjlt) for that seed; the same arguments give the same projection
    everywhere.
    """
    if kind not in _KINDS:
        raise ValueError(f"dimension_reduction_type {kind!r} is not known; use one of {', '.join(_KINDS)}")
    if not 0 < target_dim < input_dim:
        raise ValueError(f"target_dim {target_dim} is not between 1 and {input_dim - 1}")
    return _KINDS[kind](input_dim=input_dim, target_dim=target_dim, seed=seed)


class SignProjection:
    """X @ S / sqrt(target_dim), S [input_dim, target_dim] of random signs. O(n · input_dim · target_dim)."""

    def __init__(self, *, input_dim: int, target_dim: int, seed: int) -> None:
        signs = _signs(np.random.PCG64(seed), input_dim * target_dim).reshape(input_dim, target_dim)
        self._matrix = signs / np.float32(np.sqrt(target_dim))

    def __call__(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        # einsum, not BLAS: a row's result must not depend on how many rows come with it.
        projected: NDArray[np.float32] = np.einsum("nd,dt->nt", X, self._matrix)
        return projected


class FastProjection:
    """Signs, Walsh-Hadamard transform, `target_dim` of the coordinates. O(n · input_dim · log(input_dim))."""

    def __init__(self, *, input_dim: int, target_dim: int, seed: int) -> None:
        bits = np.random.PCG64(seed)
        self._padded_dim = 1 << (input_dim - 1).bit_length()
        self._signs = _signs(bits, input_dim)
        self._chosen = np.sort(np.argsort(bits.random_raw(self._padded_dim), kind="stable")[:target_dim])
        self._scale = np.float32(1 / np.sqrt(target_dim))

    def __call__(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        spread = np.zeros((len(X), self._padded_dim), np.float32)
        spread[:, : X.shape[1]] = X * self._signs
        return hadamard(spread)[:, self._chosen] * self._scale


def hadamard(X: NDArray[np.float32]) -> NDArray[np.float32]:
    """The Walsh-Hadamard transform (natural order, not normalised) of each row; the row length is a power of
    two.
    """
    n, d = X.shape
    step = 1
    while step < d:
        pairs = X.reshape(n, d // (2 * step), 2, step)
        X = np.stack((pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]), axis=2).reshape(n, d)
        step *= 2
    return X


def _signs(bits: np.random.PCG64, n: int) -> NDArray[np.float32]:
    """`n` random signs, float32 -1 or 1."""
    words = np.atleast_1d(bits.random_raw(-(-n // 64))).astype("<u8")
    return np.unpackbits(words.view(np.uint8), count=n).astype(np.float32) * 2 - 1


_KINDS: dict[str, Callable[..., Projection]] = {"sign": SignProjection, "fjlt": FastProjection}
