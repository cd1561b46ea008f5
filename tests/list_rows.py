"""Rows for every list, quickly and without services: what a list shows beside them (runs, trials, cells) with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.db import models

from endpoints.models import (
    AsyncInvocation,
    Endpoint,
    EndpointConfig,
    EndpointMetric,
    Evaluation,
    Experiment,
    ExperimentCell,
    Model,
    ProductionVariant,
    Replica,
    ReplicaRun,
    TableRun,
    TransformJob,
)
from jobs.models import (
    Dataset,
    DatasetVersion,
    MetricSummary,
    TrainingInput,
    TrainingJob,
    TuningJob,
    TuningTrial,
)
from mlplatform.core import clock
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append
from mlplatform.core.models import AccessKey, AuditEvent, LogStream, Membership, Node, Project, Role, Session
from mlplatform.core.names import uid_new

SCHEMA = {
    "columns": ["a", "b"],
    "types": ["float", "float"],
    "label": 1,
    "format": "csv",
    "encoding": "utf-8",
    "delimiter": ",",
    "header": True,
}


def rows_of_every_list(project: Project, user: User, *, n: int, begin: int = 0) -> None:
    """`n` more of everything, numbered from `begin`; what belongs to one thing belongs to the first of its kind too."""
    for number in range(begin, begin + n):
        _one_of_each(project, user, number)


def _one_of_each(project: Project, user: User, number: int) -> None:
    own = {"project": project, "created_by": user}
    job = _made(
        TrainingJob, **own, name=f"job-{number}", algorithm="knn", log=_log(), started_at=_ago(number)
    )
    job.ended_at, job.status, job.billable_s = clock.now(), "Completed" if number % 2 else "Failed", number
    job.failure = None if number % 2 else {"kind": "DataError", "reason": "row 7"}
    job.save()
    _made(MetricSummary, job=job, name="loss")
    dataset = _made(Dataset, **own, name=f"dataset-{number}")
    version = _made(DatasetVersion, dataset=dataset, number=1, created_by=user, schema=SCHEMA, columns=[])
    Dataset.objects.filter(pk=dataset.pk).update(latest=version)
    _made(
        DatasetVersion, dataset=_first(Dataset), number=2 + number, created_by=user, schema=SCHEMA, columns=[]
    )
    if number:  # the first endpoint's page would look for the first row of what its model was trained on
        _made(TrainingInput, job=job, channel="train", dataset_version=version)
    tuning = _made(TuningJob, **own, name=f"tuning-{number}", algorithm="knn", objective_type="Maximize")
    trial = _made(TuningTrial, tuning_job=tuning, number=0, training_job=job, job_name=job.name, value=0.5)
    TuningJob.objects.filter(pk=tuning.pk).update(best_trial=trial)
    _made(TuningTrial, tuning_job=_first(TuningJob), number=1 + number, job_name=f"trial-{number}", value=0.1)
    _served(project, user, number, job, version)
    _people(project, number)


def _served(project: Project, user: User, number: int, job: TrainingJob, version: DatasetVersion) -> None:
    own = {"project": project, "created_by": user}
    model = _made(Model, **own, name=f"model-{number}", training_job=job, algorithm="knn")
    objects = {"output_uri": "s3://b/out/", "failure_uri": "s3://b/failed/", "max_concurrent_per_instance": 2}
    asynchronous = None if number else objects
    config = _made(EndpointConfig, **own, name=f"endpoint-{number}-1", async_inference=asynchronous)
    variant = _made(ProductionVariant, config=config, name="a", model=model, instance_type="local.cpu")
    endpoint = _made(
        Endpoint, **own, name=f"endpoint-{number}", wanted=config, live=config, status="InService"
    )
    _made(Replica, endpoint=endpoint, variant=variant, index=0, log=_log(), status="InService")
    _made(
        Replica, endpoint=_first(Endpoint), variant=variant, index=1 + number, log=_log(), status="InService"
    )
    _made(EndpointMetric, endpoint=endpoint, variant="a", minute_at=_ago(number), n_requests=3)
    first = {"endpoint": _first(Endpoint)}
    _made(
        ReplicaRun,
        **first,
        project=project,
        endpoint_name=endpoint.name,
        variant="a",
        replica_uid=_log().uid,
        started_at=_ago(number),
    )
    _made(TableRun, **first, dataset_version=version, created_by=user, status="Completed", summary={})
    _made(AsyncInvocation, **first, inference_id=f"request-{number}", created_by=user)
    evaluation = _made(
        Evaluation,
        **own,
        name=f"evaluation-{number}",
        endpoint=endpoint,
        endpoint_name=endpoint.name,
        model=model,
        status="Completed",
        summary={"metric": "accuracy", "value": 0.9, "best": 0.9},
    )
    experiment = _made(Experiment, **own, name=f"experiment-{number}", algorithm="knn")
    cell = {"configuration": "flat", "instance_type": "local.cpu", "status": "Completed"}
    _made(ExperimentCell, experiment=experiment, position=0, **cell, evaluation=evaluation, training_job=job)
    _made(
        ExperimentCell,
        experiment=_first(Experiment),
        position=1 + number,
        **cell,
        evaluation=evaluation,
        model=model,
    )
    _made(TransformJob, **own, name=f"transform-{number}", model=model, log=_log(), status="Completed")


def _people(project: Project, number: int) -> None:
    member = User.objects.create(username=f"member-{number}", password="!")
    Membership.objects.create(project=project, user=member, role=Role.VIEWER)
    other = Project.objects.create(name=f"other-{number}", account_id=f"{number:012}")
    Membership.objects.create(project=other, user=_first(User), role=Role.VIEWER)
    _made(AccessKey, key_id=f"MLPK{number}", user=member, project=project)
    _made(Node, kind="worker", name=f"node-{number}", queues=["cpu"], pid=number)
    _made(Session, session_key=f"seeded-{number}", user_id=member.pk)
    _made(AuditEvent, action="dataset.create", target=f"d-{number}", outcome="done", project_id=project.pk)


def _made(table: type[models.Model], /, **values: Any) -> Any:
    """A row with what is given, and something for whatever else must not be empty."""
    for field in table._meta.concrete_fields:
        if field.name in values or field.primary_key or field.has_default() or field.null:
            continue
        if field.name.endswith("uid"):
            values[field.name] = uid_new()
        elif isinstance(field, models.DateTimeField):
            values[field.name] = clock.now()
        elif isinstance(field, models.IntegerField | models.FloatField):
            values[field.name] = 1
        elif isinstance(field, models.BinaryField):
            values[field.name] = b""
    return table._default_manager.create(**values)


def _log() -> LogStream:
    stream = LogStream.objects.create(uid=uid_new())
    log_append(stream=stream, lines=[LogLines.of("it begins", 1_790_000_000_000)])
    return stream


def _first(model: type[models.Model]) -> Any:
    return model._default_manager.order_by("pk").first()


def _ago(minutes: int) -> Any:
    return clock.now().replace(second=0, microsecond=0) - timedelta(minutes=minutes)
