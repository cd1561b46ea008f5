"""What the queues look like from one project: who serves each, and what waits or runs on it."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from jobs.instance_types import instance_type_list
from jobs.models import TrainingJob
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import nodes_alive
from mlplatform.core.people.access import Actor
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus


@dataclass(frozen=True)
class QueueState:
    """`n_slots` jobs can run at once on the `n_workers` alive; waiting and running are the project's own jobs.

    `n_hosts` are those that run model servers of its instance types.
    """

    name: str
    n_workers: int
    n_hosts: int
    n_slots: int
    n_waiting: int
    n_running: int
    instance_types: tuple[str, ...]

    @property
    def served(self) -> bool:
        return self.n_workers > 0

    @property
    def hosted(self) -> bool:
        return self.n_hosts > 0


def queue_states(*, actor: Actor) -> list[QueueState]:
    """Every queue that an instance type needs or a living worker or host serves, by name."""
    workers = list(nodes_alive(kind=NodeKind.WORKER))
    hosts = list(nodes_alive(kind=NodeKind.HOST))
    needed: dict[str, list[str]] = {}
    for instance_type in instance_type_list():
        needed.setdefault(instance_type.queue, []).append(instance_type.name)
    counts = _counts(actor)
    names = sorted(needed.keys() | {queue for node in (*workers, *hosts) for queue in node.queues})
    return [
        QueueState(
            name=name,
            n_workers=sum(name in worker.queues for worker in workers),
            n_hosts=sum(name in host.queues for host in hosts),
            n_slots=sum(worker.concurrency for worker in workers if name in worker.queues),
            n_waiting=counts.get(name, (0, 0))[0],
            n_running=counts.get(name, (0, 0))[1],
            instance_types=tuple(needed.get(name, ())),
        )
        for name in names
    ]


def _counts(actor: Actor) -> dict[str, tuple[int, int]]:
    pending = Q(secondary_status=SecondaryStatus.PENDING)
    rows = (
        TrainingJob.objects.filter(
            project=actor.project, status__in=[TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING]
        )
        .order_by()
        .values_list("queue")
        .annotate(waiting=Count("pk", filter=pending), running=Count("pk", filter=~pending))
    )
    return {queue: (waiting, running) for queue, waiting, running in rows}
