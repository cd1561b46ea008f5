"""Batch transforms: a dataset or objects through a model. What people ask for: create, stop, delete, clone.

Carried out by a worker (`endpoints.services.transform_execution`). Called by pages, REST and the admin.
"""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction

from endpoints.models import Model, TransformJob
from endpoints.selectors.costs import transform_job_cost
from endpoints.selectors.transforms import transform_instances_in_use, transform_job_get
from endpoints.services.transform_checks import CheckedTransform, TransformRequest, transform_check
from endpoints.services.transform_execution import transform_job_execute
from endpoints.services.transform_runs import KINDS, TASK, transform_job_sweep, transform_resending
from jobs.instance_types import instances_in_use
from jobs.models import Dataset
from jobs.selectors.prices import prices_now
from jobs.services.datasets import dataset_create_from_uri
from jobs.services.spending import spent_keep
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.logs import log_end, log_stream_create, log_stream_delete
from mlplatform.core.models import Role
from mlplatform.core.names import name_with_time, uid_new
from mlplatform.core.people.access import Actor, project_lock
from mlplatform.core.status import TransformJobStatus
from mlplatform.core.storage.objects import object_store, objects_bury
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

__all__ = [
    "TransformRequest",
    "transform_job_clone_request",
    "transform_job_create",
    "transform_job_delete",
    "transform_job_execute",
    "transform_job_result_to_dataset",
    "transform_job_stop",
    "transform_job_sweep",
    "transform_resending",
]


def transform_job_create(*, actor: Actor, request: TransformRequest) -> TransformJob:
    """Stores a transform job and sends it to the queue of its instance type.

    Raises:
        InvalidRequest: with every field that is wrong.
        Conflict: the name is taken.
        LimitExceeded: as many instances of the type as allowed are in use.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    checked = transform_check(actor=actor, request=request)
    with transaction.atomic():
        project_lock(actor.project)
        _hold(checked)
        _limit_check(actor, checked, request.instance_count)
        job = _store(actor, request, checked)
        dispatch_after_commit(TASK, object_id=job.pk, queue=job.queue)
        audit_record(
            actor=actor,
            action="transform_job.create",
            target=job.name,
            detail={
                "model": checked.model.name,
                "input": job.dataset_reference or job.uri,
                "instance_type": job.instance_type,
                "input_filter": job.input_filter,
                "output_filter": job.output_filter,
                "join": job.join,
                "environment": sorted(job.environment),
            },
        )
    return job


def transform_job_stop(*, actor: Actor, name: str) -> TransformJob:
    """Asks a job to stop: at once while nobody has begun it, else within seconds. A second request changes nothing.

    Raises:
        NotFound: no such job.
        Conflict: it has ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = transform_job_get(actor=actor, name=name)
    with transaction.atomic():
        if _stop_waiting(found) or _stop_running(found):
            audit_record(actor=actor, action="transform_job.stop", target=name)
    job = transform_job_get(actor=actor, name=name)
    if job.stop_requested_at is None:
        raise Conflict(
            _(
                "Transform job {name} has ended already ({status}) and cannot be stopped",
                name=repr(name),
                status=str(job.status),
            )
        )
    return job


def transform_job_delete(*, actor: Actor, name: str) -> None:
    """Deletes a job that has ended, with its log and its result.

    Raises:
        NotFound: no such job.
        Conflict: it has not ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = transform_job_get(actor=actor, name=name)
    with transaction.atomic():
        locked = TransformJob.objects.select_for_update(of=("self",)).filter(pk=found.pk).first()
        if locked is None:
            raise NotFound(_("There is no transform job {name}", name=repr(name[:63])))
        if not locked.ended:
            raise Conflict(
                _(
                    "Transform job {name} is {status}; stop it and wait until it has ended",
                    name=repr(name),
                    status=str(locked.status),
                )
            )
        transform_jobs_remove(jobs=[locked])
        audit_record(actor=actor, action="transform_job.delete", target=name)


def transform_jobs_remove(*, jobs: list[TransformJob]) -> int:
    """Removes ended jobs with logs and results, in the caller's transaction."""
    uris = [each for job in jobs for each in _result_objects(job)]
    prices = prices_now()
    for job in jobs:
        spent_keep(
            project=job.project,
            kind="transform_job",
            name=job.name,
            detail=job.instance_type,
            cost=transform_job_cost(job, prices),
            at=job.ended_at if job.started_at else None,
        )
    n_removed = TransformJob.objects.filter(pk__in=[job.pk for job in jobs]).delete()[0]
    for job in jobs:
        log_stream_delete(stream_id=job.log_id)
    objects_bury(uris, reason="transform job")
    return n_removed


