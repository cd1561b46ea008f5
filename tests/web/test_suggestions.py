"""What a new-job form is filled with."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.algorithms.registry import algorithm_get
from jobs.models import DatasetVersion
from mlplatform.web.forms.suggestions import hyperparameters_suggested


def suggested(kind: str, distinct: int, mapping: dict[str, int] | None = None) -> dict[str, str]:
    schema: dict[str, Any] = {"columns": ["x", "y"], "label": 1, "label_mapping": mapping}
    columns = [{"name": "x", "type": "fractional"}, {"name": "y", "type": kind, "distinct": distinct}]
    version = DatasetVersion(schema=schema, columns=columns, n_rows=4177, n_columns=2)
    return hyperparameters_suggested(algorithm_get("knn"), version)


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
