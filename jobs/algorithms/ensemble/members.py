"""The members of an ensemble: which kinds there are, how they are named, and the hyperparameters that are theirs.

A member is a model of another built-in algorithm. Its hyperparameters are that algorithm's own, under prefixed names
(`xgboost__eta`); those that follow from the ensemble's task, data and seed are not asked for. Imports nothing heavy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.catboost.spec import SPEC as CATBOOST
from jobs.algorithms.hyperparameters import Hyperparameter
from jobs.algorithms.knn.spec import SPEC as KNN
from jobs.algorithms.linear_learner.spec import SPEC as LINEAR_LEARNER
from jobs.algorithms.random_forest.spec import SPEC as RANDOM_FOREST
from jobs.algorithms.xgboost.spec import SPEC as XGBOOST
from mlplatform.core.text import text as _

KINDS: Final[Mapping[str, AlgorithmSpec]] = {
    spec.name: spec for spec in (XGBOOST, CATBOOST, LINEAR_LEARNER, RANDOM_FOREST, KNN)
}
TAKE_MISSING: Final = ("xgboost", "catboost")
"""Kinds that take a missing value as it is."""
MOST: Final = 20
"""Members that an ensemble has at most."""

REGRESSOR, CLASSIFIER = "regressor", "classifier"
_OF_TASK: Final = {
    REGRESSOR: frozenset({"reg:squarederror", "RMSE", "regressor"}),
    CLASSIFIER: frozenset(
        {
            "binary:logistic",
            "multi:softprob",
            "Logloss",
            "MultiClass",
            "classifier",
            "binary_classifier",
            "multiclass_classifier",
        }
    ),
}
"""What members learn for each task, under the names that they have for it."""
_FOLLOWS: Final = (
    "objective",
    "num_class",
    "loss_function",
    "predictor_type",
    "num_classes",
    "feature_dim",
    "seed",
    "random_seed",
    "random_state",
    "_seed",
    "eval_metric",
    "early_stopping_rounds",
)
"""Not asked for: they follow from the task, the data and the seed, or need a channel that members do not have."""
_SEEDS: Final = ("seed", "random_seed", "random_state", "_seed")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True)
class Member:
    """One member.

    Args:
        name: That logs and answers have for it.
        nth: How many of its kind come before it, from which its seed differs.
    """

    name: str
    kind: str
    nth: int = 0

    @property
    def spec(self) -> AlgorithmSpec:
        return KINDS[self.kind]


def members_parse(text: str) -> tuple[Member, ...]:
    """The members of a list such as `xgboost, deep=xgboost, catboost`; a kind's second is called `<kind>-2`.

    Raises:
        ValueError: Saying what would be accepted.
    """
    found: list[Member] = []
    for item in (item.strip() for item in text.split(",")):
        name, equals, kind = (part.strip() for part in item.rpartition("="))
        if kind not in KINDS:
            raise ValueError(
                _(
                    "{item} is no kind of member; use a comma-separated list of {kinds}",
                    item=repr(item[:40]),
                    kinds=", ".join(KINDS),
                )
            )
        nth = sum(member.kind == kind for member in found)
        if not equals:
            name = kind if nth == 0 else f"{kind}-{nth + 1}"
        if not _NAME.fullmatch(name) or (name in KINDS and name != kind):
            raise ValueError(
                _(
                    "{name} cannot name a member; use up to 32 small letters, digits and hyphens, and no other "
                    "kind's name",
                    name=repr(name[:40]),
                )
            )
        if name in (member.name for member in found):
            raise ValueError(_("{name} names two members; give each a name of its own", name=repr(name)))
        found.append(Member(name, kind, nth))
    if len(found) > MOST:
        raise ValueError(_("{n} members are too many; use {most} at most", n=len(found), most=MOST))
    return tuple(found)


def kind_hyperparameters() -> tuple[Hyperparameter, ...]:
    """Of every kind, under prefixed names: relevant where the kind is a member."""
    return tuple(
        replace(one, name=f"{kind}__{one.name}", default=_default(one), required=False, relevant_if=relevant)
        for kind, spec in KINDS.items()
        for one, relevant in _own(spec)
    )


def named_hyperparameters(given: Mapping[str, str]) -> Sequence[Hyperparameter]:
    """Of the members whose name is no kind, for one member alone: without a value, its kind's holds."""
    try:
        members = members_parse(str(given.get("members", "")))
    except ValueError:
        return ()
    return tuple(
        replace(one, name=f"{member.name}__{one.name}", default=None, required=False, relevant_if=None)
        for member in members
        if member.name not in KINDS
        for one, _relevant in _own(member.spec)
    )


def member_values(member: Member, values: Mapping[str, Any], *, n_classes: int | None) -> dict[str, Any]:
    """The typed hyperparameters that a job of the member's own would have.

    Args:
        values: Of the ensemble.
        n_classes: None for a regression.
    """
    found = {one.name: one.default for one in member.spec.hyperparameters}
    for name in found:
        for prefix in (member.kind, member.name):
            value = values.get(f"{prefix}__{name}")
            found[name] = found[name] if value is None else value
    for name in _SEEDS:
        if name in found:
            found[name] = (int(values["seed"]) + member.nth) % 2**31
    return found | _learns(member.kind, n_classes)


def member_field(member: Member, name: str, values: Mapping[str, Any]) -> str:
    """The ensemble's hyperparameter that stands for one of a member's."""
    if name in _FOLLOWS:
        return "members"
    own = f"{member.name}__{name}"
    return own if values.get(own) is not None else f"{member.kind}__{name}"


def _learns(kind: str, n_classes: int | None) -> dict[str, Any]:
    several = n_classes is not None and n_classes > 2
    if kind == "xgboost":
        if n_classes is None:
            return {"objective": "reg:squarederror"}
        return (
            {"objective": "multi:softprob", "num_class": n_classes}
            if several
            else {"objective": "binary:logistic"}
        )
    if kind == "catboost":
        if n_classes is None:
            return {"loss_function": "RMSE"}
        return {"loss_function": "MultiClass" if several else "Logloss"}
    if n_classes is None:
        return {"predictor_type": REGRESSOR}
    if kind != "linear-learner":
        return {"predictor_type": CLASSIFIER}
    if several:
        return {"predictor_type": "multiclass_classifier", "num_classes": n_classes}
    return {"predictor_type": "binary_classifier"}


def _default(declared: Hyperparameter) -> Any:
    return declared.example if declared.required and declared.default is None else declared.default


def _own(spec: AlgorithmSpec) -> Iterator[tuple[Hyperparameter, dict[str, tuple[str, ...]]]]:
    """Those of a kind that are asked for, with what they are relevant to."""
    for one in spec.hyperparameters:
        if one.hidden or one.name in _FOLLOWS:
            continue
        relevant: dict[str, tuple[str, ...]] = {"members": (spec.name,)}
        for name, wanted in (one.relevant_if or {}).items():
            if name in _FOLLOWS:
                relevant["task"] = tuple(task for task, learned in _OF_TASK.items() if learned & {*wanted})
            else:
                relevant[f"{spec.name}__{name}"] = wanted
        if relevant.get("task", True):
            yield one, relevant
