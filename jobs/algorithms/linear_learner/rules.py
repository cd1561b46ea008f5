"""What linear-learner's hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.algorithms.base import DataFacts, LabelFacts, PredictorType
from jobs.algorithms.feature_rules import feature_dim_rules, number_labels_rules, several_classes_rules
from mlplatform.core.text import text as _

BINARY, MULTICLASS, REGRESSOR = "binary_classifier", "multiclass_classifier", "regressor"
PREDICTOR_TYPES: Final = (BINARY, MULTICLASS, REGRESSOR)

LOSSES: Final[Mapping[str, tuple[str, ...]]] = {
    BINARY: ("logistic", "hinge_loss"),
    MULTICLASS: ("softmax_loss",),
    REGRESSOR: ("squared_loss", "absolute_loss", "quantile_loss", "huber_loss"),
}
"""The losses of each predictor type; the first is what `auto` means."""

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    kind = values["predictor_type"]
    yield from feature_dim_rules(values, facts)
    yield from _classes(values, facts)
    if kind == REGRESSOR:
        yield from number_labels_rules("predictor_type", kind, facts)
    else:
        yield from several_classes_rules("predictor_type", kind, facts)
    if values["loss"] not in ("auto", *LOSSES[kind]):
        yield (
            "loss",
            _(
                "{loss} does not go with predictor_type {kind}; use auto, {accepted}",
                loss=values["loss"],
                kind=kind,
                accepted=", ".join(LOSSES[kind]),
            ),
        )
    if values["positive_example_weight_mult"] != 1 and kind != BINARY:
        yield (
            "positive_example_weight_mult",
            _("goes with predictor_type {kind} only; leave it out", kind=BINARY),
        )
    if values["balance_multiclass_weights"] == "true" and kind != MULTICLASS:
        yield (
            "balance_multiclass_weights",
            _("goes with predictor_type {kind} only; leave it out", kind=MULTICLASS),
        )


def loss_of(values: Mapping[str, Any]) -> str:
    found: str = values["loss"]
    return LOSSES[values["predictor_type"]][0] if found == "auto" else found


def predicts(values: Mapping[str, Any]) -> PredictorType | None:
    kind = values.get("predictor_type")
    if kind not in PREDICTOR_TYPES:
        return None
    return "regressor" if kind == REGRESSOR else "classifier"


def suggests(labels: LabelFacts) -> Mapping[str, str]:
    """A predictor type that fits the labels, with the number of classes as they are counted here."""
    if not labels.is_classes:
        return {"predictor_type": REGRESSOR}
    if labels.n_from_zero <= 2:
        return {"predictor_type": BINARY}
    return {"predictor_type": MULTICLASS, "num_classes": str(labels.n_from_zero)}


def _classes(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    kind, num_classes = values["predictor_type"], values["num_classes"]
    if kind != MULTICLASS:
        if num_classes is not None:
            yield "num_classes", _("goes with predictor_type {kind} only; leave it out", kind=MULTICLASS)
        if kind == BINARY and facts.n_classes is not None and facts.n_classes > 2:
            yield (
                "predictor_type",
                _(
                    "binary_classifier tells two classes apart, the data has {n}; use multiclass_classifier",
                    n=facts.n_classes,
                ),
            )
    elif num_classes is None:
        yield (
            "num_classes",
            _(
                "is required when predictor_type is {kind}; use the largest label plus one: "
                "classes are counted from 0",
                kind=kind,
            ),
        )
    elif facts.n_classes is not None and facts.n_classes > num_classes:
        yield (
            "num_classes",
            _(
                "{num_classes} is less than the {n} labels of the data; use the largest label plus one: "
                "classes are counted from 0",
                num_classes=num_classes,
                n=facts.n_classes,
            ),
        )