def transform_job_clone_request(*, actor: Actor, name: str) -> dict[str, Any]:
    """The request that would create the same job again, with a fresh name; for a form to begin with. Raises
    NotFound.
    """
    job = transform_job_get(actor=actor, name=name)
    source = {"dataset": job.dataset_reference} if job.dataset_reference else {"uri": job.uri}
    return {
        "name": name_with_time(job.model.name, clock.now()),
        "model": job.model.name,
        **source,
        "content_type": job.content_type,
        "split_type": job.split_type,
        "accept": job.accept,
        "batch_strategy": job.batch_strategy,
        "max_payload_mb": job.max_payload_mb,
        "max_concurrent": job.max_concurrent,
        "input_filter": job.input_filter,
        "output_filter": job.output_filter,
        "join": job.join,
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "max_runtime_s": job.max_runtime_s,
        "environment": dict(job.environment),
        "tags": dict(job.tags),
    }


def transform_job_result_to_dataset(*, actor: Actor, name: str, dataset: str) -> Dataset:
    """A dataset of a copy of the job's result.

    Raises:
        NotFound: no such job.
        Conflict: it has no result, or one for each of several objects; or the dataset's name is taken.
        InvalidRequest: the result is no table, or the name is none.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    job = transform_job_get(actor=actor, name=name)
    if not job.result_uri or job.result_uri.endswith("/"):
        raise Conflict(_("Transform job {name} has no result that is one table", name=repr(name)))
    has_header = job.join == "Input" and bool(job.dataset_reference) and job.content_type == "text/csv"
    return dataset_create_from_uri(
        actor=actor,
        name=dataset,
        uri=job.result_uri,
        header=True if has_header else None,
        description=_("Result of transform job {name}", name=job.name),
    )


def _result_objects(job: TransformJob) -> list[str]:
    if not job.result_uri:
        return []
    if not job.result_uri.endswith("/"):
        return [job.result_uri]
    return [item.uri for item in object_store().list(job.result_uri)]


def _hold(checked: CheckedTransform) -> None:
    """Model and dataset stay until the row that says that they are used is there."""
    if not Model.objects.select_for_update(of=("self",)).filter(pk=checked.model.pk).first():
        raise InvalidRequest.for_field("model", _("there is no model “{name}”", name=checked.model.name[:63]))
    version = checked.version
    if version is not None:
        read = Dataset.objects.select_for_update(of=("self",)).filter(pk=version.dataset_id)
        if read.first() is None:
            raise InvalidRequest.for_field(
                "dataset", _("there is no dataset “{name}”", name=str(version)[:80])
            )


def _limit_check(actor: Actor, checked: CheckedTransform, count: int) -> None:
    instance = checked.instance
    used = transform_instances_in_use(project=actor.project, instance_type=instance.name)
    if used + count > instance.limit:
        raise LimitExceeded(
            _(
                "The project limit '{type} for transform job usage' is {limit} instances, with current "
                "utilization of {used} instances and a request delta of {wanted} instances. "
                "Wait until a job ends, or use another instance type.",
                type=instance.name,
                limit=instance.limit,
                used=used,
                wanted=count,
            ),
            errors=[
                FieldError("instance_type", instances_in_use(instance.name, used=used, limit=instance.limit))
            ],
        )


def _store(actor: Actor, request: TransformRequest, checked: CheckedTransform) -> TransformJob:
    """The row. Raises Conflict: the name is taken."""
    if TransformJob.objects.filter(project=actor.project, name=checked.name).exists():
        raise _taken(actor, checked.name)
    job = TransformJob(
        project=actor.project,
        name=checked.name,
        uid=uid_new(),
        model=checked.model,
        dataset_version=checked.version,
        dataset_reference=str(checked.version) if checked.version is not None else "",
        uri=checked.uri,
        content_type=checked.content_type,
        split_type=request.split_type,
        accept=request.accept.strip(),
        batch_strategy=request.batch_strategy,
        max_payload_mb=request.max_payload_mb,
        max_concurrent=request.max_concurrent,
        input_filter=request.input_filter,
        output_filter=request.output_filter,
        join=request.join,
        instance_type=checked.instance.name,
        instance_count=request.instance_count,
        queue=checked.instance.queue,
        max_runtime_s=request.max_runtime_s,
        environment=checked.environment,
        tags=checked.tags,
        log=log_stream_create(),
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        raise _taken(actor, checked.name) from None
    return job


def _taken(actor: Actor, name: str) -> Conflict:
    message = _(
        "A transform job named {name} already exists in project {project}",
        name=repr(name),
        project=actor.project.name,
    )
    return Conflict(message, errors=[FieldError("name", message)])


def _stop_waiting(job: TransformJob) -> bool:
    """One that nobody has begun ends here and now."""
    now = clock.now()
    waiting = KINDS[job.queue].waiting.filter(pk=job.pk)
    if not status_update(waiting, to=TransformJobStatus.STOPPED, stop_requested_at=now, ended_at=now):
        return False
    log_end(stream=job.log)
    return True


def _stop_running(job: TransformJob) -> bool:
    same = TransformJob.objects.filter(pk=job.pk)
    return bool(status_update(same, to=TransformJobStatus.STOPPING, stop_requested_at=clock.now()))
