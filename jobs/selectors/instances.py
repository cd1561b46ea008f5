"""How many instances of each type a project has in use, and how busy the workers of a queue are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.db.models import Sum

from jobs.models import TrainingJob
from mlplatform.core.models import NodeKind, Project
from mlplatform.core.nodes import nodes_alive
from mlplatform.core.status import ACTIVE_TRAINING
from mlplatform.core.text import from_json

NO_ROOM: Final = "no_room"
"""In a worker's heartbeat: why it begins no job, as a text of ours."""


@dataclass(frozen=True)
class QueueUse:
    """A queue's workers alive, their places for jobs, and the jobs that have one.

    A worker whose disk is below the floor has no places; `no_room` is what one of them says of that.
    """

    n_workers: int
    n_places: int
    n_running: int
    no_room: str = ""

    @property
    def has_place(self) -> bool:
        return self.n_running < self.n_places


def instance_type_usage(*, project: Project) -> dict[str, int]:
    """Instances in use by jobs that have not ended, by type; a type that is not used is left out."""
    active = TrainingJob.objects.filter(project=project, status__in=ACTIVE_TRAINING)
    used = active.order_by().values_list("instance_type").annotate(n=Sum("instance_count"))
    return dict(used)


def queue_use(*, queue: str, besides: TrainingJob | None = None) -> QueueUse:
    """What the queue has, over all projects: numbers only, nobody's names.

    Args:
        besides: A job that is not counted, for what it finds itself.
    """
    nodes = [node for node in nodes_alive(kind=NodeKind.WORKER) if queue in node.queues]
    running = TrainingJob.objects.filter(queue=queue, status__in=ACTIVE_TRAINING).exclude(lease_owner="")
    if besides is not None:
        running = running.exclude(pk=besides.pk)
    with_room = [node for node in nodes if not node.info.get(NO_ROOM)]
    return QueueUse(
        n_workers=len(nodes),
        n_places=sum(node.concurrency for node in with_room),
        n_running=running.count(),
        no_room=next((from_json(node.info[NO_ROOM]) for node in nodes if node.info.get(NO_ROOM)), ""),
    )
