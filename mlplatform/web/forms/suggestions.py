"""What a new-job form opened for a dataset is filled with: values that fit the data, for a person to change."""

from __future__ import annotations

from typing import Any

from jobs.algorithms.base import AlgorithmSpec, LabelFacts
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
    }
    declared_names = {declared.name for declared in spec.hyperparameters}
    found |= {name: value for name, value in facts.items() if name in declared_names}
    return found | dict(spec.suggests(_labels(version)))


def _labels(version: DatasetVersion) -> LabelFacts:
    label: dict[str, Any] = next((one for one in version.columns if one["name"] == version.label_name), {})
    distinct, mapping = label.get("distinct") or 0, version.schema.get("label_mapping")
    largest = max(mapping.values()) if mapping else label.get("max")
    few_numbers = label.get("type") in {"integral", "boolean"} and distinct <= CLASSES_MAX
    return LabelFacts(
        is_classes=bool(mapping) or few_numbers,
        n_distinct=len(mapping) if mapping else distinct,
        largest=largest if isinstance(largest, int | float) else None,
    )
