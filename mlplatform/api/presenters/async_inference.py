"""Asynchronous inference as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.models import AsyncInvocation, EndpointConfig
from endpoints.services.async_config import async_request_of
from mlplatform.api.presenters.instants import instant


def async_inference_json(config: EndpointConfig | None) -> dict[str, Any] | None:
    asked = None if config is None else async_request_of(config)
    if asked is None:
        return None
    return {
        "output_uri": asked.output_uri,
        "failure_uri": asked.failure_uri,
        "max_concurrent_per_instance": asked.max_concurrent_per_instance,
    }


def async_accepted_json(row: AsyncInvocation) -> dict[str, Any]:
    return {
        "inference_id": row.inference_id,
        "output_uri": row.output_uri,
        "failure_uri": row.failure_uri,
    }


def async_invocation_json(row: AsyncInvocation) -> dict[str, Any]:
    return async_accepted_json(row) | {
        "status": row.status,
        "input_uri": row.input_uri,
        "input_bytes": row.input_bytes,
        "content_type": row.content_type or None,
        "accept": row.accept or None,
        "variant": row.target_variant or None,
        "timeout_s": row.timeout_s,
        "attempt": row.attempt,
        "output_bytes": row.output_bytes,
        "failure": row.failure,
        "model_ms": row.model_ms,
        "created_at": instant(row.created_at),
        "started_at": instant(row.started_at),
        "ended_at": instant(row.ended_at),
    }
