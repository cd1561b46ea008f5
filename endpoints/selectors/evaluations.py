"""Reads evaluations: lists, one of them, its rows, and the request that would make it again.

Every function sees only the actor's project; an evaluation of another project is as unknown as one that never was.
Tables of results are `endpoints.selectors.evaluation_tables`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, Final

from django.db.models import Count, Q, QuerySet

from endpoints.evaluation.predictions import Predictions, PredictionsHeader, RowsFound
from endpoints.models import Evaluation
from jobs.models import TrainingJob
from jobs.selectors.instances import queue_use
from mlplatform.core import clock
from mlplatform.core.errors import FieldError, InvalidRequest, NotFound
from mlplatform.core.names import name_with_time
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EvaluationStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _

ORDERS: Final = {
    "created": "created_at",
    "name": "name",
    "status": "status",
    "endpoint": "endpoint_name",
    "dataset": "dataset_reference",
}
QUEUE: Final = "cpu"
ROWS_MAX: Final = 1000
_TAKEN_WITHIN_S: Final = 3.0


def evaluation_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    endpoint: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[Evaluation]:
    """A page of the project's evaluations, without their large results.

    Args:
        search: Part of the name of the evaluation, its endpoint, model or dataset.
        status: One of `EvaluationStatus`.
        endpoint: Name of the endpoint that was measured.

    Raises:
        InvalidRequest: an unknown status or order, a limit or cursor that is wrong.
    """
    matching = evaluations_matching(actor=actor, search=search, status=status, endpoint=endpoint)
    return page_of(
        matching,
        orders=ORDERS,
        order=order,
        limit=limit,
        cursor=cursor,
        load=lambda found: found.select_related("project", "created_by").defer("result"),
    )


def evaluations_matching(
    *, actor: Actor, search: str = "", status: str = "", endpoint: str = ""
) -> QuerySet[Evaluation]:
    """The project's evaluations that fulfil all conditions given. Raises InvalidRequest for an unknown status."""
    evaluations = Evaluation.objects.filter(project=actor.project)
    if search:
        part = search[:100]
        evaluations = evaluations.filter(
            Q(name__icontains=part)
            | Q(endpoint_name__icontains=part)
            | Q(model_name__icontains=part)
            | Q(dataset_reference__icontains=part)
        )
    if status:
        evaluations = evaluations.filter(status=_status(status))
    if endpoint:
        evaluations = evaluations.filter(endpoint_name=endpoint[:63])
    return evaluations


def evaluation_get(*, actor: Actor, name: str) -> Evaluation:
    """The evaluation of that name, with its result. Raises NotFound."""
    found = (
        Evaluation.objects.select_related(
            "project", "created_by", "endpoint", "model", "dataset_version__dataset"
        )
        .filter(project=actor.project, name=name[:64])
        .first()
    )
    if found is None:
        raise NotFound(_("There is no evaluation {name}", name=repr(name[:63])))
    return found


def training_job_evaluations(*, job: TrainingJob, limit: int = 5) -> list[Evaluation]:
    """The newest evaluations of models that the job left, without their large results."""
    evaluations = Evaluation.objects.filter(project_id=job.project_id, training_job_name=job.name)
    return list(evaluations.defer("result").order_by("-created_at", "-pk")[:limit])


def evaluation_counts(*, actor: Actor) -> dict[str, int]:
    """How many evaluations have each status; every status is a key."""
    counted = (
        Evaluation.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in EvaluationStatus} | dict(counted)


def evaluation_waiting_reason(*, evaluation: Evaluation) -> str | None:
    """Why it has not begun; None for one that has, or is being taken, as it is normal in the first seconds."""
    if evaluation.status != EvaluationStatus.IN_PROGRESS or evaluation.lease_owner:
        return None
    use = queue_use(queue=QUEUE)
    if use.n_workers == 0:
        return _(
            "No worker serves the queue “{queue}”. The evaluation begins when one is started: "
            ".venv/bin/python manage.py worker --queues {queue}",
            queue=QUEUE,
        )
    waited_s = (clock.now() - evaluation.created_at).total_seconds()
    if waited_s < _TAKEN_WITHIN_S:
        return None
    return _("It waits for a place of a worker; training jobs may have taken all of them.")


