"""One row through XGBoost's trees, by hand. Pure numpy; imports no XGBoost.

What XGBoost does around its trees for a single row takes 0.05 ms when everything is in the processor's caches and
0.2 ms when it is not. Here all trees go down one level at a time together, and their leaves are added as XGBoost adds
them: in float32, one tree after the other, beginning with the base score, so that the sums are the same to the bit.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

DEPTH_MAX: Final = 20
"""Every level of the deepest tree costs 1.7 µs: up to so many it is faster even for a single tree and a processor whose
caches hold everything."""


class OtherModel(ValueError):
    """A model of another kind than is answered by hand."""


class BoostedTrees:
    """Trees that ask whether a number is below a threshold, and the objective that makes an answer of their sums.

    All nodes are in a row, level by level from the roots, two siblings side by side: from a node one goes to
    `_left[node]`, or one further. A leaf has itself, and a threshold that nothing is above. The base score is a tree
    that has only a leaf.

    Args:
        model: What XGBoost's UBJSON (or JSON) says, as of version 3.

    Raises:
        OtherModel: See there.
        KeyError, IndexError, TypeError, ValueError: The model is not as XGBoost 3 writes it.
    """

    def __init__(self, model: Mapping[str, Any]) -> None:
        learner = model["learner"]
        objective = learner["objective"]["name"]
        if objective not in _ANSWERS:
            raise OtherModel(f"the objective is {objective}")
        to_margin, self._answer = _ANSWERS[objective]
        values = learner["learner_model_param"]
        self.n_features = int(values["num_feature"])
        n_groups = max(1, int(values["num_class"]))
        if int(values.get("num_target", 1)) != 1 or (n_groups > 1) != objective.startswith("multi:"):
            raise OtherModel("several numbers are answered that are no classes")
        bases = np.array([to_margin(base) for base in _base_scores(values, n_groups)], np.float32)
        nodes, roots = _nodes_and_roots(learner["gradient_booster"], bases)
        self._shape = (n_groups, len(roots) // n_groups)
        self._lay_out(nodes, roots)

    def scores(self, row: Floats) -> Floats:
        """What the objective answers: float32 [1], or [1, c] with multi:softprob.

        Args:
            row: float32 [d]. NaN is a missing value.
        """
        if len(row) != self.n_features:
            raise ValueError(f"the row has {len(row)} values, not {self.n_features}")
        asked = row[self._columns]
        if math.isnan(np.minimum.reduce(asked)):
            half = len(asked) // 2
            missing = np.isnan(asked)
            asked[:half][missing[:half]] = np.inf
            asked[half:][missing[half:]] = -np.inf
        nodes = self._root_left + (asked[self._root_place] >= self._root_threshold)
        for _ in range(self._n_further_levels):
            goes_right = asked[self._place[nodes]] >= self._threshold[nodes]
            nodes = self._left[nodes] + goes_right
        leaves = self._value[nodes].reshape(self._shape)
        return self._answer(np.add.accumulate(leaves, axis=1)[:, -1])

    def probes(self, n: int) -> Floats:
        """Rows float32 [n, d] of thresholds, of numbers just below and above, and of missing values."""
        questions = np.flatnonzero(~np.isnan(self._threshold))
        rows = np.zeros((n, self.n_features), np.float32)
        beside = (np.float32(-np.inf), np.float32(np.inf))
        for number, row in enumerate(rows):
            asked = questions[number::n]
            found = self._threshold[asked]
            if number % 3:
                found = np.nextafter(found, beside[number % 3 - 1])
            row[self._columns[self._place[asked]]] = found
            if number % 4 == 3:
                row[number % 5 :: 5] = np.nan
        return rows

    def _lay_out(self, nodes: _Nodes, roots: NDArray[np.intp]) -> None:
        order, n_levels = _by_levels(nodes, roots)
        position = np.zeros(len(nodes.left), np.intp)
        position[order] = np.arange(len(order))
        asks = nodes.is_question[order]
        self._left = np.where(asks, position[nodes.left[order]], np.arange(len(order)))
        self._threshold = np.where(asks, nodes.threshold[order], np.float32(np.nan))
        self._value = nodes.value[order]
        used, place = np.unique(np.where(asks, nodes.column[order], 0), return_inverse=True)
        if used[-1] >= self.n_features:
            raise ValueError(f"a tree asks for column {used[-1]} of {self.n_features}")
        # Every column comes twice: where a missing value goes right, and where it goes left.
        self._columns = np.concatenate((used, used))
        self._place = place + len(used) * nodes.default_left[order]
        self._root_left = self._left[: len(roots)]
        self._root_place, self._root_threshold = self._place[: len(roots)], self._threshold[: len(roots)]
        self._n_further_levels = max(0, n_levels - 1)


@dataclass(frozen=True)
class _Nodes:
    """All trees' nodes in a row, and after them the base scores, each a leaf; arrays of [m].

    Args:
        left, right: The children of a question, else the node itself.
        value: What a leaf adds.
        default_left: Where a missing value goes.
    """

    is_question: NDArray[np.bool_]
    left: NDArray[np.intp]
    right: NDArray[np.intp]
    column: NDArray[np.intp]
    threshold: Floats
    value: Floats
    default_left: NDArray[np.bool_]


def _nodes_and_roots(booster: Mapping[str, Any], bases: Floats) -> tuple[_Nodes, NDArray[np.intp]]:
    """And the first nodes: of each group the base score's and then its trees' in their order."""
    content, weights = _trees_and_weights(booster)
    trees, groups = content["trees"], np.asarray(content["tree_info"], np.intp)
    if any(int(tree["tree_param"]["size_leaf_vector"]) > 1 for tree in trees):
        raise OtherModel("a leaf has several numbers")
    n_nodes = [len(tree["left_children"]) for tree in trees]
    starts = np.cumsum([0, *n_nodes], dtype=np.intp)
    first = np.repeat(starts[:-1], n_nodes)
    left, right = (_joined(trees, f"{side}_children", np.intp) for side in ("left", "right"))
    is_question = left >= 0
    conditions = _joined(trees, "split_conditions", np.float32)
    if (_joined(trees, "split_type", np.uint8)[is_question] != 0).any():
        raise OtherModel("the model asks for categories")
    if not np.isfinite(conditions[is_question]).all():
        raise OtherModel("a threshold is not finite")
    leaves = conditions
    if weights is not None:  # as XGBoost's `inplace_predict` adds a tree of dart
        base = np.repeat(bases[groups], n_nodes)
        leaves = ((base + conditions) - base) * np.repeat(np.asarray(weights, np.float32), n_nodes)
    n = len(bases)
    nodes = np.arange(starts[-1] + n)
    own = nodes[-n:]
    is_question = np.append(is_question, np.zeros(n, bool))
    found = _Nodes(
        is_question=is_question,
        left=np.where(is_question, np.append(left + first, own), nodes),
        right=np.where(is_question, np.append(right + first, own), nodes),
        column=np.append(_joined(trees, "split_indices", np.intp), np.zeros(n, np.intp)),
        threshold=np.append(conditions, bases),
        value=np.append(leaves, bases),
        default_left=np.append(_joined(trees, "default_left", np.bool_), np.zeros(n, bool)),
    )
    return found, _roots(starts[:-1], own, groups)


def _joined(trees: Sequence[Mapping[str, Any]], name: str, dtype: Any) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, dtype), *(tree[name] for tree in trees)]).astype(dtype)


def _roots(starts: NDArray[np.intp], bases: NDArray[np.intp], groups: NDArray[np.intp]) -> NDArray[np.intp]:
    n_of_each = np.bincount(groups, minlength=len(bases))
    if len(n_of_each) != len(bases) or len(starts) != len(groups) or (n_of_each != n_of_each[0]).any():
        raise ValueError(f"{len(starts)} trees do not belong to {len(bases)} groups alike")
    own = starts[np.argsort(groups, kind="stable")].reshape(len(bases), -1)
    return np.concatenate((bases[:, np.newaxis], own), axis=1).ravel()


def _by_levels(nodes: _Nodes, roots: NDArray[np.intp]) -> tuple[NDArray[np.intp], int]:
    """The nodes that can be reached, those of a level side by side, and how many levels ask a question."""
    levels, n_found = [roots], len(roots)
    while len(asking := levels[-1][nodes.is_question[levels[-1]]]):
        if len(levels) > DEPTH_MAX:
            raise OtherModel(f"a tree is deeper than {DEPTH_MAX}")
        levels.append(np.stack((nodes.left[asking], nodes.right[asking]), axis=1).ravel())
        n_found += len(levels[-1])
        if n_found > len(nodes.left):
            raise ValueError("a node has several parents")
    return np.concatenate(levels), len(levels) - 1


def _trees_and_weights(booster: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[float] | None]:
    name = booster["name"]
    if name == "dart":
        return booster["gbtree"]["model"], booster["weight_drop"]
    if name != "gbtree":
        raise OtherModel(f"the booster is {name}")
    return booster["model"], None


def _base_scores(values: Mapping[str, Any], n_groups: int) -> list[float]:
    found = json.loads(values["base_score"])  # "[5E-1]", or "5E-1" before version 3.1
    bases = [float(np.float32(base)) for base in (found if isinstance(found, list) else [found])]
    return bases * n_groups if len(bases) == 1 else bases


# ---- objectives: what a base score is as a sum, and what a sum is as an answer, in XGBoost's single precision

_LOGISTIC_POWER_MAX: Final = float(np.float32(88.7))
"""XGBoost's own, so that the power is finite."""
_POWER_END: Final = math.log(np.finfo(np.float32).max)


