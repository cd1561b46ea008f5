"""What k-NN's hyperparameters ask of each other and of the data, as told before submit."""

from __future__ import annotations

import pytest

from jobs.algorithms.base import DataFacts
from jobs.algorithms.knn.rules import index_dim, n_lists, reduced_dim
from jobs.algorithms.registry import algorithm_get
from mlplatform.core.errors import InvalidRequest

SPEC = algorithm_get("knn")
IRIS = DataFacts(n_rows=112, n_features=4, n_classes=3, feature_types=("fractional",) * 4)
COVERTYPE = DataFacts(n_rows=522_910, n_features=54, n_classes=7)


def given(**changes: str) -> dict[str, str]:
    return {"k": "10", "predictor_type": "classifier", "sample_size": "200000"} | changes


def problems(facts: DataFacts | None = None, **changes: str) -> dict[str, str]:
    try:
        SPEC.validate(given(**changes), facts)
    except InvalidRequest as error:
        return {problem.field.removeprefix("hyperparameters."): problem.message for problem in error.errors}
    return {}


def test_only_what_the_service_requires_is_required():
    values = SPEC.validate(given(), IRIS)
    assert values["feature_dim"] == "auto"
    assert values["index_type"] == "faiss.Flat"
    assert values["index_metric"] == "L2"
    assert values["faiss_index_ivf_nlists"] == "auto"
    assert values["mini_batch_size"] == 5000
    assert values["_faiss_index_nprobe"] == 5


@pytest.mark.parametrize(
    ("facts", "changes", "name", "said"),
    [
        (None, {"k": "0"}, "k", "at least 1"),
        (None, {"k": "11", "sample_size": "10"}, "k", "11 exceeds sample_size 10; use a k from 1 to 10"),
        (IRIS, {"k": "113"}, "k", "113 exceeds the 112 rows"),
        (IRIS, {"feature_dim": "5"}, "feature_dim", "5 differs from the 4 feature columns"),
        (None, {"predictor_type": "ranker"}, "predictor_type", "one of classifier, regressor"),
        (
            None,
            {"dimension_reduction_type": "sign"},
            "dimension_reduction_target",
            "is required when dimension_reduction_type is sign",
        ),
        (
            IRIS,
            {"dimension_reduction_type": "fjlt", "dimension_reduction_target": "4"},
            "dimension_reduction_target",
            "4 is not less than feature_dim 4; use a whole number from 1 to 3",
        ),
        (
            None,
            {"feature_dim": "9", "dimension_reduction_type": "fjlt", "dimension_reduction_target": "10"},
            "dimension_reduction_target",
            "10 is not less than feature_dim 9",
        ),
        (
            IRIS,
            {"index_type": "faiss.IVFFlat", "faiss_index_ivf_nlists": "113"},
            "faiss_index_ivf_nlists",
            "113 clusters need as many rows, the sample has 112",
        ),
        (
            None,
            {"index_type": "faiss.IVFFlat", "sample_size": "50", "faiss_index_ivf_nlists": "51"},
            "faiss_index_ivf_nlists",
            "use 1 to 50 or 'auto'",
        ),
        (
            COVERTYPE,
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "8", "index_metric": "COSINE"},
            "index_metric",
            "COSINE does not go with index_type faiss.IVFPQ",
        ),
        (
            COVERTYPE,
            {"index_type": "faiss.HNSW32", "index_metric": "INNER_PRODUCT"},
            "index_metric",
            "INNER_PRODUCT does not go with index_type faiss.HNSW32; use L2, COSINE or another index_type",
        ),
        (COVERTYPE, {"index_type": "faiss.IVFPQ"}, "faiss_index_pq_m", "is required"),
        (
            None,
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "5"},
            "faiss_index_pq_m",
            "one of 1, 2, 3, 4",
        ),
        (
            COVERTYPE,
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "56"},
            "faiss_index_pq_m",
            "56 parts cannot be cut from 54 dimensions",
        ),
        (
            IRIS,
            {"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "2"},
            "index_type",
            "needs at least 256 rows to train, the sample has 112",
        ),
        (
            COVERTYPE,
            {
                "index_type": "faiss.IVFPQ",
                "faiss_index_pq_m": "40",
                "dimension_reduction_type": "sign",
                "dimension_reduction_target": "50",
            },
            "faiss_index_pq_m",
            "40 does not divide dimension_reduction_target 50, and the next multiple, 80, is not less than",
        ),
        (
            DataFacts(n_rows=112, n_features=2, feature_types=("integral", "text")),
            {},
            "feature_dim",
            "feature column 1 of the data is text",
        ),
        (None, {"kk": "3"}, "kk", "did you mean 'k'?"),
        (None, {"sample_sise": "3"}, "sample_sise", "did you mean 'sample_size'?"),
        (None, {"zzzzzzzzzzzz": "3"}, "zzzzzzzzzzzz", "it has k, predictor_type"),
    ],
)
def test_a_broken_rule_names_the_hyperparameter_the_value_and_what_is_accepted(facts, changes, name, said):
    found = problems(facts, **changes)
    assert list(found) == [name]
    assert said in found[name]


def test_a_graph_has_no_clusters_to_ask_rows_for():
    assert problems(IRIS, index_type="faiss.HNSW32", faiss_index_ivf_nlists="113") == {}


def test_all_problems_are_told_at_once():
    assert set(problems(None, k="0", index_type="Flat", nonsense="1")) == {"k", "index_type", "nonsense"}


@pytest.mark.parametrize(
    "changes",
    [
        {"faiss_index_ivf_nlists": "100000000"},
        {"faiss_index_pq_m": "96"},
        {"dimension_reduction_target": "1000"},
    ],
)
def test_what_does_not_matter_for_the_index_type_is_not_checked(changes):
    assert problems(COVERTYPE, **changes) == {}


@pytest.mark.parametrize(
    ("changes", "reduced", "indexed"),
    [
        ({}, 54, 54),
        ({"index_type": "faiss.IVFPQ", "faiss_index_pq_m": "8"}, 54, 56),
        ({"dimension_reduction_type": "sign", "dimension_reduction_target": "20"}, 20, 20),
        (
            {
                "dimension_reduction_type": "sign",
                "dimension_reduction_target": "20",
                "index_type": "faiss.IVFPQ",
                "faiss_index_pq_m": "8",
            },
            24,
            24,
        ),
    ],
)
def test_dimensions_grow_to_a_multiple_of_the_parts(changes, reduced, indexed):
    values = SPEC.validate(given(**changes), COVERTYPE)
    assert (reduced_dim(values, 54), index_dim(values, 54)) == (reduced, indexed)


def test_automatic_lists_are_the_square_root_of_the_sample():
    values = SPEC.validate(given(index_type="faiss.IVFFlat"))
    assert n_lists(values, 200_000) == 447
    assert n_lists(values, 1) == 1
    assert n_lists(SPEC.validate(given(faiss_index_ivf_nlists="700")), 200_000) == 700
