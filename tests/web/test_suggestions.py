"""What a new-job form is filled with."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.algorithms.base import DataFacts
from jobs.algorithms.registry import ALGORITHMS, algorithm_get
from jobs.models import DatasetVersion
from mlplatform.web.forms.suggestions import hyperparameters_suggested


def suggested(
    kind: str, distinct: int, mapping: dict[str, int] | None = None, *, algorithm: str = "knn", **label: Any
) -> dict[str, str]:
    schema: dict[str, Any] = {"columns": ["x", "y"], "label": 1, "label_mapping": mapping}
    columns = [
        {"name": "x", "type": "fractional"},
        {"name": "y", "type": kind, "distinct": distinct, **label},
    ]
    version = DatasetVersion(schema=schema, columns=columns, n_rows=4177, n_columns=2)
    return hyperparameters_suggested(algorithm_get(algorithm), version)


@pytest.mark.parametrize(
    ("kind", "distinct", "mapping", "predictor_type"),
    [
        ("text", 3, {"F": 0, "I": 1, "M": 2}, "classifier"),
        ("text", 100, {str(n): n for n in range(100)}, "classifier"),
        ("boolean", 2, None, "classifier"),
        ("integral", 7, None, "classifier"),
        ("integral", 28, None, "regressor"),
        ("fractional", 3, None, "regressor"),
    ],
)
def test_few_whole_numbers_are_classes_and_many_are_amounts(
    kind: str, distinct: int, mapping: dict[str, int] | None, predictor_type: str
) -> None:
    assert suggested(kind, distinct, mapping)["predictor_type"] == predictor_type


def test_the_facts_of_the_data_are_taken() -> None:
    found = suggested("integral", 7)
    assert (found["feature_dim"], found["sample_size"]) == ("1", "4177")


SPECIES = {"setosa": 0, "versicolor": 1, "virginica": 2}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("kind", "distinct", "mapping", "largest"),
    [
        ("text", 3, SPECIES, None),
        ("boolean", 2, None, None),
        ("integral", 2, None, 1),
        ("integral", 7, None, 7),
        ("fractional", 300, None, 9.5),
    ],
)
def test_what_is_suggested_can_be_trained_with(
    algorithm: str, kind: str, distinct: int, mapping: dict[str, int] | None, largest: float | None
) -> None:
    spec = algorithm_get(algorithm)
    found = suggested(kind, distinct, mapping, algorithm=algorithm, max=largest)
    if algorithm == "pca":
        found["num_components"] = "1"  # of the one column
    facts = DataFacts(n_rows=4177, n_features=1, n_classes=distinct, label_is_text=mapping is not None)
    spec.validate(found, facts)
    if spec.label != "none":
        classes = kind != "fractional"
        assert spec.predictor_type(found) == ("classifier" if classes else "regressor")


def test_classes_are_counted_from_zero_where_the_library_does() -> None:
    assert suggested("integral", 7, algorithm="xgboost", min=1, max=7)["num_class"] == "8"
    assert suggested("text", 3, SPECIES, algorithm="linear-learner")["num_classes"] == "3"
