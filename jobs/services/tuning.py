"""Tuning jobs: what people ask for. Create, stop, extend, delete, clone. Called by pages, REST and console.

Everything a request can be wrong about is said before anything is stored (`tuning_checks`). What happens then, trial by
trial, is `jobs.services.tuning_steps`, whom the scheduler and workers call.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Final

from django.db import IntegrityError, transaction

from jobs.models import TrainingJob, TuningJob, TuningStrategy
from jobs.selectors.tuning import tuning_job_get
from jobs.services.training import training_job_delete
from jobs.services.tuning_checks import NAME_MAX, Checked, name_taken, tuning_check
from jobs.services.tuning_request import TuningRequest
from jobs.services.tuning_search_checks import tuning_jobs_limit
from jobs.tuning.ranges import grid_size, ranges_from_json
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, InvalidRequest, LimitExceeded, NotFound
from mlplatform.core.models import Project, Role
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from mlplatform.core.status import ACTIVE_TUNING, TuningJobStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

__all__ = [
    "TuningRequest",
    "tuning_job_clone_request",
    "tuning_job_create",
    "tuning_job_delete",
    "tuning_job_extend",
    "tuning_job_stop",
]

ACTIVE_MAX: Final = 100
DESCRIPTION_MAX: Final = 2000


def tuning_job_create(*, actor: Actor, request: TuningRequest) -> TuningJob:
    """Stores a tuning job; the scheduler begins with its trials within a second.

    Raises:
        InvalidRequest: with every field that is wrong.
        Conflict: the name is taken, and nothing else is wrong.
        LimitExceeded: as many tuning jobs as may be are under way.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    checked = tuning_check(actor=actor, request=request)
    with transaction.atomic():
        # The row of the project is the lock that makes counting and inserting one step.
        Project.objects.select_for_update().get(pk=actor.project.pk)
        _limit_check(actor.project)
        job = _store(actor, checked)
        detail = {
            "strategy": job.strategy,
            "objective": f"{job.objective_type} {job.objective_metric}",
            "algorithm": job.algorithm,
            "max_jobs": job.max_jobs,
            "max_parallel_jobs": job.max_parallel_jobs,
            "instance_type": job.instance_type,
            "environment": sorted(job.environment),
        }
        audit_record(actor=actor, action="tuning_job.create", target=job.name, detail=detail)
    return tuning_job_get(actor=actor, name=job.name)


def tuning_job_stop(*, actor: Actor, name: str) -> TuningJob:
    """Asks a tuning job to stop: no trial is begun any more, and those that run are stopped, within seconds.

    A second request changes nothing. What has been found stays.

    Raises:
        NotFound: no such tuning job.
        Conflict: it has ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = tuning_job_get(actor=actor, name=name)
    with transaction.atomic():
        rows = TuningJob.objects.filter(pk=found.pk, status=TuningJobStatus.IN_PROGRESS)
        because = _("{user} stopped it", user=actor.user.get_username())
        changes = {"stop_requested_at": clock.now(), "ended_because": because, "waiting": ""}
        if status_update(rows, to=TuningJobStatus.STOPPING, **changes):
            audit_record(actor=actor, action="tuning_job.stop", target=name)
    job = tuning_job_get(actor=actor, name=name)
    if job.ended:
        raise Conflict(
            _(
                "Tuning job {name} has ended already ({status}) and cannot be stopped",
                name=repr(name),
                status=str(job.status),
            )
        )
    return job


def tuning_job_extend(*, actor: Actor, name: str, max_jobs: int) -> TuningJob:
    """Gives a tuning job that is under way more trials: `max_jobs` in all.

    Raises:
        NotFound: no such tuning job.
        InvalidRequest: not more than it has, or more than it may have.
        Conflict: it has ended, or is about to; a new one can begin with what it found.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = tuning_job_get(actor=actor, name=name)
    with transaction.atomic():
        locked = TuningJob.objects.select_for_update(of=("self",)).filter(pk=found.pk).first() or found
        _refuse_extend(locked, max_jobs)
        same = TuningJob.objects.filter(pk=found.pk, status=TuningJobStatus.IN_PROGRESS)
        if not same.update(max_jobs=max_jobs):
            raise NotFound(_("There is no tuning job {name}", name=repr(name[:63])))
        detail = {"max_jobs": max_jobs, "before": locked.max_jobs}
        audit_record(actor=actor, action="tuning_job.extend", target=name, detail=detail)
    return tuning_job_get(actor=actor, name=name)


