"""What an ensemble's hyperparameters ask of each other, of its members and of the data: pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from jobs.algorithms.base import DataFacts, LabelFacts, PredictorType
from jobs.algorithms.ensemble.members import (
    CLASSIFIER,
    KINDS,
    REGRESSOR,
    kind_hyperparameters,
    member_field,
    member_values,
    members_parse,
)
from jobs.algorithms.feature_rules import number_labels_rules, several_classes_rules
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

BLENDS: Final = ("mean", "weighted", "stacked")

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    try:
        members = members_parse(values["members"])
    except ValueError as error:
        yield "members", text_of(error)
        return
    if values["task"] == REGRESSOR:
        yield from number_labels_rules("task", REGRESSOR, facts)
    else:
        yield from several_classes_rules("task", CLASSIFIER, facts)
    yield from _folds(values, facts)
    yield from _weights(values, len(members))
    yield from _unused(values, {member.kind for member in members})
    n_classes = None if values["task"] == REGRESSOR else max(2, facts.n_classes or 2)
    known = replace(facts, n_classes=n_classes and facts.n_classes, label_is_text=False)
    for member in members:
        own = member_values(member, values, n_classes=n_classes)
        for name, message in member.spec.rules(own, known):
            yield member_field(member, name, values), message


def weights_parse(text: str) -> tuple[float, ...]:
    """Weights that are given, brought to a sum of 1. Raises ValueError."""
    found = tuple(float(part) for part in text.split(","))
    if not all(math.isfinite(one) and one >= 0 for one in found) or not 0 < sum(found) < math.inf:
        raise ValueError(text)
    return tuple(one / sum(found) for one in found)


def predicts(values: Mapping[str, Any]) -> PredictorType | None:
    found = values.get("task")
    return found if found in (CLASSIFIER, REGRESSOR) else None


def suggests(labels: LabelFacts) -> Mapping[str, str]:
    """A task that fits the labels."""
    return {"task": CLASSIFIER if labels.is_classes else REGRESSOR}


def _folds(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    n_folds = values["n_folds"]
    if n_folds == 1:
        yield "n_folds", _("one fold leaves nothing to learn from; use at least 2, or 0 for none")
    elif facts.n_rows is not None and n_folds > facts.n_rows:
        yield "n_folds", _("{n_folds} exceeds the {n} rows of the data", n_folds=n_folds, n=facts.n_rows)
    elif (
        n_folds == 0
        and values["blend"] != "mean"
        and not (values["blend"] == "weighted" and values["weights"])
    ):
        yield (
            "n_folds",
            _(
                "blend {blend} learns from cross-validated predictions; use at least 2 folds",
                blend=values["blend"],
            ),
        )


def _weights(values: Mapping[str, Any], n_members: int) -> Iterator[Problem]:
    text = values["weights"]
    if text is None:
        return
    if values["blend"] != "weighted":
        yield "weights", _("goes with blend weighted only; leave it out")
        return
    try:
        n_weights = len(weights_parse(text))
    except ValueError:
        n_weights = 0
    if n_weights != n_members:
        yield (
            "weights",
            _(
                "{text} is not accepted; use {n} numbers of at least 0 separated by commas, one for each member",
                text=repr(text[:40]),
                n=n_members,
            ),
        )


def _unused(values: Mapping[str, Any], kinds: set[str]) -> Iterator[Problem]:
    """A value for a kind that is no member would be silently without effect."""
    absent = [kind for kind in KINDS if kind not in kinds]
    for declared in kind_hyperparameters():
        kind = declared.name.partition("__")[0]
        if kind in absent and values.get(declared.name) != declared.default:
            yield declared.name, _("no member is of the kind {kind}; leave it out", kind=kind)
