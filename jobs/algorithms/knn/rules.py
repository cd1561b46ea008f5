"""What k-NN's hyperparameters ask of each other and of the data: pure functions over typed values.

Applied before submit with the dataset's profile, and again by the running job with what it has read, so both
say the same. Also decides the dimensions that follow from them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from jobs.algorithms.base import DataFacts
from mlplatform.core.text import text as _

PQ_M_VALUES: Final = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
PQ_N_CENTROIDS: Final = 256
"""Codes of product quantisation are one byte: k-means needs that many rows at least."""

INVERTED: Final = ("faiss.IVFFlat", "faiss.IVFPQ")
"""The index types that cluster the rows."""

Problem = tuple[str, str]


def rules(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    """Yields (hyperparameter, message) for every broken rule; what `facts` does not know is skipped."""
    yield from _label(values, facts)
    yield from _neighbours(values, facts)
    yield from _features(values, facts)
    yield from _reduction(values, facts)
    if values["index_type"] in INVERTED:
        yield from _lists(values, facts)
    if values["index_type"] == "faiss.HNSW32":
        yield from _graph(values)
    if values["index_type"] == "faiss.IVFPQ":
        yield from _quantiser(values, facts)


def feature_dim(values: Mapping[str, Any], facts: DataFacts) -> int | None:
    """Number of feature columns, from the data or else the hyperparameter; None while it is not known."""
    declared = values["feature_dim"]
    return facts.n_features if facts.n_features is not None or declared == "auto" else int(declared)


def reduced_dim(values: Mapping[str, Any], n_features: int) -> int:
    """Dimensions after projection; with IVFPQ the target is raised to a multiple of `faiss_index_pq_m`."""
    if values["dimension_reduction_type"] is None or values["dimension_reduction_target"] is None:
        return n_features
    target = int(values["dimension_reduction_target"])
    return _multiple(target, values["faiss_index_pq_m"]) if values["index_type"] == "faiss.IVFPQ" else target


def index_dim(values: Mapping[str, Any], n_features: int) -> int:
    """Dimensions in the index: as after projection, for IVFPQ padded to a multiple of `faiss_index_pq_m`."""
    reduced = reduced_dim(values, n_features)
    return (
        _multiple(reduced, values["faiss_index_pq_m"]) if values["index_type"] == "faiss.IVFPQ" else reduced
    )


def n_lists(values: Mapping[str, Any], n_sampled: int) -> int:
    """Clusters of an inverted index over `n_sampled` rows; `auto` is the square root of that number."""
    declared = values["faiss_index_ivf_nlists"]
    return max(1, math.isqrt(n_sampled)) if declared == "auto" else int(declared)


def _label(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    if values["predictor_type"] == "regressor" and facts.label_is_text:
        yield (
            "predictor_type",
            _(
                "regressor takes the mean of labels that are numbers; the label of the data is text: use classifier"
            ),
        )


def _neighbours(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    k, sample_size = values["k"], values["sample_size"]
    if k > sample_size:
        yield "k", _("{k} exceeds sample_size {n}; use a k from 1 to {n}", k=k, n=sample_size)
    elif facts.n_rows is not None and k > facts.n_rows:
        yield (
            "k",
            _("{k} exceeds the {n} rows of the train channel; use a k from 1 to {n}", k=k, n=facts.n_rows),
        )


def _features(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
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
    for position, kind in enumerate(facts.feature_types):
        if kind == "text":
            yield (
                "feature_dim",
                _(
                    "feature column {position} of the data is text; use columns of numbers only",
                    position=position,
                ),
            )
            return


def _reduction(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    kind, target = values["dimension_reduction_type"], values["dimension_reduction_target"]
    if kind is None:
        return
    n_features = feature_dim(values, facts)
    below = (
        _("a whole number from {low} to {high}", low=1, high=n_features - 1)
        if n_features
        else _("a whole number below feature_dim")
    )
    if n_features == 1:
        yield (
            "dimension_reduction_type",
            _("{kind} needs at least 2 feature columns, the data has 1; leave it out", kind=kind),
        )
    elif target is None:
        yield (
            "dimension_reduction_target",
            _(
                "is required when dimension_reduction_type is {kind}; use {accepted}",
                kind=kind,
                accepted=below,
            ),
        )
    elif n_features is not None and target >= n_features:
        yield (
            "dimension_reduction_target",
            _(
                "{target} is not less than feature_dim {n}; use {accepted}",
                target=target,
                n=n_features,
                accepted=below,
            ),
        )


def _lists(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    declared = values["faiss_index_ivf_nlists"]
    n_sampled = _n_sampled(values, facts)
    if declared != "auto" and declared > n_sampled:
        yield (
            "faiss_index_ivf_nlists",
            _(
                "{declared} clusters need as many rows, the sample has {n}; use 1 to {n} or 'auto'",
                declared=declared,
                n=n_sampled,
            ),
        )


def _graph(values: Mapping[str, Any]) -> Iterator[Problem]:
    """Largest products have no neighbourhood: a row that is near to nothing may be near to every question."""
    metric = values["index_metric"]
    if metric == "INNER_PRODUCT":
        yield (
            "index_metric",
            _(
                "{metric} does not go with index_type faiss.HNSW32; use L2, COSINE or another index_type",
                metric=metric,
            ),
        )


def _quantiser(values: Mapping[str, Any], facts: DataFacts) -> Iterator[Problem]:
    m, metric = values["faiss_index_pq_m"], values["index_metric"]
    if metric != "L2":
        yield (
            "index_metric",
            _(
                "{metric} does not go with index_type faiss.IVFPQ; use L2 or another index_type",
                metric=metric,
            ),
        )
    n_sampled = _n_sampled(values, facts)
    if n_sampled < PQ_N_CENTROIDS:
        yield (
            "index_type",
            _(
                "faiss.IVFPQ needs at least {needed} rows to train, the sample has {n}; "
                "use faiss.Flat or faiss.IVFFlat, or more rows",
                needed=PQ_N_CENTROIDS,
                n=n_sampled,
            ),
        )
    if m is None:
        listed = ", ".join(map(str, PQ_M_VALUES))
        yield (
            "faiss_index_pq_m",
            _("is required when index_type is faiss.IVFPQ; use one of {values}", values=listed),
        )
        return
    yield from _parts(values, feature_dim(values, facts))


def _parts(values: Mapping[str, Any], n_features: int | None) -> Iterator[Problem]:
    """How `faiss_index_pq_m` must fit the dimension: never more parts than numbers, and a raised target stays
    below.
    """
    m, target = values["faiss_index_pq_m"], values["dimension_reduction_target"]
    reduces = values["dimension_reduction_type"] is not None and target is not None
    if n_features is None or (reduces and target >= n_features):
        return
    dimension = target if reduces else n_features
    fitting = ", ".join(str(value) for value in PQ_M_VALUES if value <= dimension)
    if m > dimension:
        yield (
            "faiss_index_pq_m",
            _(
                "{m} parts cannot be cut from {n} dimensions; use one of {values}",
                m=m,
                n=dimension,
                values=fitting,
            ),
        )
    elif reduces and _multiple(target, m) >= n_features:
        yield (
            "faiss_index_pq_m",
            _(
                "{m} does not divide dimension_reduction_target {target}, and the next multiple, {next}, "
                "is not less than feature_dim {n}; use a divisor of the target, or another target",
                m=m,
                target=target,
                next=_multiple(target, m),
                n=n_features,
            ),
        )


def _n_sampled(values: Mapping[str, Any], facts: DataFacts) -> int:
    return int(values["sample_size"] if facts.n_rows is None else min(values["sample_size"], facts.n_rows))


def _multiple(dimension: int, m: int) -> int:
    return -(-dimension // m) * m
