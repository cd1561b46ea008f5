"""Evaluations as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import Evaluation
from jobs.runner.said import said_text
from mlplatform.api.presenters.instants import instant
from mlplatform.core.status import EvaluationStatus
from mlplatform.core.translation import translated

_RESULTS = ("quality", "latency", "labels", "confusions", "classes")


def evaluation_summary_json(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "name": evaluation.name,
        "status": evaluation.status,
        "endpoint": evaluation.endpoint_name,
        "endpoint_exists": evaluation.endpoint_id is not None,
        "variant": evaluation.variant or None,
        "model": evaluation.model_name or None,
        "training_job": evaluation.training_job_name or None,
        "instance_type": evaluation.instance_type or None,
        "dataset": evaluation.dataset_reference,
        "k_max": evaluation.k_max,
        "batches": evaluation.batches,
        "single_requests": evaluation.single_requests,
        "progress": _progress(evaluation),
        "summary": evaluation.summary,
        "failure_reason": translated(evaluation.failure) or None,
        "created_by": evaluation.created_by.get_username(),
        "created_at": instant(evaluation.created_at),
        "started_at": instant(evaluation.started_at),
        "ended_at": instant(evaluation.ended_at),
    }


def _progress(evaluation: Evaluation) -> dict[str, Any]:
    """What was told last; of a completed one nothing is left to do, whatever was told before the end."""
    told: dict[str, Any] = evaluation.progress
    if told and evaluation.status == EvaluationStatus.COMPLETED:
        return {**told, "fraction": 1.0, "eta_s": None}
    return told


def evaluation_json(evaluation: Evaluation, *, waiting_reason: str | None) -> dict[str, Any]:
    result = evaluation.result or {}
    return evaluation_summary_json(evaluation) | {
        "waiting_reason": translated(waiting_reason) if waiting_reason else None,
        "facts": evaluation.facts,
        "tags": evaluation.tags,
        "attempt": evaluation.attempt,
        **{name: result.get(name) for name in _RESULTS},
        "warnings": [translated(said_text(warning)) for warning in result.get("warnings") or []],
    }
