"""Experiments and presets as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from endpoints.experiment_presets import Preset
from endpoints.models import Experiment, ExperimentCell
from endpoints.selectors.costs import experiment_cost
from endpoints.selectors.experiment_tables import cell_cost_per_million_rows
from endpoints.selectors.experiments import ExperimentDeletion
from jobs.selectors.prices import instance_types_priced
from mlplatform.api.presenters.costs import cost_json
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated

_ASKED = (
    "hyperparameters",
    "configurations",
    "sample_sizes",
    "instance_types",
    "training_instance_type",
    "parallelism",
    "unserved",
    "k_max",
    "batches",
    "single_requests",
    "tags",
)
_COUNTS = ("n_cells", "n_completed", "n_failed", "n_ended")


def experiment_summary_json(experiment: Experiment) -> dict[str, Any]:
    """An experiment as the selectors give it, with its counts."""
    return {
        "name": experiment.name,
        "status": experiment.status,
        "description": experiment.description,
        "preset": experiment.preset or None,
        "algorithm": experiment.algorithm,
        "train": experiment.train_reference,
        "test": experiment.test_reference,
        **{name: getattr(experiment, name) for name in _COUNTS},
        "created_by": experiment.created_by.get_username(),
        "created_at": instant(experiment.created_at),
        "ended_at": instant(experiment.ended_at),
    }


def experiment_json(experiment: Experiment, *, cells: Iterable[ExperimentCell]) -> dict[str, Any]:
    prices = {instance_type.name: instance_type.price_per_hour for instance_type in instance_types_priced()}
    return experiment_summary_json(experiment) | {
        **{name: getattr(experiment, name) for name in _ASKED},
        "cost": cost_json(experiment_cost(experiment)),
        "cells": [cell_json(cell) | {"price_per_hour": prices.get(cell.instance_type)} for cell in cells],
    }


def cell_json(cell: ExperimentCell) -> dict[str, Any]:
    evaluation = cell.evaluation
    return {
        "number": cell.position,
        "configuration": cell.configuration,
        "sample_size": cell.sample_size,
        "instance_type": cell.instance_type,
        "hyperparameters": cell.hyperparameters,
        "status": cell.status,
        "attempt": cell.attempt,
        "waiting_reason": translated(cell.waiting) or None,
        "failure_reason": translated(cell.failure) or None,
        "training_job": cell.training_job.name if cell.training_job else None,
        "model": cell.model.name if cell.model else None,
        "endpoint": cell.endpoint.name if cell.endpoint else None,
        "evaluation": evaluation.name if evaluation else None,
        "progress": evaluation.progress if evaluation else None,
        "summary": evaluation.summary if evaluation else None,
        "price_per_million_rows": cell_cost_per_million_rows(evaluation),
        "started_at": instant(cell.started_at),
        "ended_at": instant(cell.ended_at),
    }


def experiment_deletion_json(deletion: ExperimentDeletion) -> dict[str, Any]:
    return asdict(deletion) | {"kept_models": list(deletion.kept_models)}


def preset_json(preset: Preset) -> dict[str, Any]:
    return {
        "name": preset.name,
        "title": translated(preset.title),
        "summary": translated(preset.summary),
        "sample": preset.sample or None,
        **preset.request(),
    }
