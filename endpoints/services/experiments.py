"""Experiments: what people ask for. Create, stop, resume; `experiment_deletion` has their end.

Everything a request can be wrong about is said before anything is stored. What happens then, cell by cell, is
`endpoints.services.experiment_steps`, whom the scheduler calls. Called by pages, REST and console.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from endpoints.models import Experiment, ExperimentCell
from endpoints.selectors.experiments import ExperimentDeletion, experiment_get
from endpoints.services.experiment_checks import Checked, ExperimentRequest, experiment_check, name_taken
from endpoints.services.experiment_deletion import endpoints_left_refuse, experiment_delete
from endpoints.services.experiment_steps import experiment_waits
from mlplatform.core import clock
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import Conflict, FieldError
from mlplatform.core.models import Role
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from mlplatform.core.status import CellStatus, ExperimentStatus, TrainingJobStatus
from mlplatform.core.text import text as _
from mlplatform.core.transitions import status_update

__all__ = [
    "ExperimentDeletion",
    "experiment_create",
    "experiment_delete",
    "experiment_resume",
    "experiment_stop",
]

_AGAIN = (CellStatus.FAILED, CellStatus.STOPPED, CellStatus.SKIPPED)
"""A resumed experiment takes these cells up again."""


def experiment_create(
    *,
    actor: Actor,
    name: str | None,
    train: str,
    test: str,
    preset: str = "",
    algorithm: str | None = None,
    hyperparameters: Mapping[str, Any] | None = None,
    configurations: Sequence[Mapping[str, Any]] | None = None,
    sample_sizes: Sequence[int] | None = None,
    instance_types: Sequence[str] | None = None,
    training_instance_type: str | None = None,
    parallelism: int | None = None,
    unserved: str | None = None,
    k_max: int | None = None,
    batches: int | None = None,
    single_requests: int | None = None,
    description: str = "",
    tags: Mapping[str, Any] | None = None,
    wrong: Sequence[FieldError] = (),
) -> Experiment:
    """Stores an experiment and its cells; the scheduler begins with them within a second.

    What is None is as the preset has it, or else: k-NN, one cell at a time, training on this machine, 100 batches,
    2,000 single requests, waiting for instance types that nobody serves.

    Args:
        name: Unique in the project; None or empty for a name made of the preset and the time.
        train, test: Datasets, each `name` or `name@version`; what the cells are trained with and evaluated with.
        hyperparameters: Of all configurations, name to text or number.
        configurations: {"name", "hyperparameters", "by_sample_size"}; the last maps a sample size to hyperparameters
            that hold for it alone. The more special ones win.
        sample_sizes: Values of the hyperparameter `sample_size`; may be empty for an algorithm that draws no sample.
        parallelism: How many cells are worked on at a time. Cells at a time on one machine slow one another's answers
            down.
        unserved: What becomes of cells whose instance type nobody serves: `wait` or `skip`.
        k_max: Up to which k the evaluations score; None for each model's own.
        wrong: What a form has found that is no number or no pair: told with all else that is wrong; nothing is made.

    Raises:
        LimitExceeded: more cells than an experiment may have.
        InvalidRequest: with every field that is wrong.
        Conflict: the name is taken, and nothing else is wrong.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    request = ExperimentRequest(
        name=name,
        preset=preset,
        algorithm=algorithm,
        hyperparameters=hyperparameters,
        configurations=configurations,
        sample_sizes=sample_sizes,
        instance_types=instance_types,
        train=train,
        test=test,
        training_instance_type=training_instance_type,
        parallelism=parallelism,
        unserved=unserved,
        k_max=k_max,
        batches=batches,
        single_requests=single_requests,
        tags=tags or {},
        wrong=wrong,
    )
    checked = experiment_check(project=actor.project, request=request)
    with transaction.atomic():
        experiment = _store(actor, checked, description[:2000])
        experiment_waits(experiment_id=experiment.pk)
        _audit_create(actor, experiment)
    return experiment


