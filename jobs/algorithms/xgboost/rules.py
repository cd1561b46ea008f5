"""What XGBoost's hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.algorithms.base import DataFacts
from jobs.algorithms.feature_rules import number_labels_rules, several_classes_rules
from jobs.algorithms.xgboost.objectives import (
    BINARY,
    METRICS,
    MULTICLASS,
    REGRESSION,
    metric_names,
    metrics_for,
)
from mlplatform.core.text import text as _

_PROBABILITIES: Final = ("binary:logistic", "binary:logitraw", "reg:logistic")

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    objective = values["objective"]
    if objective in REGRESSION:
        yield from number_labels_rules("objective", objective, facts)
    else:
        yield from several_classes_rules("objective", objective, facts)
    yield from _classes(values, facts)
    yield from _metrics(values)
    base_score = values["base_score"]
    if objective in _PROBABILITIES and base_score is not None and not 0 < base_score < 1:
        yield (
            "base_score",
            _(
                "{value} is no probability, as {objective} needs one; use a number between 0 and 1, or leave it out",
                value=f"{base_score:g}",
                objective=objective,
            ),
        )
    yield from _trees(values)


def _classes(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    objective, num_class = values["objective"], values["num_class"]
    if objective not in MULTICLASS:
        if num_class is not None:
            yield (
                "num_class",
                _("goes with {objectives} only; leave it out", objectives=" / ".join(MULTICLASS)),
            )
        if objective in BINARY and facts.n_classes is not None and facts.n_classes > 2:
            yield (
                "objective",
                _(
                    "{objective} tells two classes apart, the data has {n}; use multi:softmax or multi:softprob",
                    objective=objective,
                    n=facts.n_classes,
                ),
            )
        return
    if num_class is None:
        yield (
            "num_class",
            _(
                "is required when objective is {objective}; use the largest label plus one: "
                "classes are counted from 0",
                objective=objective,
            ),
        )
    elif facts.n_classes is not None and facts.n_classes > num_class:
        yield (
            "num_class",
            _(
                "{num_class} is less than the {n} labels of the data; use the largest label plus one: "
                "classes are counted from 0",
                num_class=num_class,
                n=facts.n_classes,
            ),
        )


def _metrics(values: Mapping[str, Any]) -> Iterator[Problem]:
    accepted = metrics_for(values["objective"])
    for name in metric_names(values["eval_metric"]):
        if name in accepted:
            continue
        listed = ", ".join(accepted)
        if name in METRICS:
            message = _(
                "{name} does not go with objective {objective}; use {accepted}",
                name=name,
                objective=values["objective"],
                accepted=listed,
            )
        else:
            message = _("{name} is not accepted; use {accepted}", name=repr(name[:40]), accepted=listed)
        yield "eval_metric", message


def _trees(values: Mapping[str, Any]) -> Iterator[Problem]:
    if values["max_depth"] == 0 and values["max_leaves"] == 0 and values["grow_policy"] == "lossguide":
        yield "max_leaves", _("must be at least 2 where max_depth is 0, which sets no limit")
    if values["tree_method"] == "exact" and values["grow_policy"] == "lossguide":
        yield "grow_policy", _("lossguide does not go with tree_method exact; use hist")
    if values["tree_method"] == "exact" and values["max_depth"] == 0:
        yield "max_depth", _("must be at least 1 with tree_method exact")