def _itself(base: float) -> float:
    return base


def _logit(base: float) -> float:
    return -math.log(np.float32(1) / np.float32(base) - np.float32(1))


def _sums(sums: Floats) -> Floats:
    return sums


def _logistic(sums: Floats) -> Floats:
    power = np.float32(math.exp(min(-float(sums[0]), _LOGISTIC_POWER_MAX)))
    return np.array((1 / (power + np.float32(1)),), np.float32)


def _exponential(sums: Floats) -> Floats:
    x = float(sums[0])
    return np.array((math.exp(x) if x < _POWER_END else np.inf,), np.float32)


def _is_positive(sums: Floats) -> Floats:
    return (sums > 0).astype(np.float32)


def _softmax(sums: Floats) -> Floats:
    powers = np.exp((sums - sums.max()).astype(np.float64)).astype(np.float32)
    found: Floats = powers / np.float32(powers.sum(dtype=np.float64))
    return found[np.newaxis]


def _largest(sums: Floats) -> Floats:
    return np.array((sums.argmax(),), np.float32)


_ANSWERS: Final[Mapping[str, tuple[Callable[[float], float], Callable[[Floats], Floats]]]] = {
    **dict.fromkeys(
        ("reg:squarederror", "reg:squaredlogerror", "reg:pseudohubererror", "reg:absoluteerror"),
        (_itself, _sums),
    ),
    "binary:logitraw": (_itself, _sums),
    "binary:hinge": (_itself, _is_positive),
    **dict.fromkeys(("binary:logistic", "reg:logistic"), (_logit, _logistic)),
    **dict.fromkeys(("count:poisson", "reg:gamma", "reg:tweedie"), (math.log, _exponential)),
    "multi:softprob": (_itself, _softmax),
    "multi:softmax": (_itself, _largest),
}
