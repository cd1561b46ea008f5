"""What CatBoost's hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.algorithms.base import DataFacts
from jobs.algorithms.catboost.losses import REGRESSION, metrics_for
from jobs.algorithms.feature_rules import number_labels_rules, several_classes_rules
from mlplatform.core.text import text as _

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    loss = values["loss_function"]
    if loss in REGRESSION:
        yield from number_labels_rules("loss_function", loss, facts)
    else:
        yield from several_classes_rules("loss_function", loss, facts)
    if loss == "Logloss" and facts.n_classes is not None and facts.n_classes > 2:
        yield (
            "loss_function",
            _("Logloss tells two classes apart, the data has {n}; use MultiClass", n=facts.n_classes),
        )
    metric = values["eval_metric"]
    if metric is not None and metric not in metrics_for(loss):
        yield (
            "eval_metric",
            _(
                "{name} does not go with {loss}; use {accepted}",
                name=metric,
                loss=loss,
                accepted=", ".join(metrics_for(loss)),
            ),
        )
    yield from _trees(values)


def _trees(values: Mapping[str, Any]) -> Iterator[Problem]:
    policy = values["grow_policy"]
    if values["min_data_in_leaf"] is not None and policy == "SymmetricTree":
        yield "min_data_in_leaf", _("goes with grow_policy Depthwise and Lossguide only; leave it out")
    if values["max_leaves"] is not None and policy != "Lossguide":
        yield "max_leaves", _("goes with grow_policy Lossguide only; leave it out")
    if values["boosting_type"] == "Ordered" and policy != "SymmetricTree":
        yield "boosting_type", _("Ordered goes with grow_policy SymmetricTree only; use Plain")
    if values["subsample"] is not None and values["bootstrap_type"] not in ("Bernoulli", "MVS"):
        yield (
            "subsample",
            _("goes with bootstrap_type Bernoulli and MVS only; choose one of them or leave it out"),
        )
    if values["bagging_temperature"] is not None and values["bootstrap_type"] != "Bayesian":
        yield "bagging_temperature", _("goes with bootstrap_type Bayesian only; choose it or leave this out")
    if values["scale_pos_weight"] is not None and values["loss_function"] != "Logloss":
        yield "scale_pos_weight", _("goes with loss_function Logloss only; leave it out")
