"""What the doctor looks at in the room of jobs: workers and the queues they serve, and jobs that do not get on.

Loaded by the room's AppConfig, which registers the checks. Numbers only: no job is named, because an operator need not
be a member of its project.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Min

from jobs.models import TrainingJob
from jobs.runner.isolation import BUBBLEWRAP
from jobs.selectors.instances import queue_use
from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.health.checks.nodes import node_findings
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.probes import broker_state
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import node_is_gone, node_runs_here, nodes_alive, queues_served
from mlplatform.core.startup.holder import runs_under_up
from mlplatform.core.status import ACTIVE_TRAINING, SecondaryStatus, TrainingJobStatus
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
UNSWEPT_S: Final = 60
"""A lease that ran out is swept within seconds; the sweeper itself waits for 30 s after the database was away."""
WAITING_S: Final = 120
"""So long a job with a free place may wait: its message was lost, and the sweeper has sent it again several times."""

DEAF_S: Final = 20
"""A worker that has only just been started may still be connecting."""


@doctor_check("workers", title=_("Workers"), reads_database=True)
def workers_check() -> Iterator[Finding]:
    yield from node_findings(
        check="workers",
        kind=NodeKind.WORKER,
        nobody=_("No worker is alive: no training job starts"),
        command="worker --queues cpu",
    )
    served = queues_served()
    for queue, n_waiting, oldest_at in _waiting_by_queue():
        if queue not in served:
            yield _unserved(queue, n_waiting, oldest_at)
    yield from _deaf()


@doctor_check("jobs", title=_("Training jobs"), reads_database=True)
def jobs_check() -> Iterator[Finding]:
    wrong = [*_unswept(), *_unstopped(), *_undelivered()]
    if not wrong:
        active = TrainingJob.objects.filter(status__in=ACTIVE_TRAINING)
        n_waiting = active.filter(secondary_status=SecondaryStatus.PENDING).count()
        n_running = active.exclude(secondary_status=SecondaryStatus.PENDING).count()
        said = _(
            "{running} running, {waiting} waiting; every lease is kept", running=n_running, waiting=n_waiting
        )
        yield Finding("jobs", Level.OK, said)
    yield from wrong


@doctor_check("sandbox", title=_("Sandbox"), reads_database=True)
def sandbox_check() -> Iterator[Finding]:
    """As the workers and hosts themselves have found their machines; nodes that do not tell are not asked."""
    told = [(node, node.info["sandbox"]) for node in nodes_alive() if node.info.get("sandbox")]
    open_ones = [node for node, name in told if name != BUBBLEWRAP]
    for node in open_ones:
        yield _without_sandbox(node)
    if told and not open_ones:
        said = _("Every job and model server runs in a sandbox (bubblewrap)")
        yield Finding("sandbox", Level.OK, said)


def _without_sandbox(node: Node) -> Finding:
    said = _(
        "Jobs and models on {host} see the machine's files and network: {reason}",
        host=node.hostname,
        reason=str(node.info.get("sandbox_reason", "")),
    )
    if node.info.get("sandbox_missing"):
        return Finding("sandbox", Level.WARNING, said, _("apt-get install bubblewrap, then start it again"))
    remedy = _(
        "Allow user namespaces (sysctl -w kernel.unprivileged_userns_clone=1 and, on Ubuntu,"
        " kernel.apparmor_restrict_unprivileged_userns=0), or take MLPLATFORM_SANDBOX=off away; then start it again"
    )
    return Finding("sandbox", Level.WARNING, said, remedy)


def _waiting_by_queue() -> list[tuple[str, int, datetime]]:
    """Queue, number of pending jobs, when the oldest was created."""
    pending = TrainingJob.objects.filter(
        status=TrainingJobStatus.IN_PROGRESS, secondary_status=SecondaryStatus.PENDING
    )
    rows = pending.order_by("queue").values_list("queue").annotate(n=Count("pk"), oldest=Min("created_at"))
    return list(rows)


def _unserved(queue: str, n_waiting: int, oldest_at: datetime) -> Finding:
    return Finding(
        "workers",
        Level.FAILED,
        _(
            "{n} jobs wait on the queue {queue}, the oldest for {time}, and no worker serves it",
            n=n_waiting,
            queue=queue,
            time=_since(oldest_at),
        ),
        _("Start one that does: `.venv/bin/python manage.py worker --queues {queue}`.", queue=queue),
    )


def _deaf() -> Iterator[Finding]:
    """Workers whose heart beats while nobody takes messages: after a broker was away, Celery has been seen to do so."""
    begun_before = clock.now() - timedelta(seconds=DEAF_S)
    workers = [node for node in nodes_alive(kind=NodeKind.WORKER) if not node_is_gone(node)]
    if not workers or max(node.started_at for node in workers) > begun_before:
        return
    served = {queue for node in workers for queue in node.queues}
    try:
        state = broker_state(queues=tuple(sorted(served)))
    except Exception as error:
        # That the broker is away is a finding of its own.
        logger.debug("queues not looked at: %s", type(error).__name__)
        return
    free = [queue for queue in served if queue_use(queue=queue).has_place]
    if free and state.n_consumers == 0 and any(state.n_messages.get(queue) for queue in free):
        n = sum(state.n_messages.values())
        said = _(
            "{n} messages wait in the broker, and no worker takes them although there are free places", n=n
        )
        yield Finding("workers", Level.FAILED, said, _restart_workers(workers))


def _restart_workers(workers: list[Node]) -> Text:
    """A number to kill is told of processes alone that run on this machine: elsewhere it is another's."""
    pids = " ".join(str(node.pid) for node in workers if node_runs_here(node))
    if pids and runs_under_up():
        return _(
            "End the worker (`kill {pids}`): `manage.py up` starts another, which connects anew.", pids=pids
        )
    names = ", ".join(f"{node.name} ({node.hostname})" for node in workers)
    return _("Restart the worker {names}, so that it connects to the broker anew.", names=names)


