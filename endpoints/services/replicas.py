"""Changes of replica rows by hosts. Every one is a conditional UPDATE fenced by the host's name and its lease.

Not the processes (`endpoints.replicas`) and not which replicas there are to be (`endpoints.services.rollout`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from endpoints.elastic import SERVERLESS_QUEUE
from endpoints.models import Replica
from endpoints.services.elastic import demand_failed, demand_met
from endpoints.services.replica_runs import RunEnd, run_begin, run_end, run_ready, runs_end
from jobs.instance_types import instance_type_list, instance_types_of
from mlplatform.core import clock
from mlplatform.core.logs import log_end
from mlplatform.core.models import LogStream
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import ReplicaStatus
from mlplatform.core.storage.storable import storable
from mlplatform.core.transitions import status_update

LEASE_S = 20
"""A host that has not renewed its leases for so long is dead, and with it its model servers."""
_NO_PROCESS: dict[str, Any] = {
    "host": "",
    "lease_expires_at": None,
    "pid": None,
    "address": "",
    "memory_bytes": None,
}


def replica_claim(
    *,
    host: str,
    queues: Collection[str] = ("cpu",),
    limit: int = 100,
    left_to_others: Collection[int] = (),
) -> list[Replica]:
    """Takes up to `limit` pending replicas for `host`, of instance types that need one of its queues. Serverless ones
    are for hosts of the queue `cpu`.

    Two hosts never get the same one. One of a type that is no longer known is for any host, which says so.

    Args:
        left_to_others: Ids of replicas that are not taken now (`services.placement`).
    """
    mine = instance_types_of(queues)
    others = [known.name for known in instance_type_list() if known.name not in mine]
    if SERVERLESS_QUEUE not in queues:
        others.append("")
    waiting = (
        Replica.objects.filter(status=ReplicaStatus.PENDING, host="")
        .exclude(variant__instance_type__in=others)
        .exclude(pk__in=left_to_others)
        .order_by("pk")
    )
    return [replica for replica in waiting[:limit] if _claim(replica, host)]


def _claim(replica: Replica, host: str) -> bool:
    return bool(
        status_update(
            Replica.objects.filter(pk=replica.pk, status=ReplicaStatus.PENDING, host=""),
            to=ReplicaStatus.STARTING,
            host=host,
            lease_expires_at=_lease_end(),
        )
    )


def replica_renew(*, host: str) -> int:
    """Renews the leases of all replicas of `host`; how many it still has."""
    return Replica.objects.filter(host=host).update(lease_expires_at=_lease_end())


def replica_started(*, replica_id: int, host: str, pid: int) -> bool:
    """A process was started. False when the replica is no longer this host's; then it must be ended."""
    return _change(
        _owned(replica_id, host),
        to=ReplicaStatus.STARTING,
        also=lambda: run_begin(replica_id=replica_id),
        pid=pid,
        address="",
        started_at=clock.now(),
    )


def replica_ready(*, replica_id: int, host: str, address: str) -> bool:
    """It answers at `address` and gets requests from now on."""

    def also() -> None:
        run_ready(replica_id=replica_id)
        demand_met(replica_id=replica_id)

    return _change(
        _owned(replica_id, host),
        to=ReplicaStatus.IN_SERVICE,
        also=also,
        address=address,
        ready_at=clock.now(),
        ended_at=None,
        failure=None,
    )


def replica_crashed(
    *, replica_id: int, host: str, silent_s: float = 0.0, reason: RunEnd = RunEnd.CRASHED
) -> bool:
    """Its process ended by itself, or hung; it is to be started again.

    Args:
        silent_s: For how long before its end it had not answered: from then on it counts as down.
    """
    return _change(
        _owned(replica_id, host),
        to=ReplicaStatus.STARTING,
        also=lambda: run_end(replica_id=replica_id, reason=reason),
        pid=None,
        address="",
        restarts=F("restarts") + 1,
        ended_at=Coalesce("ended_at", clock.now() - timedelta(seconds=silent_s)),
    )


