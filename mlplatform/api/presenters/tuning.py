"""Tuning jobs, their trials and what matters in them as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobs.models import TuningJob, TuningTrial
from jobs.selectors.tuning_importance import Importance
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated

WARM_TRIALS_SHOWN = 20
_COUNTS = ("n_trials", "n_valued", "n_active", "n_failed")
_ASKED = (
    "max_runtime_s",
    "early_stopping",
    "hyperband",
    "completion",
    "random_seed",
    "warm_start",
    "static_hyperparameters",
    "metric_definitions",
    "instance_type",
    "instance_count",
    "job_max_runtime_s",
    "environment",
    "tags",
)


def tuning_job_summary_json(job: TuningJob) -> dict[str, Any]:
    """A tuning job as the selectors give it, with its counts."""
    return {
        "name": job.name,
        "arn": job.arn,
        "status": job.status,
        "description": job.description,
        "strategy": job.strategy,
        "algorithm": job.algorithm,
        "objective_metric": job.objective_metric,
        "objective_type": job.objective_type,
        "max_jobs": job.max_jobs,
        "max_parallel_jobs": job.max_parallel_jobs,
        **{name: getattr(job, name) for name in _COUNTS},
        "best_training_job": _best(job.best_trial),
        "waiting_reason": translated(job.waiting) or None,
        "failure_reason": translated(job.failure) or None,
        "ended_because": translated(job.ended_because) or None,
        "created_by": job.created_by.get_username(),
        "created_at": instant(job.created_at),
        "ended_at": instant(job.ended_at),
    }


def tuning_job_json(job: TuningJob, *, counts: Mapping[str, int]) -> dict[str, Any]:
    return tuning_job_summary_json(job) | {
        **{name: getattr(job, name) for name in _ASKED},
        "trial_status_counts": dict(counts),
        "ranges": [_range(found) for found in job.ranges],
        "warm_trials": job.warm_trials[:WARM_TRIALS_SHOWN],
        "n_warm_trials": len(job.warm_trials),
        "script": _script(job),
        "channels": {name: _channel(given) for name, given in job.channels.items()},
    }


def tuning_trial_json(trial: TuningTrial) -> dict[str, Any]:
    job = trial.training_job
    return {
        "number": trial.number,
        "status": trial.status,
        "value": trial.value,
        "hyperparameters": trial.parameters,
        "training_job": job.name if job else None,
        "training_job_status": job.status if job else None,
        "explanation": translated(trial.explanation) or None,
        "billable_s": job.billable_s if job else None,
        "created_at": instant(trial.created_at),
        "started_at": instant(trial.started_at),
        "ended_at": instant(trial.ended_at),
    }


def tuning_importance_json(found: Importance) -> dict[str, Any]:
    return {
        "importance": found.values,
        "evaluator": found.evaluator or None,
        "n_trials": found.n_trials,
        "reason": translated(found.reason) or None,
    }


def _best(trial: TuningTrial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    return {
        "name": trial.training_job.name if trial.training_job else None,
        "number": trial.number,
        "value": trial.value,
        "hyperparameters": trial.parameters,
    }


def _range(found: Mapping[str, Any]) -> dict[str, Any]:
    names = ("name", "type", "min", "max", "scaling", "step", "values")
    return {name: found.get(name) for name in names} | {"chosen": found.get("chosen", found.get("scaling"))}


def _script(job: TuningJob) -> dict[str, Any] | None:
    if job.source is None:
        return None
    return {"framework": job.framework, "entry_point": job.entry_point, "source": job.source.uid}


def _channel(given: Mapping[str, Any]) -> dict[str, Any]:
    names = ("dataset", "uri", "content_type", "input_mode")
    return {name: given.get(name) for name in names}
