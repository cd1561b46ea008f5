"""What an endpoint's replicas printed: those there are, and the newest of those that are gone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext as _

from endpoints.models import Endpoint, Replica, ReplicaRun
from endpoints.selectors.endpoints import replica_list
from mlplatform.core.errors import NotFound
from mlplatform.core.models import LogStream
from mlplatform.core.status import ReplicaStatus


@dataclass(frozen=True)
class ReplicaLog:
    """The log of one replica; `variant` is its name, `index` None where the replica is gone."""

    uid: str
    variant: str
    index: int | None
    status: str
    ended_at: datetime | None
    log: LogStream


def replica_logs(*, endpoint: Endpoint, replicas: Iterable[Replica] | None = None) -> list[ReplicaLog]:
    """Of the replicas there are, in order of variant and index; then of those that are gone, the newest first.

    Args:
        replicas: Those there are, where they are known already.
    """
    present = replica_list(endpoint=endpoint) if replicas is None else replicas
    return [_of(replica) for replica in present] + _gone(endpoint, logs_of_gone(endpoint=endpoint))


def replica_log_get(*, endpoint: Endpoint, uid: str) -> ReplicaLog:
    """Raises NotFound."""
    found = Replica.objects.filter(endpoint=endpoint, uid=uid).select_related("variant", "log").first()
    if found is not None:
        return _of(found)
    gone = _gone(endpoint, logs_of_gone(endpoint=endpoint).filter(uid=uid))
    if not gone:
        raise NotFound(
            _("There is no replica “%(uid)s” of endpoint “%(name)s”")
            % {"uid": uid[:26], "name": endpoint.name}
        )
    return gone[0]


def logs_of_gone(*, endpoint: Endpoint) -> QuerySet[LogStream]:
    """Logs of replicas that are gone, the newest first."""
    uids = ReplicaRun.objects.filter(endpoint=endpoint).values("replica_uid")
    return LogStream.objects.filter(uid__in=uids, replica=None).order_by("-pk")


def _of(replica: Replica) -> ReplicaLog:
    return ReplicaLog(
        uid=replica.uid,
        variant=replica.variant.name,
        index=replica.index,
        status=replica.status,
        ended_at=replica.ended_at,
        log=replica.log,
    )


def _gone(endpoint: Endpoint, streams: QuerySet[LogStream]) -> list[ReplicaLog]:
    """With what is known of the last life of each."""
    lives = ReplicaRun.objects.filter(endpoint=endpoint, replica_uid=OuterRef("uid"))
    last = lives.order_by("-started_at", "-pk")
    found: Any = streams.annotate(
        variant=Subquery(last.values("variant")[:1]), life_ended_at=Subquery(last.values("ended_at")[:1])
    )
    return [
        ReplicaLog(
            uid=stream.uid,
            variant=stream.variant,
            index=None,
            status=ReplicaStatus.GONE,
            ended_at=stream.life_ended_at,
            log=stream,
        )
        for stream in found
    ]
