"""Reading training jobs: lists, one job, its events, its state of waiting, its artifact. Metrics are in
`metrics`.

Every function sees only the actor's project; a job of another project is as unknown as one that never was.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.models import JobEvent, TrainingJob
from jobs.selectors.instances import queue_use
from jobs.selectors.metrics import MetricSeries, training_job_metric_summaries, training_job_metrics
from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest, NotFound
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.translation import translated

__all__ = [
    "MetricSeries",
    "training_job_artifact",
    "training_job_counts",
    "training_job_events",
    "training_job_get",
    "training_job_list",
    "training_job_metric_summaries",
    "training_job_metrics",
    "training_job_output",
    "training_job_waiting_reason",
    "training_jobs_matching",
]
ORDERS: Final = {
    "created": "created_at",
    "name": "name",
    "status": "status",
    "algorithm": "algorithm",
    "instance_type": "instance_type",
}
_TAKEN_WITHIN: Final = timedelta(seconds=3)


def training_job_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    algorithm: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[TrainingJob]:
    """A page of the project's jobs. Raises InvalidRequest for an unknown status or order, a limit or cursor
    that is wrong.

    Args:
        search: Part of the name.
        status: One of `TrainingJobStatus`.
    """
    jobs = training_jobs_matching(actor=actor, search=search, status=status, algorithm=algorithm)
    return page_of(jobs, orders=ORDERS, order=order, limit=limit, cursor=cursor, load=_listed)


def training_jobs_matching(
    *, actor: Actor, search: str = "", status: str = "", algorithm: str = ""
) -> QuerySet[TrainingJob]:
    """The project's jobs that fulfil all conditions given. Raises InvalidRequest for an unknown status."""
    jobs = TrainingJob.objects.filter(project=actor.project)
    if search:
        jobs = jobs.filter(name__icontains=search[:100])
    if status:
        jobs = jobs.filter(status=_status(status))
    if algorithm:
        jobs = jobs.filter(algorithm=algorithm[:40])
    return jobs


def training_job_get(*, actor: Actor, name: str) -> TrainingJob:
    """The job of that name. Raises NotFound."""
    jobs = TrainingJob.objects.select_related("project", "log", "created_by", "source")
    job = jobs.filter(project=actor.project, name=name[:64]).first()
    if job is None:
        raise NotFound(_("There is no training job %(name)r") % {"name": name[:63]})
    return job


def training_job_counts(*, actor: Actor) -> dict[str, int]:
    """How many jobs the project has in each status; every status is there."""
    counted = (
        TrainingJob.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in TrainingJobStatus} | dict(counted)


def training_job_events(*, job: TrainingJob) -> list[JobEvent]:
    """All that happened to the job, oldest first."""
    return list(job.events.all())


def training_job_waiting_reason(*, job: TrainingJob) -> str | None:
    """Why a pending job is not running yet, for its page; None for one that is not pending
    or is being taken, as it is normal in the first seconds.
    """
    if job.ended or job.secondary_status != SecondaryStatus.PENDING:
        return None
    use = queue_use(queue=job.queue, besides=job)
    if use.n_workers == 0:
        return _(
            "No worker serves the queue “%(queue)s”, which %(instance_type)s needs. The job starts when one is "
            "started: .venv/bin/python manage.py worker --queues %(queue)s"
        ) % {"queue": job.queue, "instance_type": job.instance_type}
    if use.no_room and not use.n_places:
        return _("No worker begins a job now: %(reason)s. The job starts when there is room again.") % {
            "reason": translated(use.no_room)
        }
    if not use.has_place:
        return ngettext(
            "The one place for jobs on the queue “%(queue)s” is taken. The job starts when it is free.",
            "All %(n)d places for jobs on the queue “%(queue)s” are taken. The job starts when one is free.",
            use.n_places,
        ) % {"queue": job.queue, "n": use.n_places}
    if clock.now() - job.created_at < _TAKEN_WITHIN:
        return None
    return _("A worker is about to take the job.")


def training_job_artifact(*, actor: Actor, name: str) -> tuple[Iterator[bytes], str, int]:
    """The artifact's content in pieces, its file name and size. Raises NotFound for a job without one."""
    job = training_job_get(actor=actor, name=name)
    if not job.artifact_uri:
        raise NotFound(_("Training job %(name)r has no artifact") % {"name": name[:63]})
    return object_store().chunks(job.artifact_uri), f"{job.name}-model.tar.gz", job.artifact_bytes or 0


def training_job_output(*, actor: Actor, name: str) -> tuple[Iterator[bytes], str, int]:
    """What the job left in `output/data`: its content in pieces, file name and size. Raises NotFound without one."""
    job = training_job_get(actor=actor, name=name)
    if not job.output_uri:
        raise NotFound(_("Training job %(name)r left nothing in its output folder") % {"name": name[:63]})
    return object_store().chunks(job.output_uri), f"{job.name}-output.tar.gz", job.output_bytes or 0


def _listed(jobs: QuerySet[TrainingJob]) -> QuerySet[TrainingJob]:
    """With what lists show, and without the long fields that they do not."""
    return jobs.select_related("project", "created_by").defer("manifest", "hyperparameters", "environment")


def _status(status: str) -> TrainingJobStatus:
    try:
        return TrainingJobStatus(status)
    except ValueError:
        accepted = ", ".join(TrainingJobStatus)
        message = _("%(value)r is not a status; use %(accepted)s") % {
            "value": status[:40],
            "accepted": accepted,
        }
        raise InvalidRequest.for_field("status", message) from None
