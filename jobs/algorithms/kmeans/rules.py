"""What k-means' hyperparameters ask of each other and of the data: pure functions over typed values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.algorithms.base import DataFacts
from jobs.algorithms.feature_rules import feature_dim_rules
from mlplatform.core.text import text as _


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[tuple[str, str]]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    yield from feature_dim_rules(values, facts)
    k = values["k"]
    if facts.n_rows is not None and k > facts.n_rows:
        yield (
            "k",
            _("{k} exceeds the {n} rows of the train channel; use a k from 1 to {n}", k=k, n=facts.n_rows),
        )
    elif k > values["mini_batch_size"]:
        yield (
            "mini_batch_size",
            _("{n} is less than k {k}; use at least {k}", n=values["mini_batch_size"], k=k),
        )
