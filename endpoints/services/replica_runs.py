"""Lives of model servers, written by their host: what the timeline of an endpoint shows and what endpoints cost.

One row from the start of a process to its end; a replica that is started again has another one. Whoever writes it
holds the replica (`services.replicas`), so these are called inside its transactions. A host that was killed writes no
end: its lives ended when they were last seen.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from enum import StrEnum

from django.db.models import F, QuerySet
from django.db.models.functions import Coalesce, Greatest

from endpoints.models import Replica, ReplicaRun
from jobs.selectors.prices import prices_now
from mlplatform.core import clock

SEEN_EVERY_S = 10
UNSEEN_S = 60
"""A life that was not seen for so long is over."""


class RunEnd(StrEnum):
    """Why a life ended."""

    IDLE = "Idle"
    SCALED_DOWN = "ScaledDown"
    REPLACED = "Replaced"
    DELETED = "Deleted"
    CRASHED = "Crashed"
    SILENT = "Silent"
    OUT_OF_MEMORY = "OutOfMemory"
    FAILED_TO_START = "FailedToStart"
    HOST_ENDED = "HostEnded"
    HOST_LOST = "HostLost"


def run_begin(*, replica_id: int) -> None:
    """A process was started for the replica; requests may be waiting for it."""
    now = clock.now()
    replica = Replica.objects.select_related("endpoint", "variant").get(pk=replica_id)
    runs_end(replica_ids=[replica_id], reason=RunEnd.HOST_LOST)  # of a host that could not say so
    endpoint, variant = replica.endpoint, replica.variant
    memory_mb, prices = variant.serverless_memory_mb, prices_now()
    price = prices.of_memory(memory_mb) if memory_mb else prices.of(variant.instance_type)
    ReplicaRun.objects.create(
        project_id=endpoint.project_id,
        endpoint=endpoint,
        endpoint_name=endpoint.name,
        endpoint_uid=endpoint.uid,
        variant=variant.name,
        replica_uid=replica.uid,
        instance_type=variant.instance_type,
        memory_mb=memory_mb,
        demanded_at=variant.demanded_at,
        started_at=now,
        seen_at=now,
        price_per_hour=price.per_hour,
        currency=price.currency,
    )


def run_ready(*, replica_id: int) -> None:
    """It answers from now on."""
    now = clock.now()
    _open([replica_id]).filter(ready_at=None).update(ready_at=now, seen_at=now)


def run_end(*, replica_id: int, reason: RunEnd) -> None:
    """Its process has ended just now; nothing where it had none."""
    runs_end(replica_ids=[replica_id], reason=reason, seen=True)


def runs_end(*, replica_ids: Collection[int], reason: RunEnd, seen: bool = False) -> None:
    """Their processes have ended; those that have none open are left alone.

    Args:
        seen: Now, or a moment ago; otherwise they ended when they were last seen.
    """
    now = clock.now()
    ended_at = now if seen else Coalesce("seen_at", "started_at")
    _open(replica_ids).update(ended_at=ended_at, end_reason=reason)


def runs_seen(*, replica_ids: Collection[int]) -> None:
    """These processes live."""
    _open(replica_ids).update(seen_at=Greatest(F("seen_at"), clock.now()))


def run_sweep() -> int:
    """Ends lives whose host was lost, also of replicas that are no more."""
    lost = ReplicaRun.objects.filter(ended_at=None, seen_at__lt=clock.now() - timedelta(seconds=UNSEEN_S))
    if not lost.exists():
        return 0
    return lost.update(ended_at=F("seen_at"), end_reason=RunEnd.HOST_LOST)


def _open(replica_ids: Collection[int]) -> QuerySet[ReplicaRun]:
    uids = Replica.objects.filter(pk__in=replica_ids).values("uid")
    return ReplicaRun.objects.filter(replica_uid__in=uids, ended_at=None)
