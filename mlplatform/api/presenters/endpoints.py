"""Endpoints as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import reverse

from endpoints.models import Endpoint, EndpointConfig, Replica
from mlplatform.api.presenters.instants import instant
from mlplatform.api.presenters.logs import log_json
from mlplatform.core.logs import LogSlice
from mlplatform.core.translation import translated


def endpoint_summary_json(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "arn": endpoint.arn,
        "status": endpoint.status,
        "failure_reason": translated(endpoint.failure_reason) or None,
        "description": endpoint.description,
        "variants": _variants(endpoint.wanted),
        "serving": _variants(endpoint.live),
        "created_by": endpoint.created_by.get_username(),
        "created_at": instant(endpoint.created_at),
        "updated_at": instant(endpoint.updated_at),
        "in_service_at": instant(endpoint.in_service_at),
    }


def endpoint_json(
    endpoint: Endpoint, *, replicas: Sequence[Replica], waiting_reason: str | None
) -> dict[str, Any]:
    path = {"project": endpoint.project.name, "name": endpoint.name}
    return endpoint_summary_json(endpoint) | {
        "waiting_reason": waiting_reason,
        "failure": _failure(endpoint),
        "tags": endpoint.tags,
        "replicas": [replica_json(replica) for replica in replicas],
        "invocations_url": reverse("api:endpoint-invocations", kwargs=path),
    }


def replica_json(replica: Replica) -> dict[str, Any]:
    return {
        "uid": replica.uid,
        "variant": replica.variant.name,
        "model": replica.variant.model.name,
        "index": replica.index,
        "status": replica.status,
        "host": replica.host or None,
        "restarts": replica.restarts,
        "memory_bytes": replica.memory_bytes,
        "created_at": instant(replica.created_at),
        "ready_at": instant(replica.ready_at),
        "ended_at": instant(replica.ended_at),
    }


def replica_log_json(replica: Replica, piece: LogSlice) -> dict[str, Any]:
    return log_json(piece) | {
        "replica": replica.uid,
        "variant": replica.variant.name,
        "index": replica.index,
        "status": replica.status,
    }


def _variants(config: EndpointConfig | None) -> list[dict[str, Any]]:
    if config is None:
        return []
    return [
        {
            "name": variant.name,
            "model": variant.model.name,
            "instance_type": variant.instance_type,
            "instance_count": variant.instance_count,
            "weight": variant.weight,
        }
        for variant in config.variants.all()
    ]


def _failure(endpoint: Endpoint) -> dict[str, Any] | None:
    if not endpoint.failure:
        return None
    return {
        "reason": translated(endpoint.failure_reason),
        "detail": endpoint.failure.get("detail"),
        "log_tail": endpoint.failure.get("log_tail") or [],
    }
