"""Batch transforms as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import TransformJob
from endpoints.selectors.transforms import transform_results
from jobs.runner.said import said_read
from mlplatform.api.presenters.instants import instant
from mlplatform.core.translation import translated


def transform_job_summary_json(job: TransformJob) -> dict[str, Any]:
    return {
        "name": job.name,
        "arn": job.arn,
        "status": job.status,
        "model": job.model.name,
        "dataset": job.dataset_reference or None,
        "uri": None if job.dataset_reference else job.uri,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "progress": job.progress,
        "failure_reason": _reason(job),
        "created_by": job.created_by.get_username(),
        "created_at": instant(job.created_at),
        "started_at": instant(job.started_at),
        "ended_at": instant(job.ended_at),
        "billable_s": job.billable_s,
    }


def transform_job_json(job: TransformJob, *, waiting_reason: str | None) -> dict[str, Any]:
    return transform_job_summary_json(job) | {
        "waiting_reason": translated(waiting_reason) if waiting_reason else None,
        "content_type": job.content_type,
        "split_type": job.split_type,
        "accept": job.accept or None,
        "batch_strategy": job.batch_strategy,
        "max_payload_mb": job.max_payload_mb,
        "max_concurrent": job.max_concurrent,
        "input_filter": job.input_filter,
        "output_filter": job.output_filter,
        "join": job.join,
        "max_runtime_s": job.max_runtime_s,
        "environment": job.environment,
        "tags": job.tags,
        "attempt": job.attempt,
        "failure": _failure(job),
        "result_uri": job.result_uri or None,
        "result_sha256": job.result_sha256 or None,
        "result_bytes": job.result_bytes,
        "results": [
            {"name": result.name, "uri": result.uri, "size_bytes": result.size_bytes}
            for result in transform_results(job=job)
        ],
    }


def _failure(job: TransformJob) -> dict[str, Any] | None:
    if not job.failure:
        return None
    return {
        "kind": job.failure.get("kind"),
        "reason": _reason(job),
        "row": job.failure.get("row"),
        "object": job.failure.get("object") or None,
        "log_tail": job.failure.get("log_tail") or [],
    }


def _reason(job: TransformJob) -> str | None:
    if not job.failure:
        return None
    reason = said_read(job.failure.get("said"), message=str(job.failure.get("reason") or ""))
    return translated(reason) or None
