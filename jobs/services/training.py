"""Creating, stopping, deleting and cloning training jobs: what a person asks for. Called by pages, REST and
admin.

What happens to a job afterwards is `jobs.services.lifecycle`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from jobs.algorithms.registry import SCRIPT
from jobs.instance_types import InstanceType, instance_type_get, instances_in_use
from jobs.metric_regex import metric_definition_check
from jobs.models import Source, TrainingInput, TrainingJob
from jobs.selectors.instances import instance_type_usage
from jobs.selectors.training import training_job_get
from jobs.services.channels import ChannelRequest, ResolvedChannel
from jobs.services.lifecycle import TASK, LeaseLost, job_event_add, training_job_end_unowned
from jobs.services.request_checks import (
    environment_check,
    instance_count_check,
    runtime_check,
    tags_check,
)
from jobs.services.scripts import ScriptRequest, script_check
from jobs.services.spending import training_job_spent_keep
from jobs.services.training_checks import (
    algorithm_of,
    channels_check,
    collect,
    hyperparameters_check,
    name_or_new,
    script_said,
)
from mlplatform.core import clock, names
from mlplatform.core.audit.record import audit_record
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.logs import log_stream_create, log_stream_delete
from mlplatform.core.models import Project, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.objects import objects_bury
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

__all__ = [
    "ChannelRequest",
    "ScriptRequest",
    "script_of",
    "training_job_clone_request",
    "training_job_create",
    "training_job_delete",
    "training_job_stop",
]


def training_job_create(
    *,
    actor: Actor,
    name: str | None,
    algorithm: str,
    hyperparameters: Mapping[str, Any],
    channels: Mapping[str, ChannelRequest],
    instance_type: str = "local.cpu",
    instance_count: int = 1,
    max_runtime_s: int = 86400,
    metric_definitions: Sequence[Mapping[str, Any]] = (),
    environment: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    cloned_from: str = "",
    script: ScriptRequest | None = None,
) -> TrainingJob:
    """Stores a training job and sends it to the queue of its instance type.

    Args:
        name: Unique in the project; None or empty for a name made of the algorithm and the time.
        algorithm: A built-in one; not looked at where there is a script. A framework's name, where the script is said
            among the hyperparameters as the SDK does it.
        hyperparameters: Name to text or number, as SageMaker takes them.
        channels: Channel name to the dataset or URI it reads.
        cloned_from: Name of the job whose request was the draft of this one.
        script: What to run in the place of a built-in algorithm.

    Raises:
        InvalidRequest: with every field that is wrong.
        Conflict: the name is taken.
        LimitExceeded: as many instances of the type as allowed are in use.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    errors: list[FieldError] = []
    if script is None:
        script, hyperparameters = script_said(actor, algorithm, hyperparameters, errors)
    source: Source | None = None
    if script is not None:
        asked = script
        source = collect(errors, lambda: script_check(actor=actor, script=asked))
        algorithm = SCRIPT
    elif algorithm == SCRIPT and not errors:
        errors.append(FieldError("script", _("is required; give framework, entry_point and source")))
    name = name_or_new(name, algorithm if script is None else script.framework, errors)
    spec = collect(errors, lambda: algorithm_of(algorithm))
    instance = collect(errors, lambda: instance_type_get(instance_type))
    definitions = collect(errors, lambda: metric_definition_check(metric_definitions)) or []
    resolved = channels_check(actor.project, spec, channels, errors)
    texts = hyperparameters_check(spec, hyperparameters, resolved, errors)
    count = instance_count_check(instance_count, errors)
    runtime_s = runtime_check(max_runtime_s, errors)
    variables = environment_check(environment or {}, errors)
    checked_tags = tags_check(tags or {}, errors)
    if errors or spec is None or instance is None:
        raise InvalidRequest.for_fields(errors)
    job = TrainingJob(
        project=actor.project,
        name=name,
        uid=names.uid_new(),
        algorithm=spec.name,
        framework="" if script is None else script.framework,
        entry_point="" if script is None else script.entry_point,
        source=source,
        hyperparameters=texts,
        instance_type=instance.name,
        instance_count=count,
        queue=instance.queue,
        max_runtime_s=runtime_s,
        metric_definitions=[{"name": found.name, "regex": found.regex} for found in definitions],
        environment=variables,
        tags=checked_tags,
        cloned_from=cloned_from[: names.NAME_MAX_LENGTH],
        created_by=actor.user,
        created_at=clock.now(),
    )
    return _store(actor, job, instance, list(resolved.values()))


def training_job_stop(*, actor: Actor, name: str) -> TrainingJob:
    """Asks a job to stop: at once while it is pending, else within its grace time. A second request changes
    nothing.

    Raises:
        NotFound: no such job.
        Conflict: the job has ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    job = training_job_get(actor=actor, name=name)
    with transaction.atomic():
        if _stop_pending(job) or _stop_running(job):
            audit_record(actor=actor, action="training_job.stop", target=name)
    job = training_job_get(actor=actor, name=name)
    if job.stop_requested_at is None:
        raise Conflict(
            _(
                "Training job {name} has ended already ({status}) and cannot be stopped",
                name=repr(name),
                status=str(job.status),
            )
        )
    return job


def training_job_delete(*, actor: Actor, name: str) -> None:
    """Deletes a job that has ended, with its log, metrics, events and artifact.

    Raises:
        NotFound: no such job.
        Conflict: it is running, or a model uses its artifact (the message names the models).
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    job = training_job_get(actor=actor, name=name)
    with transaction.atomic():
        locked = TrainingJob.objects.select_for_update().filter(pk=job.pk).first()
        if locked is None:
            raise NotFound(_("There is no training job {name}", name=repr(name[:63])))
        if not locked.ended:
            raise Conflict(
                _(
                    "Training job {name} is {status}; stop it and wait until it has ended",
                    name=repr(name),
                    status=str(locked.status),
                )
            )
        _refuse_used(locked)
        training_job_spent_keep(job=locked)
        objects, log_id = [locked.artifact_uri, locked.output_uri], locked.log_id
        locked.delete()
        log_stream_delete(stream_id=log_id)
        if any(objects):
            objects_bury(filter(None, objects), reason="training job")
        audit_record(actor=actor, action="training_job.delete", target=name)


