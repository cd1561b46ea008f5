"""What a new-job form opened for a dataset is filled with: values that fit the data, for a person to change."""

from __future__ import annotations

from typing import Any

from jobs.algorithms.base import AlgorithmSpec
from jobs.models import DatasetVersion

CLASSES_MAX = 20
"""Whole numbers with more values than that are rather amounts, such as rings of a shell, than classes."""


def hyperparameters_suggested(spec: AlgorithmSpec, version: DatasetVersion) -> dict[str, str]:
    """Values of hyperparameters that follow from the data, and examples for required ones without a default."""
    found = {
        declared.name: str(declared.example)
        for declared in spec.hyperparameters
        if declared.required and declared.default is None and declared.example is not None
    }
    facts = {
        "feature_dim": str(version.n_columns - (version.label_name is not None)),
        "sample_size": str(version.n_rows),
        "predictor_type": _predictor_type(version),
    }
    declared_names = {declared.name for declared in spec.hyperparameters}
    found |= {name: value for name, value in facts.items() if name in declared_names}
    return found


def _predictor_type(version: DatasetVersion) -> str:
    label: dict[str, Any] = next((one for one in version.columns if one["name"] == version.label_name), {})
    distinct = label.get("distinct") or 0
    few_numbers = label.get("type") in {"integral", "boolean"} and distinct <= CLASSES_MAX
    return "classifier" if version.schema.get("label_mapping") or few_numbers else "regressor"
