"""A grown forest as arrays: all nodes of all trees in a row. Pure numpy; answers what scikit-learn would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_BLOCK: Final = 2**18
"""Rows are answered in blocks of so many rows × trees, so that memory stays bounded."""


@dataclass(frozen=True)
class Forest:
    """Trees of which row `roots[t]` of the arrays is the root of tree t.

    Args:
        roots: int32 [t].
        children: int32 [m, 2], left and right; a leaf has itself, so that a walk may go on for ever.
        feature: int32 [m], 0 for a leaf.
        threshold: float64 [m]; a row goes left where its feature is not larger.
        value: float64 [m, c]: shares of the labels, or c = 1 and the mean.
        labels: float32 [c], ascending; None for a regressor.
        depth: Steps that lead from any root to a leaf.
    """

    roots: NDArray[np.int32]
    children: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]
    labels: NDArray[np.float32] | None
    n_features: int
    depth: int

    @classmethod
    def join(
        cls,
        trees: Sequence[Mapping[str, NDArray[Any]]],
        n_features: int,
        labels: NDArray[np.float32] | None,
    ) -> Forest:
        """Of trees as scikit-learn has them: left, right (-1 in a leaf), feature, threshold, value."""
        sizes = [len(tree["left"]) for tree in trees]
        roots = np.cumsum([0, *sizes[:-1]]).astype(np.int32)
        children = np.concatenate([_children(tree, root) for tree, root in zip(trees, roots, strict=True)])
        value = np.concatenate([tree["value"] for tree in trees]).astype(np.float64)
        if labels is not None:
            value = value / value.sum(axis=1, keepdims=True)
        return cls(
            roots=roots,
            children=children,
            feature=np.maximum(np.concatenate([tree["feature"] for tree in trees]), 0).astype(np.int32),
            threshold=np.concatenate([tree["threshold"] for tree in trees]).astype(np.float64),
            value=value,
            labels=labels,
            n_features=n_features,
            depth=_depth(roots, children),
        )

    def values(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean over the trees of what their leaves say, float64 [n, c]."""
        n_rows = max(1, _BLOCK // len(self.roots))
        starts = range(0, max(1, len(X)), n_rows)  # no rows are one empty block
        return np.concatenate([self._block(X[start : start + n_rows]) for start in starts])

    def _block(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        nodes = np.tile(self.roots, (len(X), 1))
        rows = np.arange(len(X))[:, None]
        for _step in range(self.depth):
            goes_right = X[rows, self.feature[nodes]] > self.threshold[nodes]
            nodes = self.children[nodes, goes_right.astype(np.int8)]
        found: NDArray[np.float64] = self.value[nodes].sum(axis=1) / len(self.roots)
        return found


def _children(tree: Mapping[str, NDArray[Any]], root: int) -> NDArray[np.int32]:
    own = np.arange(len(tree["left"]))
    pairs = [np.where(tree[side] < 0, own, tree[side]) for side in ("left", "right")]
    return (np.stack(pairs, axis=1) + root).astype(np.int32)


def _depth(roots: NDArray[np.int32], children: NDArray[np.int32]) -> int:
    """Steps until nobody moves any more."""
    depth, nodes = 0, roots
    while True:
        below = np.unique(children[nodes])
        below = below[children[below, 0] != below] if len(below) else below
        inner = nodes[children[nodes, 0] != nodes]
        if not len(inner):
            return depth
        depth, nodes = depth + 1, below
