"""Mends what a lost worker or message left of runs: given to another worker, ended, or sent again.

Called every few seconds by hosts, and by the scheduler where there is none, through the services of each kind of run.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from endpoints.services.run_lease import RunKind, run_leases_sweep
from jobs.services.sweeping import Resending
from mlplatform.core import clock
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.nodes import queues_served

RESEND_AFTER_S: Final = 15
WAITING_MAX: Final = 50


def run_sweep(*, kind: RunKind, resending: Resending | None = None) -> int:
    """Takes runs from workers that are gone and sends the messages of those that nobody took, again and again.

    Nothing is sent while nobody listens.

    Args:
        resending: Remembers what was sent when, of this kind alone; without it only runs that were lost just now are
            sent again.

    Returns:
        How many runs were lost.
    """
    if not kind.under_way.exists():  # an idle platform is asked one question every few seconds, not five
        return 0
    lost = run_leases_sweep(kind=kind)
    due = _due(kind, resending) if resending is not None and kind.queue in queues_served() else []
    for run_id in dict.fromkeys([*lost, *due]):
        if not dispatch_now(kind.task, object_id=run_id, queue=kind.queue):
            break  # A broker that is away would keep the host waiting for each of them, and its replicas for it.
        if resending is not None and run_id in due:
            resending.sent(run_id)
    return len(lost)


def _due(kind: RunKind, resending: Resending) -> list[int]:
    """Runs that nobody has taken and whose message is to be sent again now."""
    now = clock.now()
    # A creation in the future is one from before the clock was set back.
    waiting = kind.waiting.exclude(created_at__range=(now - timedelta(seconds=RESEND_AFTER_S), now))
    return resending.due_of(
        list(waiting.order_by("created_at", "pk").values_list("pk", flat=True)[:WAITING_MAX])
    )