def _unswept() -> Iterator[Finding]:
    active = (TrainingJobStatus.IN_PROGRESS, TrainingJobStatus.STOPPING)
    late = TrainingJob.objects.filter(
        status__in=active, lease_expires_at__lt=clock.now() - timedelta(seconds=UNSWEPT_S)
    ).exclude(lease_owner="")
    counted = late.aggregate(n=Count("pk"), oldest=Min("lease_expires_at"))
    if counted["n"]:
        said = _(
            "{n} running jobs have lost their worker, the first {time} ago, and were not started again",
            n=counted["n"],
            time=_since(counted["oldest"]),
        )
        yield Finding("jobs", Level.FAILED, said, _scheduler_remedy())


def _unstopped() -> Iterator[Finding]:
    waiting = TrainingJob.objects.filter(
        status=TrainingJobStatus.STOPPING,
        lease_owner="",
        stop_requested_at__lt=clock.now() - timedelta(seconds=UNSWEPT_S),
    )
    counted = waiting.aggregate(n=Count("pk"), oldest=Min("stop_requested_at"))
    if counted["n"]:
        said = _(
            "{n} jobs were to be stopped {time} ago and nobody has done it",
            n=counted["n"],
            time=_since(counted["oldest"]),
        )
        yield Finding("jobs", Level.FAILED, said, _scheduler_remedy())


def _undelivered() -> Iterator[Finding]:
    """Jobs that wait although a worker of their queue has a free place."""
    before = clock.now() - timedelta(seconds=WAITING_S)
    for queue, n_waiting, oldest_at in _waiting_by_queue():
        use = queue_use(queue=queue)
        if use.n_workers and use.has_place and oldest_at < before:
            said = _(
                "{n} jobs wait on the queue {queue}, the oldest for {time}, although {free} places are free",
                n=n_waiting,
                queue=queue,
                time=_since(oldest_at),
                free=use.n_places - use.n_running,
            )
            remedy = _(
                "Their messages do not arrive: look at the broker and the scheduler here, which sends them again. "
                "Restart the worker of that queue if both are in order."
            )
            yield Finding("jobs", Level.FAILED, said, remedy)


def _scheduler_remedy() -> Text:
    return _(
        "This is the scheduler's work: look at its state here, or start one with "
        "`.venv/bin/python manage.py scheduler`."
    )


def _since(at: datetime) -> Text:
    return time_text(max(0.0, (clock.now() - at).total_seconds()))
