"""Evaluations: how good and how fast an endpoint answers for a dataset. What people ask for: create, stop, delete.

Carried out by a worker (`endpoints.services.evaluation_execution`). Called by pages, REST, console and experiments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from endpoints.models import Evaluation
from endpoints.selectors.evaluations import evaluation_get
from endpoints.services.evaluation_checks import Checked, evaluation_check
from endpoints.services.evaluation_execution import EVALUATIONS, evaluation_execute, evaluation_sweep
from jobs.models import Dataset
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.dispatch import dispatch_after_commit
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Role
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EvaluationStatus
from mlplatform.core.storage.objects import objects_bury
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

__all__ = [
    "evaluation_create",
    "evaluation_delete",
    "evaluation_execute",
    "evaluation_stop",
    "evaluation_sweep",
]


def evaluation_create(
    *,
    actor: Actor,
    name: str | None,
    endpoint: str,
    dataset: str,
    variant: str | None = "",
    k_max: int | None = None,
    batches: int = 100,
    single_requests: int = 2000,
    tags: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Asks for the measurement of an endpoint with a dataset (its newest version, or `name@version`).

    Args:
        name: Unique in the project; None or empty for a name made of the endpoint and the time.
        variant: The one to measure; may be left out where there is only one.
        k_max: The largest k to score; None for the model's own.
        batches: Into how many requests the dataset is cut.
        single_requests: Calls with one row each.

    Raises:
        InvalidRequest: with every field that is wrong.
        Conflict: the name is taken, or the endpoint does not answer now.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    with transaction.atomic():
        checked = evaluation_check(
            actor=actor,
            name=name,
            endpoint=endpoint,
            dataset=dataset,
            variant=variant or "",
            k_max=k_max,
            batches=batches,
            single_requests=single_requests,
            tags=tags or {},
        )
        # It is not deleted before the row that says that it is read is there.
        read = Dataset.objects.select_for_update(of=("self",)).filter(pk=checked.version.dataset_id)
        if read.first() is None:
            raise InvalidRequest.for_field("dataset", _("there is no dataset “{name}”", name=dataset[:80]))
        evaluation = _store(actor, checked)
        dispatch_after_commit(EVALUATIONS.task, object_id=evaluation.pk, queue=EVALUATIONS.queue)
        audit_record(
            actor=actor,
            action="evaluation.create",
            target=evaluation.name,
            detail={
                "endpoint": evaluation.endpoint_name,
                "variant": evaluation.variant,
                "dataset": evaluation.dataset_reference,
                "k_max": k_max,
                "batches": batches,
                "single_requests": single_requests,
            },
        )
    return evaluation


def evaluation_stop(*, actor: Actor, name: str) -> Evaluation:
    """Asks an evaluation to stop: at once while nobody has begun it, else within seconds. A second request changes
    nothing.

    Raises:
        NotFound: no such evaluation.
        Conflict: it has ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = evaluation_get(actor=actor, name=name)
    with transaction.atomic():
        if _stop_waiting(found.pk) or _stop_running(found.pk):
            audit_record(actor=actor, action="evaluation.stop", target=name)
    evaluation = evaluation_get(actor=actor, name=name)
    if evaluation.stop_requested_at is None:
        raise Conflict(
            _(
                "Evaluation {name} has ended already ({status}) and cannot be stopped",
                name=repr(name),
                status=str(evaluation.status),
            )
        )
    return evaluation


def evaluation_delete(*, actor: Actor, name: str) -> None:
    """Deletes an evaluation that has ended, with its predictions.

    Raises:
        NotFound: no such evaluation.
        Conflict: it has not ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = evaluation_get(actor=actor, name=name)
    with transaction.atomic():
        locked = Evaluation.objects.select_for_update(of=("self",)).filter(pk=found.pk).first()
        if locked is None:
            raise NotFound(_("There is no evaluation {name}", name=repr(name[:63])))
        if not locked.ended:
            raise Conflict(
                _(
                    "Evaluation {name} is {status}; stop it and wait until it has ended",
                    name=repr(name),
                    status=str(locked.status),
                )
            )
        result_uri = locked.result_uri
        locked.delete()
        if result_uri:
            objects_bury([result_uri], reason="evaluation")
        audit_record(actor=actor, action="evaluation.delete", target=name)


def _store(actor: Actor, checked: Checked) -> Evaluation:
    """The row. Raises Conflict: the name is taken."""
    if Evaluation.objects.filter(project=actor.project, name=checked.name).exists():
        raise _taken(actor, checked.name)
    model = checked.variant.model
    evaluation = Evaluation(
        project=actor.project,
        name=checked.name,
        uid=uid_new(),
        endpoint=checked.endpoint,
        endpoint_name=checked.endpoint.name,
        variant=checked.variant.name,
        model=model,
        model_name=model.name,
        training_job_name=model.training_job.name if model.training_job else "",
        instance_type=checked.variant.placed_on,
        dataset_version=checked.version,
        dataset_reference=str(checked.version),
        facts=checked.facts,
        k_max=checked.k_max,
        batches=checked.batches,
        single_requests=checked.single_requests,
        tags=checked.tags,
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            evaluation.save(force_insert=True)
    except IntegrityError:
        raise _taken(actor, checked.name) from None
    return evaluation


def _taken(actor: Actor, name: str) -> Conflict:
    message = _(
        "An evaluation named {name} already exists in project {project}",
        name=repr(name),
        project=actor.project.name,
    )
    return Conflict(message, errors=[FieldError("name", message)])


def _stop_waiting(evaluation_id: int) -> bool:
    """One that nobody has begun ends here and now."""
    now = clock.now()
    return bool(
        status_update(
            EVALUATIONS.waiting.filter(pk=evaluation_id),
            to=EvaluationStatus.STOPPED,
            stop_requested_at=now,
            ended_at=now,
        )
    )


def _stop_running(evaluation_id: int) -> bool:
    same = Evaluation.objects.filter(pk=evaluation_id)
    return bool(status_update(same, to=EvaluationStatus.STOPPING, stop_requested_at=clock.now()))
