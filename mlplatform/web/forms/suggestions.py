"""What a new-job form opened for a dataset is filled with: values that fit the data, for a person to change."""

from __future__ import annotations

from jobs.algorithms.base import AlgorithmSpec
from jobs.models import DatasetVersion
from jobs.selectors.label_facts import label_facts


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
    return found | dict(spec.suggests(label_facts(version)))