def evaluation_rows(
    *,
    evaluation: Evaluation,
    k: int | None = None,
    label: str | None = None,
    prediction: str | None = None,
    only_wrong: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> RowsFound:
    """Rows of the dataset as {"row", "label", "prediction", "correct"}, and how many there are in all.

    None before the evaluation is Completed. O(rows of the dataset) in time.

    Args:
        k: Whose predictions; those of the largest by default.
        label, prediction: Only rows with these.
        only_wrong: Only rows whose prediction is not the label.
        offset: How many to pass over.
        limit: At most 1,000.

    Raises:
        InvalidRequest: there are no predictions for this k, or it is of no use here; an unknown label.
        NotFound: the predictions are no longer in the store.
        TransientError: the store is away.
    """
    if not evaluation.result_uri:
        return RowsFound([], 0)
    try:
        return _predictions(evaluation, k, label, prediction).rows(
            k=k,
            label=label or None,
            prediction=prediction or None,
            only_wrong=only_wrong,
            offset=max(0, offset),
            limit=min(max(0, limit), ROWS_MAX),
        )
    except ValueError as error:
        raise NotFound(_("The predictions cannot be read: {reason}", reason=str(error))) from None


def evaluation_rows_every(
    *,
    evaluation: Evaluation,
    k: int | None = None,
    label: str | None = None,
    prediction: str | None = None,
    only_wrong: bool = False,
) -> Iterator[dict[str, Any]]:
    """All rows that `evaluation_rows` would find, one after the other, for a file. Raises what that raises, at once."""
    if not evaluation.result_uri:
        return iter(())
    try:
        return _predictions(evaluation, k, label, prediction).every(
            k=k, label=label or None, prediction=prediction or None, only_wrong=only_wrong
        )
    except ValueError as error:
        raise NotFound(_("The predictions cannot be read: {reason}", reason=str(error))) from None


def evaluation_repeat_request(*, actor: Actor, name: str) -> dict[str, Any]:
    """Arguments with which `evaluation_create` would measure the same again, under a fresh name. Raises NotFound."""
    found = evaluation_get(actor=actor, name=name)
    return {
        "name": name_with_time(found.endpoint_name, clock.now()),
        "endpoint": found.endpoint_name,
        "dataset": found.dataset_reference,
        "variant": found.variant,
        "k_max": found.k_max,
        "batches": found.batches,
        "single_requests": found.single_requests,
        "tags": dict(found.tags),
    }


def _predictions(
    evaluation: Evaluation, k: int | None, label: str | None, prediction: str | None
) -> Predictions:
    predictions = Predictions(partial(_piece, evaluation.result_uri))
    _wanted_check(predictions.header, k, {"label": label, "prediction": prediction})
    return predictions


def _piece(result_uri: str, offset: int, size_bytes: int) -> bytes:
    return object_store().piece(result_uri, offset=offset, size_bytes=size_bytes)


def _wanted_check(header: PredictionsHeader, k: int | None, names: Mapping[str, str | None]) -> None:
    errors: list[FieldError] = []
    if k is not None and header.k is None:
        errors.append(FieldError("k", _("the predictions of this evaluation are of no k; leave it out")))
    elif k is not None and header.k is not None and k not in header.k:
        message = _("there are no predictions for {k}; use 1 to {last}", k=k, last=max(header.k))
        errors.append(FieldError("k", message))
    for field, name in names.items():
        if name and name not in (header.labels or ()):
            errors.append(FieldError(field, _("“{name}” is not one of the labels", name=name[:80])))
    if errors:
        raise InvalidRequest.for_fields(errors)


def _status(status: str) -> EvaluationStatus:
    try:
        return EvaluationStatus(status)
    except ValueError:
        raise InvalidRequest.for_field(
            "status",
            _(
                "{value} is not a status; use {accepted}",
                value=repr(status[:40]),
                accepted=", ".join(EvaluationStatus),
            ),
        ) from None
