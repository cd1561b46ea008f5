"""Models as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endpoints.models import Endpoint, Model
from endpoints.selectors.models import model_labels
from jobs.algorithms.registry import SCRIPT
from mlplatform.api.presenters.instants import instant


def model_summary_json(model: Model) -> dict[str, Any]:
    return {
        "name": model.name,
        "arn": model.project.arn("model", model.name),
        "algorithm": model.algorithm,
        "framework": model.framework or None,
        "training_job": model.training_job.name if model.training_job else None,
        "artifact_bytes": model.artifact_bytes,
        "description": model.description,
        "created_by": model.created_by.get_username(),
        "created_at": instant(model.created_at),
    }


def model_json(model: Model, *, endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    return model_summary_json(model) | {
        "script": _script_json(model),
        "artifact_uri": model.artifact_uri,
        "artifact_sha256": model.artifact_sha256,
        "environment": model.environment,
        "labels": model_labels(model=model),
        "manifest": model.manifest,
        "endpoints": [endpoint.name for endpoint in endpoints],
    }


def _script_json(model: Model) -> dict[str, Any] | None:
    if model.algorithm != SCRIPT:
        return None
    facts = model.manifest.get("script") or {}
    return {
        "entry_point": model.entry_point or None,
        "source": model.source.uid if model.source else None,
        "handlers": facts.get("handlers", []),
        "files": facts.get("files", []),
    }