def experiment_stop(*, actor: Actor, name: str) -> Experiment:
    """Asks an experiment to stop: nothing new is begun, what runs is stopped, endpoints are deleted, within seconds.

    A second request changes nothing. Cells that are Completed stay so.

    Raises:
        NotFound: no such experiment.
        Conflict: it has ended.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = experiment_get(actor=actor, name=name)
    with transaction.atomic():
        if status_update(Experiment.objects.filter(pk=found.pk), to=ExperimentStatus.STOPPING):
            audit_record(actor=actor, action="experiment.stop", target=name)
    experiment = experiment_get(actor=actor, name=name)
    if experiment.ended:
        raise Conflict(
            _(
                "Experiment {name} has ended already ({status}) and cannot be stopped",
                name=repr(name),
                status=str(experiment.status),
            )
        )
    return experiment


def experiment_resume(*, actor: Actor, name: str) -> Experiment:
    """Takes up the cells that failed, were stopped or were skipped; those that are Completed are kept.

    A training job that is Completed is used again, so that only what is missing is done. From now on the experiment
    runs in the name of whoever resumed it. What the attempt before left (a failed job, an evaluation that was stopped)
    stays where it is.

    Raises:
        NotFound: no such experiment.
        Conflict: it has not ended, or has nothing left to do.
        AccessDenied: the actor may not edit.
    """
    actor.require(Role.EDITOR)
    found = experiment_get(actor=actor, name=name)
    with transaction.atomic():
        locked = Experiment.objects.select_for_update(of=("self",)).filter(pk=found.pk)
        cells = ExperimentCell.objects.filter(experiment=found, status__in=_AGAIN)
        _refuse_resume(locked.first() or found, has_cells=cells.exists())
        status_update(locked, to=ExperimentStatus.IN_PROGRESS, created_by=actor.user, ended_at=None)
        cells.exclude(training_job__status=TrainingJobStatus.COMPLETED).update(training_job=None)
        status_update(
            cells,
            to=CellStatus.PENDING,
            attempt=F("attempt") + 1,
            waiting="",
            failure="",
            model=None,
            endpoint=None,
            evaluation=None,
            started_at=None,
            ended_at=None,
        )
        experiment_waits(experiment_id=found.pk)
        audit_record(actor=actor, action="experiment.resume", target=name)
    return experiment_get(actor=actor, name=name)


def _store(actor: Actor, checked: Checked, description: str) -> Experiment:
    grid = checked.grid
    experiment = Experiment(
        project=actor.project,
        name=checked.name,
        uid=uid_new(),
        description=description,
        preset=checked.preset,
        algorithm=grid.algorithm,
        hyperparameters=dict(grid.hyperparameters),
        configurations=[configuration.to_json() for configuration in grid.configurations],
        sample_sizes=list(grid.sample_sizes),
        instance_types=list(grid.instance_types),
        training_instance_type=checked.training_instance_type,
        train_version=checked.train,
        train_reference=str(checked.train),
        test_version=checked.test,
        test_reference=str(checked.test),
        parallelism=checked.parallelism,
        unserved=checked.unserved,
        k_max=checked.k_max,
        batches=checked.batches,
        single_requests=checked.single_requests,
        tags=checked.tags,
        created_by=actor.user,
        created_at=clock.now(),
    )
    try:
        with transaction.atomic():
            experiment.save(force_insert=True)
    except IntegrityError:
        raise name_taken(actor.project, checked.name) from None
    ExperimentCell.objects.bulk_create(
        ExperimentCell(
            experiment=experiment,
            position=position,
            configuration=training.configuration.name,
            sample_size=training.n_sampled,
            instance_type=instance_type,
            hyperparameters=dict(training.hyperparameters),
            training_key=training.key(grid.algorithm),
        )
        for position, (training, instance_type) in enumerate(grid.cells, start=1)
    )
    return experiment


def _audit_create(actor: Actor, experiment: Experiment) -> None:
    detail = {
        "preset": experiment.preset,
        "algorithm": experiment.algorithm,
        "train": experiment.train_reference,
        "test": experiment.test_reference,
        "n_cells": experiment.cells.count(),
        "instance_types": experiment.instance_types,
    }
    audit_record(actor=actor, action="experiment.create", target=experiment.name, detail=detail)


def _refuse_resume(experiment: Experiment, *, has_cells: bool) -> None:
    if not experiment.ended:
        message = _(
            "Experiment {name} is {status}; it can be resumed when it has ended",
            name=repr(experiment.name),
            status=str(experiment.status),
        )
        raise Conflict(message)
    endpoints_left_refuse(experiment)
    if not has_cells:
        raise Conflict(
            _(
                "Experiment {name} has nothing left to do: every cell is Completed",
                name=repr(experiment.name),
            )
        )
