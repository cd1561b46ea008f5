"""Reading tuning jobs: lists, one of them, its trials, its best one. What matters is `tuning_importance`.

Every function sees only the actor's project; a tuning job of another project is as unknown as one that never was.
"""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from jobs.models import TuningJob, TuningTrial
from jobs.models.tuning import TuningStrategy
from jobs.selectors.tuning_importance import Importance, tuning_importance
from jobs.services.training import training_job_clone_request
from mlplatform.core.errors import Conflict, InvalidRequest, NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import ACTIVE_TUNING, TrialStatus, TuningJobStatus
from mlplatform.core.text import text as _

__all__ = [
    "Importance",
    "tuning_best_request",
    "tuning_counts",
    "tuning_importance",
    "tuning_job_get",
    "tuning_job_list",
    "tuning_parents",
    "tuning_trial_counts",
    "tuning_trial_page",
    "tuning_trials",
]
ORDERS: Final = {
    "created": "created_at",
    "name": "name",
    "status": "status",
    "strategy": "strategy",
    "algorithm": "algorithm",
}
TRIAL_ORDERS: Final = {"number": "number", "value": "value"}
PARENTS_MAX_SHOWN: Final = 100


def tuning_job_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    strategy: str = "",
    algorithm: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[TuningJob]:
    """A page of the project's tuning jobs, each with `n_trials`, `n_valued`, `n_active`, `n_failed`, and its best trial
    with its job.

    Args:
        search: Part of the name or description.
        status: One of `TuningJobStatus`.
        strategy: One of `TuningStrategy`.

    Raises:
        InvalidRequest: an unknown status, strategy or order, a limit or cursor that is wrong.
    """
    found = TuningJob.objects.filter(project=actor.project)
    if search:
        part = search[:100]
        found = found.filter(Q(name__icontains=part) | Q(description__icontains=part))
    if status:
        found = found.filter(status=_one_of("status", status, [known.value for known in TuningJobStatus]))
    if strategy:
        found = found.filter(strategy=_one_of("strategy", strategy, list(TuningStrategy.values)))
    if algorithm:
        found = found.filter(algorithm=algorithm[:40])
    return page_of(found, orders=ORDERS, order=order, limit=limit, cursor=cursor, load=_listed)


def tuning_job_get(*, actor: Actor, name: str) -> TuningJob:
    """The tuning job of that name, with the counts that lists have. Raises NotFound."""
    jobs = TuningJob.objects.select_related(
        "project", "created_by", "source", "best_trial__training_job"
    ).filter(project=actor.project, name=name[:33])
    found = _counted(jobs).first()
    if found is None:
        raise NotFound(_("There is no tuning job {name}", name=repr(name[:63])))
    return found


def tuning_counts(*, actor: Actor) -> dict[str, int]:
    """How many tuning jobs have each status; every status is a key."""
    counted = (
        TuningJob.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in TuningJobStatus} | dict(counted)


def tuning_trial_counts(*, tuning_job: TuningJob) -> dict[str, int]:
    """How many of its trials have each status; every status is a key."""
    counted = tuning_job.trials.order_by().values_list("status").annotate(n=Count("pk"))
    return {status.value: 0 for status in TrialStatus} | dict(counted)


def tuning_trials(*, tuning_job: TuningJob, steps: bool = False) -> list[TuningTrial]:
    """Its trials by their numbers, each with its training job (null where that was deleted), in one query.

    Args:
        steps: Whether `steps`, which may be long, is wanted too; otherwise it is read when it is asked for.
    """
    trials = tuning_job.trials.select_related("training_job").defer(
        "training_job__manifest", "training_job__progress", "training_job__environment"
    )
    return list(trials if steps else trials.defer("steps"))


def tuning_trial_page(
    *,
    tuning_job: TuningJob,
    search: str = "",
    status: str = "",
    order: str = "-number",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[TuningTrial]:
    """A page of its trials, each with its training job; ordered by value, of those that have one.

    Args:
        search: Part of the training job's name.
        status: One of `TrialStatus`.

    Raises:
        InvalidRequest: an unknown status or order, a limit or cursor that is wrong.
    """
    trials: QuerySet[TuningTrial] = tuning_job.trials.all()
    if search:
        trials = trials.filter(job_name__icontains=search[:100])
    if status:
        trials = trials.filter(status=_one_of("status", status, [known.value for known in TrialStatus]))
    if order.removeprefix("-") == "value":
        trials = trials.filter(value__isnull=False)
    return page_of(trials, orders=TRIAL_ORDERS, order=order, limit=limit, cursor=cursor, load=_listed_trials)


def tuning_parents(*, actor: Actor) -> list[TuningJob]:
    """What a warm start may take from: tuning jobs that have ended and know a value, the newest first, 100 at most."""
    ended = TuningJob.objects.filter(project=actor.project).exclude(status__in=ACTIVE_TUNING)
    valued = TuningTrial.objects.filter(value__isnull=False).values("tuning_job")
    return list(_counted(ended).filter(pk__in=valued)[:PARENTS_MAX_SHOWN])


def tuning_best_request(*, actor: Actor, name: str) -> dict[str, Any]:
    """The training job's request of the best trial, with a fresh name, to train it again. Raises NotFound, Conflict."""
    best = tuning_job_get(actor=actor, name=name).best_trial
    if best is None:
        raise Conflict(_("Tuning job {name} has no best trial: none has a value", name=repr(name)))
    if best.training_job is None:
        raise Conflict(_("The training job {job} of the best trial was deleted", job=repr(best.job_name)))
    return training_job_clone_request(actor=actor, name=best.training_job.name)


def _listed(jobs: QuerySet[TuningJob]) -> QuerySet[TuningJob]:
    related = jobs.select_related("project", "created_by", "best_trial__training_job")
    return _counted(related.defer("warm_trials", "best_trial__steps", "best_trial__training_job__manifest"))


def _listed_trials(trials: QuerySet[TuningTrial]) -> QuerySet[TuningTrial]:
    return trials.select_related("training_job").defer("training_job__manifest", "steps")


def _counted(jobs: QuerySet[TuningJob]) -> QuerySet[TuningJob]:
    return jobs.annotate(
        n_trials=Count("trials"),
        n_valued=Count("trials", filter=Q(trials__value__isnull=False)),
        n_active=Count("trials", filter=Q(trials__status__in=(TrialStatus.PENDING, TrialStatus.IN_PROGRESS))),
        n_failed=Count("trials", filter=Q(trials__status__in=(TrialStatus.FAILED, TrialStatus.NO_METRIC))),
    )


def _one_of(field: str, value: str, accepted: list[str]) -> str:
    if value not in accepted:
        raise InvalidRequest.for_field(
            field,
            _(
                "{value} is not accepted; use one of {accepted}",
                value=repr(value[:40]),
                accepted=", ".join(accepted),
            ),
        )
    return value
