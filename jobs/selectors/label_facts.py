"""What the labels of a dataset look like, from its profile: what a form is filled with, and what a script predicts."""

from __future__ import annotations

from typing import Any

from jobs.algorithms.base import LabelFacts, PredictorType
from jobs.models import DatasetVersion

CLASSES_MAX = 20
"""Whole numbers with more values than that are rather amounts, such as rings of a shell, than classes."""


def label_facts(version: DatasetVersion) -> LabelFacts:
    """Those of a dataset without a label are of no class and no value."""
    label: dict[str, Any] = next((one for one in version.columns if one["name"] == version.label_name), {})
    distinct, mapping = label.get("distinct") or 0, version.schema.get("label_mapping")
    largest = max(mapping.values()) if mapping else label.get("max")
    few_numbers = label.get("type") in {"integral", "boolean"} and distinct <= CLASSES_MAX
    return LabelFacts(
        is_classes=bool(mapping) or few_numbers,
        n_distinct=len(mapping) if mapping else distinct,
        largest=largest if isinstance(largest, int | float) else None,
    )


def predictor_type_of(version: DatasetVersion) -> PredictorType | None:
    """What a model of these labels predicts; None for a dataset without a label."""
    if version.schema.get("label") is None:
        return None
    return "classifier" if label_facts(version).is_classes else "regressor"
