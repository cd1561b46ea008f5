"""How much there is of jobs and workers over all projects, for who watches the platform: numbers and no names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Min, Q

from jobs.instance_types import instance_type_list
from jobs.models import TrainingJob, TuningJob
from jobs.selectors.instances import NO_ROOM
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import nodes_alive
from mlplatform.core.status import ACTIVE_TRAINING, SecondaryStatus


@dataclass(frozen=True)
class QueueFigures:
    """One queue. `n_places` are those of workers that may begin jobs; `waiting_since` is the oldest job's."""

    name: str
    n_waiting: int = 0
    n_running: int = 0
    n_workers: int = 0
    n_places: int = 0
    n_without_room: int = 0
    n_hosts: int = 0
    waiting_since: datetime | None = None


@dataclass(frozen=True)
class JobFigures:
    """Rows by kind and status, and every queue that a type needs or somebody serves."""

    by_status: dict[tuple[str, str], int] = field(default_factory=dict)
    queues: tuple[QueueFigures, ...] = ()


def job_figures() -> JobFigures:
    """Five queries, of which two count rows by a status."""
    by_status = {
        (kind, status): n
        for kind, rows in (("training", TrainingJob.objects), ("tuning", TuningJob.objects))
        for status, n in rows.order_by().values_list("status").annotate(n=Count("pk"))
    }
    return JobFigures(by_status, tuple(_queues()))


def _queues() -> list[QueueFigures]:
    workers = list(nodes_alive(kind=NodeKind.WORKER))
    hosts = list(nodes_alive(kind=NodeKind.HOST))
    pending = Q(secondary_status=SecondaryStatus.PENDING)
    active = {
        queue: (waiting, running, since)
        for queue, waiting, running, since in TrainingJob.objects.filter(status__in=ACTIVE_TRAINING)
        .order_by()
        .values_list("queue")
        .annotate(
            waiting=Count("pk", filter=pending),
            running=Count("pk", filter=~pending),
            since=Min("created_at", filter=pending),
        )
    }
    known = {instance_type.queue for instance_type in instance_type_list()}
    served = {queue for node in (*workers, *hosts) for queue in node.queues}
    return [
        _queue(name, workers, hosts, *active.get(name, (0, 0, None)))
        for name in sorted(known | served | active.keys())
    ]


def _queue(
    name: str, workers: list[Node], hosts: list[Node], n_waiting: int, n_running: int, since: datetime | None
) -> QueueFigures:
    mine = [worker for worker in workers if name in worker.queues]
    with_room = [worker for worker in mine if not worker.info.get(NO_ROOM)]
    return QueueFigures(
        name=name,
        n_waiting=n_waiting,
        n_running=n_running,
        n_workers=len(mine),
        n_places=sum(worker.concurrency for worker in with_room),
        n_without_room=len(mine) - len(with_room),
        n_hosts=sum(name in host.queues for host in hosts),
        waiting_since=since,
    )
