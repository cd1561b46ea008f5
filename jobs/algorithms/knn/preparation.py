"""From the user's feature columns to the vectors in the index: projection, normalisation, padding.

Training and serving share it, so a question is treated exactly as the rows it is compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.knn.projection import Projection, projection_build
from jobs.algorithms.knn.rules import index_dim, reduced_dim

_LARGEST: Final = np.float32(1e15)
"""Larger magnitudes are taken as this one, so that squared distances stay finite in float32."""


@dataclass(frozen=True)
class Preparation:
    """What is done to each row, in this order.

    Args:
        feature_dim: Columns that come in.
        reduction: `sign`, `fjlt`, or None for no projection.
        reduced_dim: Columns after it.
        normalize: Scale each row to length 1 (metric COSINE). A row of zeros has no direction and stays zero.
        index_dim: Columns that go out, padded with zeros.
        seed: Of the projection.
    """

    feature_dim: int
    reduction: str | None
    reduced_dim: int
    normalize: bool
    index_dim: int
    seed: int
    _project: Projection | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        project = None
        if self.reduction is not None:
            project = projection_build(
                self.reduction, input_dim=self.feature_dim, target_dim=self.reduced_dim, seed=self.seed
            )
        object.__setattr__(self, "_project", project)

    @classmethod
    def from_values(cls, values: Mapping[str, Any], *, n_features: int) -> Preparation:
        """As the hyperparameters ask for data of `n_features` columns."""
        return cls(
            feature_dim=n_features,
            reduction=values["dimension_reduction_type"],
            reduced_dim=reduced_dim(values, n_features),
            normalize=values["index_metric"] == "COSINE",
            index_dim=index_dim(values, n_features),
            seed=values["_seed"],
        )

    def __call__(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [n, feature_dim] to C-contiguous float32 [n, index_dim]; O(n · d) without projection."""
        X = np.clip(X, -_LARGEST, _LARGEST)
        if self._project is not None:
            X = self._project(X)
        if self.normalize:
            X = _unit(X)
        if self.index_dim > X.shape[1]:
            X = np.pad(X, ((0, 0), (0, self.index_dim - X.shape[1])))
        return np.ascontiguousarray(X, np.float32)


def _unit(X: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.sqrt(np.einsum("ij,ij->i", X, X, dtype=np.float64))
    lengths[lengths == 0] = 1
    unit: NDArray[np.float32] = (X / lengths[:, None]).astype(np.float32)
    return unit