def replica_failed(
    *,
    replica_id: int,
    host: str,
    failure: Mapping[str, Any],
    retried: bool,
    reason: RunEnd = RunEnd.FAILED_TO_START,
) -> bool:
    """It could not be started. One of an elastic variant is started again by the next request only.

    Args:
        failure: {"reason", "detail", "log_tail"}.
        retried: The host keeps the replica to try again; otherwise only the row and its log remain.
    """
    kept: dict[str, Any] = {"pid": None, "address": "", "memory_bytes": None}

    def also() -> None:
        run_end(replica_id=replica_id, reason=reason)
        demand_failed(replica_id=replica_id)

    return _change(
        _owned(replica_id, host),
        to=ReplicaStatus.FAILED,
        also=also,
        **(kept if retried else _NO_PROCESS),
        failure=storable(dict(failure)),
        ended_at=Coalesce("ended_at", clock.now()),
    )


def replica_gone(*, replica_id: int, host: str, reason: RunEnd = RunEnd.REPLACED) -> bool:
    """A draining replica has no process any more."""
    gone = Replica.objects.select_related("log").filter(pk=replica_id, host=host).first()
    if gone is not None:
        log_end(stream=gone.log)
        run_end(replica_id=gone.pk, reason=reason)
    return _change(
        Replica.objects.filter(pk=replica_id, host=host),
        to=ReplicaStatus.GONE,
        **_NO_PROCESS,
        ended_at=clock.now(),
    )


def replica_memory(*, replica_id: int, host: str, memory_bytes: int) -> None:
    Replica.objects.filter(pk=replica_id, host=host).update(memory_bytes=memory_bytes)


def replica_release(*, host: str, replica_ids: list[int] | None = None, planned: bool = False) -> int:
    """Gives replicas of `host` back, whose processes have ended: the next host that looks takes them.

    Args:
        replica_ids: Which ones; None for all.
        planned: The host ends in order: that is no restart of a replica.
    """
    mine = Replica.objects.filter(host=host)
    return _release(mine if replica_ids is None else mine.filter(pk__in=replica_ids), planned=planned)


def replica_instants_mend() -> None:
    """After the clock was set back: what lies in the future now would otherwise hold until the clock gets there.

    A dead host would keep its replicas, and one that is down would not count as down.
    """
    now = clock.now()
    # Longer than any lease: its host, if it lives, renews it as ever.
    kept = Replica.objects.filter(lease_expires_at__gt=now + timedelta(seconds=2 * LEASE_S))
    down = Replica.objects.exclude(status=ReplicaStatus.IN_SERVICE).filter(
        Q(ended_at__gt=now) | Q(created_at__gt=now, ended_at=None)
    )
    if kept.exists():
        kept.update(lease_expires_at=_lease_end())
    if down.exists():
        down.update(ended_at=now)


def replica_sweep() -> int:
    """Gives back the replicas of hosts whose lease has ended: their model servers end with them.

    They count as down since the last sign of life of their host. Leases from before the clock was set back are put
    right first, by `replica_instants_mend`.
    """
    late = Replica.objects.exclude(host="").filter(lease_expires_at__lt=clock.now())
    if not late.exists():
        return 0
    return _release(late, ended_at=F("lease_expires_at") - timedelta(seconds=LEASE_S))


def _release(
    replicas: QuerySet[Replica], *, planned: bool = False, ended_at: Combinable | None = None
) -> int:
    now = clock.now()
    reason = RunEnd.HOST_ENDED if planned else RunEnd.HOST_LOST
    with transaction.atomic():
        runs_end(replica_ids=list(replicas.values_list("pk", flat=True)), reason=reason, seen=planned)
        LogStream.objects.filter(replica__in=replicas.filter(status=ReplicaStatus.DRAINING)).update(
            ended=True
        )
        n_gone = status_update(replicas, to=ReplicaStatus.GONE, **_NO_PROCESS, ended_at=now)
        n_again = status_update(
            replicas,
            to=ReplicaStatus.PENDING,
            **_NO_PROCESS,
            restarts=F("restarts") + (0 if planned else 1),
            ended_at=Coalesce("ended_at", ended_at or now),
        )
        if n_gone or n_again:
            revision_bump()
    return n_gone + n_again


def _owned(replica_id: int, host: str) -> QuerySet[Replica]:
    leaving = (ReplicaStatus.DRAINING, ReplicaStatus.GONE)
    return Replica.objects.filter(pk=replica_id, host=host).exclude(status__in=leaving)


def _change(
    replicas: QuerySet[Replica], *, to: ReplicaStatus, also: Callable[[], None] | None = None, **values: Any
) -> bool:
    with transaction.atomic():
        changed = bool(status_update(replicas, to=to, **values))
        if changed:
            if also is not None:
                also()
            revision_bump()
    return changed


def _lease_end() -> Any:
    return clock.now() + timedelta(seconds=LEASE_S)
