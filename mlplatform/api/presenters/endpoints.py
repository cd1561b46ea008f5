"""Endpoints as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.urls import reverse

from endpoints.models import Endpoint, EndpointConfig, ProductionVariant, Replica
from endpoints.selectors.costs import endpoint_cost
from endpoints.selectors.data_capture import data_capture_of
from endpoints.selectors.replica_logs import ReplicaLog
from endpoints.selectors.replica_runs import ElasticState
from endpoints.services.serverless import serverless_of
from mlplatform.api.presenters.async_inference import async_inference_json
from mlplatform.api.presenters.costs import cost_json
from mlplatform.api.presenters.data_capture import data_capture_json
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
        "async_inference": async_inference_json(endpoint.wanted),
        "created_by": endpoint.created_by.get_username(),
        "created_at": instant(endpoint.created_at),
        "updated_at": instant(endpoint.updated_at),
        "in_service_at": instant(endpoint.in_service_at),
    }


def endpoint_json(
    endpoint: Endpoint,
    *,
    replicas: Sequence[Replica],
    elastic: Sequence[ElasticState],
    waiting_reason: str | None,
) -> dict[str, Any]:
    path = {"project": endpoint.project.name, "name": endpoint.name}
    return endpoint_summary_json(endpoint) | {
        "elastic": [_elastic(state) for state in elastic],
        "waiting_reason": waiting_reason,
        "failure": _failure(endpoint),
        "tags": endpoint.tags,
        "replicas": [replica_json(replica) for replica in replicas],
        "data_capture": data_capture_json(endpoint, data_capture_of(endpoint=endpoint)),
        "cost": cost_json(endpoint_cost(endpoint)),
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


def replica_log_json(found: ReplicaLog, piece: LogSlice) -> dict[str, Any]:
    return log_json(piece) | {
        "replica": found.uid,
        "variant": found.variant,
        "index": found.index,
        "status": found.status,
        "ended_at": instant(found.ended_at),
    }


def _variants(config: EndpointConfig | None) -> list[dict[str, Any]]:
    if config is None:
        return []
    return [
        {
            "name": variant.name,
            "model": variant.model.name,
            "instance_type": variant.instance_type or None,
            "instance_count": None if variant.serverless_memory_mb else variant.instance_count,
            "weight": variant.weight,
            "serverless": _serverless(variant),
            "idle_after_s": variant.idle_after_s,
        }
        for variant in config.variants.all()
    ]


def _serverless(variant: ProductionVariant) -> dict[str, Any] | None:
    asked = serverless_of(variant)
    return None if asked is None else asdict(asked)


def _elastic(state: ElasticState) -> dict[str, Any]:
    return {
        "variant": state.variant.name,
        "asleep": state.asleep,
        "n_ready": state.n_ready,
        "n_starting": state.n_starting,
        "n_most": state.n_most,
        "vcpus": state.vcpus,
        "requested_at": instant(state.variant.requested_at),
        "sleeps_at": instant(state.sleeps_at),
    }


def _failure(endpoint: Endpoint) -> dict[str, Any] | None:
    if not endpoint.failure:
        return None
    return {
        "reason": translated(endpoint.failure_reason),
        "detail": endpoint.failure.get("detail"),
        "log_tail": endpoint.failure.get("log_tail") or [],
    }
