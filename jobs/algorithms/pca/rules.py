"""What PCA's hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.algorithms.base import DataFacts
from jobs.algorithms.feature_rules import feature_dim_rules
from mlplatform.core.text import text as _


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    yield from feature_dim_rules(values, facts)
    n = values["num_components"]
    most = min((found for found in (facts.n_features, facts.n_rows) if found is not None), default=n)
    if n > most:
        yield (
            "num_components",
            _(
                "{n} exceeds what the data has, the smaller one of its rows and feature columns; use 1 to {most}",
                n=n,
                most=most,
            ),
        )
