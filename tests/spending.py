"""Rows of jobs, replicas and endpoints that have run, for tests of what they cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from endpoints.models import Endpoint, EndpointConfig, Model, ProductionVariant, ReplicaRun, TransformJob
from jobs.models import TrainingJob
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor


def job_made(actor: Actor, name: str, *, ended_at: datetime, seconds: float, **values: Any) -> TrainingJob:
    """A completed training job that ran so long before `ended_at`."""
    return TrainingJob.objects.create(
        **{
            "project": actor.project,
            "name": name,
            "uid": uid_new(),
            "algorithm": "xgboost",
            "instance_type": "ml.c5.xlarge",
            "queue": "cpu",
            "status": "Completed",
            "secondary_status": "Completed",
            "log": log_stream_create(),
            "created_by": actor.user,
            "created_at": ended_at - timedelta(seconds=seconds),
            "started_at": ended_at - timedelta(seconds=seconds),
            "ended_at": ended_at,
            "billable_s": round(seconds),
            **values,
        }
    )


def run_made(actor: Actor, *, started_at: datetime, ended_at: datetime | None, **values: Any) -> ReplicaRun:
    """The life of a model server of an endpoint that may be gone."""
    return ReplicaRun.objects.create(
        **{
            "project": actor.project,
            "endpoint_name": "gone",
            "endpoint_uid": "e" * 26,
            "variant": "AllTraffic",
            "replica_uid": uid_new(),
            "instance_type": "ml.m5.large",
            "started_at": started_at,
            "ready_at": started_at,
            "seen_at": ended_at or started_at,
            "ended_at": ended_at,
            **values,
        }
    )


def model_made(actor: Actor, name: str, *, at: datetime) -> Model:
    return Model.objects.create(
        project=actor.project,
        name=name,
        uid=uid_new(),
        algorithm="knn",
        artifact_uri="s3://x/y",
        artifact_sha256="0" * 64,
        artifact_bytes=1,
        created_by=actor.user,
        created_at=at,
    )


def endpoint_made(actor: Actor, name: str, *, at: datetime, **variant: Any) -> Endpoint:
    """In service with one variant."""
    config = EndpointConfig.objects.create(
        project=actor.project, name=name, created_by=actor.user, created_at=at
    )
    model = model_made(actor, name, at=at)
    ProductionVariant.objects.create(config=config, name="AllTraffic", model=model, **variant)
    return Endpoint.objects.create(
        project=actor.project,
        name=name,
        uid=uid_new(),
        status="InService",
        wanted=config,
        live=config,
        created_by=actor.user,
        created_at=at,
        updated_at=at,
    )


def transform_made(
    actor: Actor, name: str, *, model: Model, started_at: datetime, **values: Any
) -> TransformJob:
    return TransformJob.objects.create(
        **{
            "project": actor.project,
            "name": name,
            "uid": uid_new(),
            "model": model,
            "uri": "s3://x/rows.csv",
            "instance_type": "ml.m5.large",
            "queue": "cpu",
            "log": log_stream_create(),
            "created_by": actor.user,
            "created_at": started_at,
            "started_at": started_at,
            **values,
        }
    )
