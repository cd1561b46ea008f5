"""scikit-learn's random forests: the one module that imports them. Grows a forest and gives out its trees as arrays."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jobs.algorithms.lean_import import hidden, numpy_parts_later
from jobs.algorithms.random_forest.forest import Forest
from jobs.algorithms.random_forest.rules import CRITERIA

numpy_parts_later()
with hidden("pandas"):  # a quarter of the time, for data frames that nobody hands it
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

_PORTIONS: Final = 20
"""Times at which growing is interrupted to tell how far it is."""
_PASSED_ON: Final = (
    "max_depth",
    "min_samples_leaf",
    "min_samples_split",
    "max_leaf_nodes",
    "min_impurity_decrease",
    "ccp_alpha",
    "max_samples",
    "random_state",
)


def forest_grow(
    X: NDArray[np.float32],
    y: NDArray[np.float32],
    values: Mapping[str, Any],
    *,
    n_threads: int,
    on_grown: Callable[[int], None],
) -> Forest:
    """A forest as scikit-learn grows it in one go: the same seed gives the same trees.

    Args:
        values: The hyperparameters.
        on_grown: Given the number of trees now and then.
    """
    forest = _unfitted(values, n_threads)
    wanted = int(values["n_estimators"])
    portion = max(n_threads, -(-wanted // _PORTIONS))
    for n in range(portion, wanted + portion, portion):
        forest.set_params(n_estimators=min(n, wanted))
        with warnings.catch_warnings():
            # Class weights would be off if further trees saw other rows; these see the same.
            warnings.filterwarnings("ignore", message="class_weight presets", category=UserWarning)
            forest.fit(X, y)
        on_grown(min(n, wanted))
    labels = forest.classes_.astype(np.float32) if values["predictor_type"] == "classifier" else None
    return Forest.join([_arrays(tree.tree_) for tree in forest.estimators_], X.shape[1], labels)


def _unfitted(values: Mapping[str, Any], n_threads: int) -> Any:
    kind = values["predictor_type"]
    given = {name: values[name] for name in _PASSED_ON}
    criterion, share = values["criterion"], values["max_features"]
    given |= {
        "criterion": CRITERIA[kind][0] if criterion == "auto" else criterion,
        "bootstrap": values["bootstrap"] == "true",
        "n_jobs": n_threads,
        "warm_start": True,
    }
    if kind == "regressor":
        return RandomForestRegressor(max_features=1.0 if share == "auto" else share, **given)
    weight = None if values["class_weight"] == "none" else values["class_weight"]
    return RandomForestClassifier(
        max_features="sqrt" if share == "auto" else share, class_weight=weight, **given
    )


def _arrays(tree: Any) -> dict[str, NDArray[Any]]:
    return {
        "left": tree.children_left,
        "right": tree.children_right,
        "feature": tree.feature,
        "threshold": tree.threshold,
        "value": tree.value[:, 0, :],
    }
