"""Training jobs as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from jobs.models import JobEvent, TrainingInput, TrainingJob
from jobs.selectors.training import MetricSeries
from jobs.services.scripts import ScriptRequest
from mlplatform.api.presenters.instants import instant
from mlplatform.api.presenters.numbers import finite
from mlplatform.api.presenters.sources import script_json
from mlplatform.core.translation import translated

_FAILURE_FIELDS = ("kind", "reason", "detail", "row", "column", "exit_code", "signal", "first_line")


def training_job_summary_json(job: TrainingJob) -> dict[str, Any]:
    return {
        "name": job.name,
        "arn": job.arn,
        "algorithm": job.algorithm,
        "status": job.status,
        "secondary_status": job.secondary_status,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "failure_reason": translated(job.failure_reason) or None,
        "final_metrics": {name: finite(value) for name, value in job.final_metrics.items()},
        "billable_s": job.billable_s,
        "price_per_hour": None if job.price_per_hour is None else float(job.price_per_hour),
        "currency": job.currency or None,
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "ended_at": instant(job.ended_at),
    }


def training_job_json(
    job: TrainingJob, *, events: Iterable[JobEvent], waiting_reason: str | None
) -> dict[str, Any]:
    return training_job_summary_json(job) | {
        "secondary_status_transitions": transitions(list(events), job),
        "waiting_reason": waiting_reason,
        "script": script_json(job),
        "output": _output(job),
        "input_bytes": job.input_bytes,
        "failure": _failure(job),
        "hyperparameters": job.hyperparameters,
        "channels": {found.channel: _channel(found) for found in job.inputs.all()},
        "queue": job.queue,
        "max_runtime_s": job.max_runtime_s,
        "metric_definitions": job.metric_definitions,
        "environment": job.environment,
        "tags": job.tags,
        "progress": {"fraction": job.progress.get("fraction"), "text": job.progress.get("text") or ""},
        "attempt": job.attempt,
        "artifact_uri": job.artifact_uri or None,
        "artifact_sha256": job.artifact_sha256 or None,
        "artifact_bytes": job.artifact_bytes,
        "cloned_from": job.cloned_from or None,
        "created_by": job.created_by.get_username(),
    }


def clone_request_json(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request as it is sent, with nothing that says where it came from."""
    script: ScriptRequest | None = request["script"]
    asked = {name: value for name, value in request.items() if name not in {"script", "cloned_from"}}
    if script is None:
        return asked
    del asked["algorithm"]
    return asked | {
        "script": {
            "framework": script.framework,
            "entry_point": script.entry_point,
            "source": script.source,
        }
    }


def transitions(events: list[JobEvent], job: TrainingJob) -> list[dict[str, Any]]:
    """Each secondary status with when it began and ended; the last one ends with the job."""
    changes = [event for event in events if event.secondary_status]
    ends = [later.at for _, later in pairwise(changes)] + [job.ended_at]
    return [
        {
            "status": event.secondary_status,
            "started_at": instant(event.at),
            "ended_at": instant(end),
            "message": event.message_shown,
        }
        for event, end in zip(changes, ends, strict=False)
    ]


def metric_series_json(series: MetricSeries) -> dict[str, Any]:
    return {
        "name": series.name,
        "n_points": series.n_points,
        "last": finite(series.last),
        "minimum": finite(series.minimum),
        "maximum": finite(series.maximum),
        "points": [[at_ms, step, finite(value)] for at_ms, step, value in series.points],
    }


def _failure(job: TrainingJob) -> dict[str, Any] | None:
    if not job.failure:
        return None
    return {name: job.failure.get(name) for name in _FAILURE_FIELDS} | {
        "reason": translated(job.failure_said),
        "log_tail": job.failure.get("log_tail") or [],
    }


def _output(job: TrainingJob) -> dict[str, Any] | None:
    if not job.output_uri:
        return None
    return {"uri": job.output_uri, "sha256": job.output_sha256, "size_bytes": job.output_bytes}


def _channel(found: TrainingInput) -> dict[str, Any]:
    return {
        "dataset": found.dataset_reference or None,
        "uri": found.uri,
        "content_type": found.content_type,
        "input_mode": found.input_mode,
    }