def tuning_job_delete(*, actor: Actor, name: str, with_jobs: bool = False) -> None:
    """Deletes a tuning job that has ended, with its trials. Their training jobs stay as ordinary jobs.

    Args:
        with_jobs: They go too, but for those of which somebody has made a model. Goes on where an earlier deletion was
            interrupted.

    Raises:
        NotFound: no such tuning job.
        Conflict: it has not ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    job = tuning_job_get(actor=actor, name=name)
    _refuse_delete(job)
    if with_jobs:
        names = (
            TrainingJob.objects.filter(trial__tuning_job=job).order_by("pk").values_list("name", flat=True)
        )
        for training_job in list(names):
            # In a transaction for each, so that nobody waits long; of what is in use nothing goes.
            with suppress(NotFound, Conflict):
                training_job_delete(actor=actor, name=training_job)
    with transaction.atomic():
        same = TuningJob.objects.filter(pk=job.pk)
        if same.select_for_update(of=("self",)).first() is None:
            raise NotFound(_("There is no tuning job {name}", name=repr(name[:63])))
        same.update(best_trial=None)
        same.delete()
        audit_record(actor=actor, action="tuning_job.delete", target=name, detail={"with_jobs": with_jobs})


def tuning_job_clone_request(*, actor: Actor, name: str) -> dict[str, Any]:
    """The request that would create the same tuning job again, as JSON has it, with a fresh name; for a form to begin
    with. Raises NotFound.
    """
    job = tuning_job_get(actor=actor, name=name)
    resource = (job.hyperband or {}).get("resource")
    static = {key: value for key, value in job.static_hyperparameters.items() if key != resource}
    script = None
    if job.source is not None:
        script = {"framework": job.framework, "entry_point": job.entry_point, "source": job.source.uid}
    return {
        "name": _name_again(job.name),
        "description": job.description,
        "strategy": job.strategy,
        "objective_metric": job.objective_metric,
        "objective_type": job.objective_type,
        "ranges": [{key: value for key, value in found.items() if key != "chosen"} for found in job.ranges],
        "max_jobs": job.max_jobs,
        "max_parallel_jobs": job.max_parallel_jobs,
        "max_runtime_s": job.max_runtime_s,
        "early_stopping": job.early_stopping,
        "hyperband": job.hyperband,
        "completion": dict(job.completion),
        "random_seed": job.random_seed,
        "warm_start": job.warm_start,
        "algorithm": job.algorithm,
        "script": script,
        "static_hyperparameters": static,
        "channels": {channel: channel_shown(given) for channel, given in job.channels.items()},
        "metric_definitions": list(job.metric_definitions),
        "instance_type": job.instance_type,
        "instance_count": job.instance_count,
        "job_max_runtime_s": job.job_max_runtime_s,
        "environment": dict(job.environment),
        "tags": dict(job.tags),
    }


def channel_shown(given: dict[str, Any]) -> dict[str, Any]:
    """A channel as a request has it, without what only the platform needs to know."""
    return {key: value for key, value in given.items() if key != "version_uid"}


def _limit_check(project: Project) -> None:
    n_active = TuningJob.objects.filter(project=project, status__in=ACTIVE_TUNING).count()
    if n_active >= ACTIVE_MAX:
        raise LimitExceeded(
            _(
                "Project {project} has {n} tuning jobs under way, and {limit} may be; wait until one has ended",
                project=project.name,
                n=n_active,
                limit=ACTIVE_MAX,
            )
        )


def _store(actor: Actor, checked: Checked) -> TuningJob:
    asked = checked.request
    job = TuningJob(
        project=actor.project,
        name=checked.name,
        uid=uid_new(),
        description=asked.description[:DESCRIPTION_MAX],
        strategy=asked.strategy,
        objective_metric=asked.objective_metric,
        objective_type=asked.objective_type,
        ranges=[found.to_json() for found in checked.ranges],
        max_jobs=checked.max_jobs,
        max_parallel_jobs=asked.max_parallel_jobs,
        max_runtime_s=asked.max_runtime_s,
        early_stopping=asked.early_stopping,
        hyperband=checked.hyperband,
        completion=checked.completion,
        random_seed=checked.random_seed,
        warm_start=dict(asked.warm_start) if asked.warm_start else None,
        warm_trials=checked.warm_trials,
        algorithm=checked.algorithm,
        framework=asked.script.framework if asked.script else "",
        entry_point=asked.script.entry_point if asked.script else "",
        source=checked.source,
        static_hyperparameters=checked.static,
        channels=checked.channels,
        metric_definitions=checked.metric_definitions,
        instance_type=checked.instance_type,
        instance_count=asked.instance_count,
        job_max_runtime_s=asked.job_max_runtime_s,
        environment=checked.environment,
        tags=checked.tags,
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            job.save(force_insert=True)
    except IntegrityError:
        raise name_taken(actor.project, checked.name) from None
    return job


def _refuse_extend(job: TuningJob, max_jobs: Any) -> None:
    if job.status != TuningJobStatus.IN_PROGRESS:
        raise Conflict(
            _(
                "Tuning job {name} is {status}; make a new one that begins with what it found (warm start)",
                name=repr(job.name),
                status=str(job.status),
            )
        )
    limit, now = tuning_jobs_limit(job.strategy), job.max_jobs
    if job.strategy == TuningStrategy.GRID:
        limit = grid_size(ranges_from_json(job.ranges)) or limit
    if now is None or now >= limit:
        message = _("it has as many trials as it may have already, {limit}", limit=limit)
        raise InvalidRequest.for_field("max_jobs", message)
    whole = isinstance(max_jobs, int) and not isinstance(max_jobs, bool)
    if not whole or not now < max_jobs <= limit:
        message = _(
            "{value} is not accepted; use a whole number from {low} to {high}",
            value=repr(str(max_jobs)[:40]),
            low=now + 1,
            high=f"{limit:,}",
        )
        raise InvalidRequest.for_field("max_jobs", message)


def _refuse_delete(job: TuningJob) -> None:
    if not job.ended:
        raise Conflict(
            _(
                "Tuning job {name} is {status}; stop it and wait until it has ended",
                name=repr(job.name),
                status=str(job.status),
            )
        )


def _name_again(name: str) -> str:
    tail = f"{clock.now():%y%m%d-%H%M%S}"
    return f"{name[: NAME_MAX - len(tail) - 1].rstrip('-')}-{tail}"
