"""The end of an experiment: what its cells have made goes with it, but for what is served. Called by pages and REST."""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction

from endpoints.models import Experiment
from endpoints.selectors.experiments import (
    ExperimentDeletion,
    experiment_deletion,
    experiment_get,
    experiment_made,
)
from endpoints.services.evaluations import evaluation_delete
from endpoints.services.models import model_delete
from jobs.services.training import training_job_delete
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, NotFound
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _


def experiment_delete(*, actor: Actor, name: str, keep_results: bool = False) -> ExperimentDeletion:
    """Deletes an experiment that has ended, and what it made: evaluations, models and training jobs of its cells.

    A model that an endpoint serves stays, and so does its training job. Goes on where an earlier deletion was
    interrupted.

    Args:
        keep_results: Only the experiment itself goes; all that it made stays where it is.

    Returns:
        What went and what stayed.

    Raises:
        NotFound: no such experiment.
        Conflict: it has not ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    experiment = experiment_get(actor=actor, name=name)
    _refuse_delete(experiment)
    deletion = ExperimentDeletion() if keep_results else experiment_deletion(experiment=experiment)
    if not keep_results:
        _made_delete(actor, experiment, deletion)
    with transaction.atomic():
        same = Experiment.objects.filter(pk=experiment.pk)
        # Somebody may have resumed it meanwhile: without its cells nobody would end what they have begun.
        _refuse_delete(same.select_for_update(of=("self",)).first() or experiment)
        same.delete()
        audit_record(
            actor=actor,
            action="experiment.delete",
            target=name,
            detail={"keep_results": keep_results, "kept_models": list(deletion.kept_models)},
        )
    return deletion


def endpoints_left_refuse(experiment: Experiment) -> None:
    """Who forgets the endpoint of a cell that has ended leaves it running for ever. Raises Conflict: there is one."""
    left = experiment.cells.filter(endpoint__isnull=False).values_list("endpoint__name", flat=True).first()
    if left is not None:
        raise Conflict(
            _(
                "Endpoint “{endpoint}” of experiment {name} is still being deleted; try again in a moment",
                endpoint=left,
                name=repr(experiment.name),
            )
        )


def _refuse_delete(experiment: Experiment) -> None:
    if not experiment.ended:
        raise Conflict(
            _(
                "Experiment {name} is {status}; stop it and wait until it has ended",
                name=repr(experiment.name),
                status=str(experiment.status),
            )
        )
    endpoints_left_refuse(experiment)


def _made_delete(actor: Actor, experiment: Experiment, deletion: ExperimentDeletion) -> None:
    """In a transaction for each thing, so that nobody waits long: who finds it half done goes on. What somebody else
    deletes meanwhile is gone as well.
    """
    made = experiment_made(experiment=experiment)
    kept = set(deletion.kept_models)
    for evaluation in made.evaluations:
        with suppress(NotFound):
            evaluation_delete(actor=actor, name=evaluation.name)
    for model in made.models:
        if model.name not in kept:
            with suppress(NotFound):
                model_delete(actor=actor, name=model.name)
    kept_jobs = {model.training_job_id for model in made.models if model.name in kept}
    for job in made.training_jobs:
        if job.pk not in kept_jobs:
            with suppress(NotFound):
                training_job_delete(actor=actor, name=job.name)