def training_job_clone_request(*, actor: Actor, name: str) -> dict[str, Any]:
    """The request that would create the same job again, with a fresh name; for a form to begin with. Raises
    NotFound.
    """
    job = training_job_get(actor=actor, name=name)
    return {
        "name": names.name_with_time(job.framework or job.algorithm, clock.now()),
        "algorithm": job.algorithm,
        "script": script_of(job),
        "hyperparameters": dict(job.hyperparameters),
        "channels": {given.channel: _channel_request(given) for given in job.inputs.all()},
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "max_runtime_s": job.max_runtime_s,
        "metric_definitions": list(job.metric_definitions),
        "environment": dict(job.environment),
        "tags": dict(job.tags),
        "cloned_from": job.name,
    }


def script_of(job: TrainingJob) -> ScriptRequest | None:
    """The script that a job runs, as a request would ask for it; None for a built-in algorithm."""
    if job.source is None:
        return None
    return ScriptRequest(framework=job.framework, entry_point=job.entry_point, source=job.source.uid)


def _store(
    actor: Actor, job: TrainingJob, instance: InstanceType, channels: Sequence[ResolvedChannel]
) -> TrainingJob:
    """The job, its inputs, log and first event in one transaction; its message goes out afterwards."""
    with transaction.atomic():
        # The row of the project is the lock that makes counting and inserting one step.
        Project.objects.select_for_update().get(pk=job.project_id)
        if TrainingJob.objects.filter(project=job.project, name=job.name).exists():
            raise _taken(job)
        _limit_check(job, instance)
        job.log = log_stream_create()
        try:
            with transaction.atomic():
                job.save(force_insert=True)
        except IntegrityError:
            raise _taken(job) from None
        TrainingInput.objects.bulk_create(channel.input_for(job.pk) for channel in channels)
        job_event_add(
            job_id=job.pk, attempt=0, status=SecondaryStatus.PENDING, message=_("Waiting for a worker")
        )
        dispatch_after_commit(TASK, object_id=job.pk, queue=job.queue)
        _audit_create(actor, job, channels)
    return job


def _audit_create(actor: Actor, job: TrainingJob, channels: Sequence[ResolvedChannel]) -> None:
    """Names of environment variables only: a value may be somebody's secret."""
    detail = {
        "algorithm": job.algorithm,
        "instance_type": job.instance_type,
        **({"script": job.entry_point, "source": job.source.uid} if job.source else {}),
        "channels": {given.channel: given.reference or given.uri for given in channels},
        "environment": sorted(job.environment),
        "cloned_from": job.cloned_from,
    }
    audit_record(actor=actor, action="training_job.create", target=job.name, detail=detail)


def _taken(job: TrainingJob) -> Conflict:
    message = _(
        "A training job named {name} already exists in project {project}",
        name=repr(job.name),
        project=job.project.name,
    )
    return Conflict(message, errors=[FieldError("name", message)])


def _limit_check(job: TrainingJob, instance: InstanceType) -> None:
    used = instance_type_usage(project=job.project).get(instance.name, 0)
    if used + job.instance_count > instance.limit:
        raise LimitExceeded(
            _(
                "The project limit '{type} for training job usage' is {limit} instances, with current "
                "utilization of {used} instances and a request delta of {wanted} instances. "
                "Wait until a job ends, or use another instance type.",
                type=instance.name,
                limit=instance.limit,
                used=used,
                wanted=job.instance_count,
            ),
            errors=[
                FieldError("instance_type", instances_in_use(instance.name, used=used, limit=instance.limit))
            ],
        )


def _stop_pending(job: TrainingJob) -> bool:
    """A job that nobody has claimed ends here and now."""
    pending = TrainingJob.objects.filter(
        pk=job.pk,
        status=TrainingJobStatus.IN_PROGRESS,
        secondary_status=SecondaryStatus.PENDING,
        lease_owner="",
    )
    if not pending.update(stop_requested_at=clock.now()):
        return False
    try:
        training_job_end_unowned(rows=pending)
    except LeaseLost:
        return False
    return True


def _stop_running(job: TrainingJob) -> bool:
    same = TrainingJob.objects.filter(pk=job.pk)
    if status_update(
        same,
        to=TrainingJobStatus.STOPPING,
        secondary_status=SecondaryStatus.STOPPING,
        stop_requested_at=clock.now(),
    ):
        job_event_add(
            job_id=job.pk,
            attempt=same.values_list("attempt", flat=True).get(),
            status=SecondaryStatus.STOPPING,
            message=_("Stopping the training job"),
        )
        return True
    return False


def _refuse_used(job: TrainingJob) -> None:
    """The room above has the models; it is asked through the reverse relation, not imported."""
    if not job.artifact_uri:
        return
    users = job.models.filter(artifact_uri=job.artifact_uri).values_list("name", flat=True)[:10]
    if users:
        raise Conflict(
            _(
                "The artifact of training job {name} is used by model {users}; delete that first",
                name=repr(job.name),
                users=", ".join(users),
            )
        )


def _channel_request(given: TrainingInput) -> dict[str, Any]:
    source = {"dataset": given.dataset_reference} if given.dataset_reference else {"uri": given.uri}
    return {**source, "content_type": given.content_type, "input_mode": given.input_mode}
