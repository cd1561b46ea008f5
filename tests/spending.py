"""Rows of jobs and replicas that have run, for tests of what they cost."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from endpoints.models import ReplicaRun
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
