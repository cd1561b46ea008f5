"""What random-forest's hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.algorithms.base import DataFacts
from jobs.algorithms.feature_rules import number_labels_rules, several_classes_rules
from mlplatform.core.text import text as _

CRITERIA: Final[Mapping[str, tuple[str, ...]]] = {
    "classifier": ("gini", "entropy", "log_loss"),
    "regressor": ("squared_error", "absolute_error", "friedman_mse", "poisson"),
}
"""The criteria of each predictor type; the first is what `auto` means."""

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    kind = values["predictor_type"]
    if kind == "regressor":
        yield from number_labels_rules("predictor_type", kind, facts)
    else:
        yield from several_classes_rules("predictor_type", kind, facts)
    if values["criterion"] not in ("auto", *CRITERIA[kind]):
        yield (
            "criterion",
            _(
                "{criterion} does not go with predictor_type {kind}; use auto, {accepted}",
                criterion=values["criterion"],
                kind=kind,
                accepted=", ".join(CRITERIA[kind]),
            ),
        )
    if values["class_weight"] != "none" and kind != "classifier":
        yield "class_weight", _("goes with predictor_type classifier only; leave it out")
    if values["max_samples"] is not None and values["bootstrap"] == "false":
        yield "max_samples", _("goes with bootstrap true only; leave it out")
