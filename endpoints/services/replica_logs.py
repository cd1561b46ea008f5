"""Logs of replicas that are gone: the newest of each endpoint stay readable until it is deleted.

The row of a replica goes with its process; its log then bears the replica's uid, by which the lives of model servers
(`ReplicaRun`) know it. Called by the rollout and by retention, inside their transactions.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db.models import Q, QuerySet

from endpoints.models import Endpoint, Replica, ReplicaRun
from endpoints.selectors.replica_logs import logs_of_gone
from mlplatform.core.logs import log_stream_delete
from mlplatform.core.models import LogStream

KEPT_LOGS: Final = 5
"""Logs of replicas that are gone, of one endpoint."""


def replica_log_keep(*, endpoint: Endpoint, replica: Replica) -> None:
    """The replica's row is gone: its log stays while it is among the newest, unless it never had a process."""
    if not ReplicaRun.objects.filter(endpoint=endpoint, replica_uid=replica.uid).exists():
        log_stream_delete(stream_id=replica.log_id)
        return
    LogStream.objects.filter(pk=replica.log_id).update(uid=replica.uid, ended=True)
    for stream in logs_of_gone(endpoint=endpoint)[KEPT_LOGS:]:
        log_stream_delete(stream_id=stream.pk)


def replica_logs_delete(*, endpoint: Endpoint) -> None:
    """The endpoint goes, and with it what its replicas printed that are gone."""
    for stream in logs_of_gone(endpoint=endpoint):
        log_stream_delete(stream_id=stream.pk)


def replica_logs_orphaned(*, replica_uids: Collection[str]) -> None:
    """Lives of these replicas have been forgotten: logs of which none is left go too."""
    left = ReplicaRun.objects.filter(replica_uid__in=replica_uids).values("replica_uid")
    for stream in LogStream.objects.filter(uid__in=replica_uids, replica=None).exclude(uid__in=left):
        log_stream_delete(stream_id=stream.pk)


def replica_logs_ended(*, before: datetime) -> QuerySet[LogStream]:
    """Logs of replicas that are gone and whose last process ended before that."""
    ended = ReplicaRun.objects.filter(ended_at__lt=before).values("replica_uid")
    later = ReplicaRun.objects.filter(Q(ended_at=None) | Q(ended_at__gte=before)).values("replica_uid")
    return LogStream.objects.filter(uid__in=ended, replica=None).exclude(uid__in=later)
