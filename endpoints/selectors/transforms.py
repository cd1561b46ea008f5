"""Reads batch transforms: lists, one of them, why it waits, and its result.

Every function sees only the actor's project; a job of another project is as unknown as one that never was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.db.models import Count, Q, QuerySet, Sum

from endpoints.models import TransformJob
from jobs.selectors.instances import queue_use
from mlplatform.core import clock
from mlplatform.core.errors import FieldError, InvalidRequest, NotFound
from mlplatform.core.models import Project
from mlplatform.core.names import uri_split
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import ACTIVE_TRANSFORM, TransformJobStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _

ORDERS: Final = {
    "created": "created_at",
    "name": "name",
    "status": "status",
    "model": "model__name",
}
PREVIEW_LINES: Final = 100
PREVIEW_BYTES: Final = 256 * 1024
RESULTS_MAX: Final = 1000
_TAKEN_WITHIN_S: Final = 3.0


def transform_job_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    model: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[TransformJob]:
    """A page of the project's jobs.

    Args:
        search: Part of the name of the job, its model, dataset or address.
        status: One of `TransformJobStatus`.
        model: Name of a model.

    Raises:
        InvalidRequest: an unknown status or order, a limit or cursor that is wrong.
    """
    jobs = transform_jobs_matching(actor=actor, search=search, status=status, model=model)
    return page_of(
        jobs,
        orders=ORDERS,
        order=order,
        limit=limit,
        cursor=cursor,
        load=lambda found: found.select_related("project", "model", "created_by").defer("model__manifest"),
    )


def transform_jobs_matching(
    *, actor: Actor, search: str = "", status: str = "", model: str = ""
) -> QuerySet[TransformJob]:
    """The project's jobs that fulfil all conditions given. Raises InvalidRequest for an unknown status."""
    jobs = TransformJob.objects.filter(project=actor.project)
    if search:
        part = search[:100]
        jobs = jobs.filter(
            Q(name__icontains=part)
            | Q(model__name__icontains=part)
            | Q(dataset_reference__icontains=part)
            | Q(uri__icontains=part)
        )
    if status:
        jobs = jobs.filter(status=_status(status))
    if model:
        jobs = jobs.filter(model__name=model[:63])
    return jobs


def transform_job_get(*, actor: Actor, name: str) -> TransformJob:
    """The job of that name. Raises NotFound."""
    found = (
        TransformJob.objects.select_related(
            "project", "created_by", "model", "log", "dataset_version__dataset"
        )
        .filter(project=actor.project, name=name[:64])
        .first()
    )
    if found is None:
        raise NotFound(_("There is no transform job {name}", name=repr(name[:63])))
    return found


def transform_job_counts(*, actor: Actor) -> dict[str, int]:
    """How many jobs have each status; every status is a key."""
    counted = (
        TransformJob.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in TransformJobStatus} | dict(counted)


def transform_instances_in_use(*, project: Project, instance_type: str) -> int:
    """Instances of the type that jobs which have not ended use."""
    active = TransformJob.objects.filter(
        project=project, status__in=ACTIVE_TRANSFORM, instance_type=instance_type
    )
    return active.aggregate(n=Sum("instance_count"))["n"] or 0


def transform_job_waiting_reason(*, job: TransformJob) -> str | None:
    """Why it has not begun; None for one that has, or is being taken, as it is normal in the first seconds."""
    if job.status != TransformJobStatus.IN_PROGRESS or job.lease_owner:
        return None
    use = queue_use(queue=job.queue)
    if use.n_workers == 0:
        return _(
            "No worker serves the queue “{queue}”. The job begins when one is started: "
            ".venv/bin/python manage.py worker --queues {queue}",
            queue=job.queue,
        )
    if use.no_room:
        return use.no_room
    if (clock.now() - job.created_at).total_seconds() < _TAKEN_WITHIN_S:
        return None
    return _("It waits for a place of a worker; training jobs may have taken all of them.")


@dataclass(frozen=True)
class ResultObject:
    """One object of a result. `name` is its key below the result's folder."""

    uri: str
    name: str
    size_bytes: int


@dataclass(frozen=True)
class ResultPreview:
    """The first lines of a result, as text; `cells` has them cut where they are CSV. `whole`: there are no more."""

    lines: list[str]
    cells: list[list[str]]
    whole: bool


def transform_results(*, job: TransformJob) -> list[ResultObject]:
    """The objects of the result, at most the first thousand. Raises TransientError."""
    if not job.result_uri:
        return []
    if not job.result_uri.endswith("/"):
        name = job.result_uri.rpartition("/")[2]
        return [ResultObject(job.result_uri, name, job.result_bytes or 0)]
    found = []
    for item in object_store().list(job.result_uri):
        found.append(ResultObject(item.uri, item.uri.removeprefix(job.result_uri), item.size_bytes))
        if len(found) >= RESULTS_MAX:
            break
    return sorted(found, key=lambda item: item.name)


def transform_result_get(*, job: TransformJob, name: str = "") -> ResultObject:
    """One object of the result; the first where no name is given. Raises NotFound, TransientError."""
    if name and job.result_uri.endswith("/"):
        chosen = _named_result(job, name)
    else:
        results = transform_results(job=job)
        chosen = next((item for item in results if item.name == name or not name), None)
    if chosen is None:
        raise NotFound(_("Transform job {name} has no such result", name=repr(job.name)))
    return chosen


def _named_result(job: TransformJob, name: str) -> ResultObject | None:
    """Looked up and not looked for: there may be more than are listed."""
    address = f"{job.result_uri}{name}"
    try:
        uri_split(address)
    except InvalidRequest:
        return None
    size = None if name.endswith("/") else object_store().size(address)
    return None if size is None else ResultObject(address, name, size)


def transform_result_chunks(*, result: ResultObject) -> Iterator[bytes]:
    """The content, piece by piece. Raises NotFound, TransientError."""
    return object_store().chunks(result.uri)


def transform_result_preview(*, job: TransformJob, name: str = "") -> ResultPreview | None:
    """The first hundred lines; None where there is no result, or it is no text. Raises TransientError."""
    from endpoints.transform.preview import preview_cells

    if not job.result_uri:
        return None
    result = transform_result_get(job=job, name=name)
    head = object_store().piece(result.uri, offset=0, size_bytes=PREVIEW_BYTES)
    if b"\0" in head:
        return None
    is_whole = result.size_bytes <= len(head)
    text = head.decode("utf-8", "replace")
    lines = [line for line in text.split("\n") if line.strip()]
    if not is_whole and len(lines) > 1:
        lines.pop()
    shown = lines[:PREVIEW_LINES]
    return ResultPreview(
        lines=[line[:2000] for line in shown],
        cells=preview_cells(shown),
        whole=is_whole and len(lines) <= PREVIEW_LINES,
    )


def _status(status: str) -> Any:
    accepted = [each.value for each in TransformJobStatus]
    if status not in accepted:
        message = _(
            "{value} is not a status; use {values}", value=repr(status[:40]), values=", ".join(accepted)
        )
        raise InvalidRequest.for_fields([FieldError("status", message)])
    return status
