"""Rules that every algorithm of numbers in columns has in common: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.algorithms.base import DataFacts
from mlplatform.core.text import text as _


def feature_dim_rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[tuple[str, str]]:
    """A hyperparameter `feature_dim` must be the number of columns that there are."""
    declared, found = values["feature_dim"], facts.n_features
    if declared != "auto" and found is not None and declared != found:
        yield (
            "feature_dim",
            _(
                "{declared} differs from the {n} feature columns of the data; use {n} or 'auto'",
                declared=declared,
                n=found,
            ),
        )


def number_labels_rules(hyperparameter: str, value: str, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """A regression, which `value` of this hyperparameter asks for, needs labels that are numbers."""
    if facts.label_is_text:
        yield (
            hyperparameter,
            _("{value} predicts a number; the label of the data is text: choose a classifier", value=value),
        )


def several_classes_rules(hyperparameter: str, value: str, facts: DataFacts) -> Iterator[tuple[str, str]]:
    """A classification, which `value` of this hyperparameter asks for, needs two labels that differ."""
    if facts.n_classes is not None and facts.n_classes < 2:
        yield (
            hyperparameter,
            _(
                "{value} tells classes apart; all labels of the train channel are the same: "
                "use data with two classes or more",
                value=value,
            ),
        )
