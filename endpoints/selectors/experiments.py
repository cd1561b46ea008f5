"""Reads experiments: lists, one of them, its cells, what it has made and what would go with it.

Every function sees only the actor's project; an experiment of another project is as unknown as one that never was. What
its evaluations have found, for charts, is `experiment_results`; tables are `experiment_tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.db.models.fields.json import KeyTransform

from endpoints.models import Endpoint, Evaluation, Experiment, ExperimentCell, Model
from jobs.models import TrainingJob
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TERMINAL_CELL, TERMINAL_EVALUATION, CellStatus, ExperimentStatus
from mlplatform.core.text import text as _

ORDERS: Final = {"created": "created_at", "name": "name", "status": "status"}
_TABLE_PARTS: Final = ("quality", "latency")


@dataclass(frozen=True)
class ExperimentMade:
    """What the cells of an experiment have made and is still there."""

    evaluations: Sequence[Evaluation] = ()
    models: Sequence[Model] = ()
    training_jobs: Sequence[TrainingJob] = ()


@dataclass(frozen=True)
class ExperimentDeletion:
    """What goes with an experiment. `kept_models` are served by endpoints: they stay, and so do their jobs."""

    n_evaluations: int = 0
    n_models: int = 0
    n_training_jobs: int = 0
    kept_models: tuple[str, ...] = ()


def experiment_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[Experiment]:
    """A page of the project's experiments, each with `n_cells`, `n_completed`, `n_failed` and `n_ended`.

    Args:
        search: Part of the name or description.
        status: One of `ExperimentStatus`.

    Raises:
        InvalidRequest: an unknown status or order, a limit or cursor that is wrong.
    """
    experiments = Experiment.objects.filter(project=actor.project)
    if search:
        part = search[:100]
        experiments = experiments.filter(Q(name__icontains=part) | Q(description__icontains=part))
    if status:
        experiments = experiments.filter(status=_status(status))
    return page_of(
        experiments,
        orders=ORDERS,
        order=order,
        limit=limit,
        cursor=cursor,
        load=lambda found: _counted(found.select_related("project", "created_by")),
    )


def experiment_get(*, actor: Actor, name: str) -> Experiment:
    """The experiment of that name, with the counts that lists have. Raises NotFound."""
    experiments = Experiment.objects.select_related(
        "project", "created_by", "train_version__dataset", "test_version__dataset"
    )
    found = _counted(experiments).filter(project=actor.project, name=name[:64]).first()
    if found is None:
        raise NotFound(_("There is no experiment {name}", name=repr(name[:63])))
    return found


def experiment_counts(*, actor: Actor) -> dict[str, int]:
    """How many experiments have each status; every status is a key."""
    counted = (
        Experiment.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in ExperimentStatus} | dict(counted)


def experiment_cells(*, experiment: Experiment, results: bool = False) -> list[ExperimentCell]:
    """The cells in their order with job, model, endpoint and evaluation, in one query.

    Args:
        results: With what tables need of the evaluations' large results, `quality` and `latency`, in one more query;
            whole ones of hundreds of cells would fill the memory. Otherwise they are read one by one, when asked for.
    """
    rows = ExperimentCell.objects.filter(experiment=experiment).select_related(
        "training_job", "model", "endpoint", "evaluation"
    )
    cells = list(rows.defer("training_job__manifest", "model__manifest", "evaluation__result"))
    if results:
        _with_results(experiment, cells)
    return cells


def experiment_made(*, experiment: Experiment) -> ExperimentMade:
    """What its cells have made. Models are those of its jobs that bear the name of the job, as cells name theirs: a
    model that a person made of a job under another name is theirs.
    """
    cells = ExperimentCell.objects.filter(experiment=experiment)
    jobs = list(TrainingJob.objects.filter(experiment_cells__in=cells).distinct().order_by("pk"))
    evaluations = Evaluation.objects.filter(experiment_cells__in=cells, status__in=TERMINAL_EVALUATION).defer(
        "result"
    )
    own = Model.objects.filter(
        Q(experiment_cells__in=cells) | Q(training_job__in=jobs, name__in=[job.name for job in jobs])
    )
    return ExperimentMade(
        evaluations=list(evaluations.distinct().order_by("pk")),
        models=list(own.select_related("training_job").distinct().order_by("pk")),
        training_jobs=[job for job in jobs if job.ended],
    )


def experiment_deletion(*, experiment: Experiment) -> ExperimentDeletion:
    """What would be deleted with it, and what would stay."""
    made = experiment_made(experiment=experiment)
    served = _models_served(experiment)
    kept = [model for model in made.models if model.pk in served]
    kept_jobs = {model.training_job_id for model in kept}
    return ExperimentDeletion(
        n_evaluations=len(made.evaluations),
        n_models=len(made.models) - len(kept),
        n_training_jobs=sum(job.pk not in kept_jobs for job in made.training_jobs),
        kept_models=tuple(model.name for model in kept),
    )


def _with_results(experiment: Experiment, cells: Sequence[ExperimentCell]) -> None:
    evaluations = Evaluation.objects.filter(experiment_cells__experiment=experiment, result__isnull=False)
    parts = evaluations.values_list("pk", *(KeyTransform(part, "result") for part in _TABLE_PARTS))
    found = {pk: dict(zip(_TABLE_PARTS, values, strict=True)) for pk, *values in parts}
    for cell in cells:
        if cell.evaluation is not None:
            cell.evaluation.result = found.get(cell.evaluation.pk)


def _models_served(experiment: Experiment) -> set[int]:
    """Models that endpoints of the project serve, are about to, or have replicas of that are ending."""
    endpoints = Endpoint.objects.filter(project_id=experiment.project_id)
    places = ("wanted__variants__model", "live__variants__model", "replicas__variant__model")
    return {model_id for row in endpoints.values_list(*places) for model_id in row if model_id}


def experiment_cell_counts(experiment: Experiment) -> dict[str, int]:
    """How many of its cells have each status, of an experiment that came from here."""
    return {status.value: getattr(experiment, _of(status)) for status in CellStatus}


def _of(status: CellStatus) -> str:
    return f"n_of_{status.value.lower()}"


def _counted(experiments: QuerySet[Experiment]) -> QuerySet[Experiment]:
    return experiments.annotate(
        n_cells=Count("cells"),
        **{_of(status): Count("cells", filter=Q(cells__status=status)) for status in CellStatus},
        n_completed=Count("cells", filter=Q(cells__status=CellStatus.COMPLETED)),
        n_failed=Count("cells", filter=Q(cells__status=CellStatus.FAILED)),
        n_ended=Count("cells", filter=Q(cells__status__in=TERMINAL_CELL)),
    )


def _status(status: str) -> ExperimentStatus:
    try:
        return ExperimentStatus(status)
    except ValueError:
        raise InvalidRequest.for_field(
            "status",
            _(
                "{value} is not a status; use {accepted}",
                value=repr(status[:40]),
                accepted=", ".join(ExperimentStatus),
            ),
        ) from None
