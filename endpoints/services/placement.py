"""Replicas that a host leaves to others, which have fewer of the same variant or less to do; for a moment only.

A host that is alive by its heartbeat and takes nothing all the same must keep no replica waiting. Called by the host's
loop before it claims.
"""

from __future__ import annotations

import time
from typing import Final

from endpoints.elastic import SERVERLESS_QUEUE
from endpoints.models import Replica
from endpoints.placement import HostLoad, Waiting, replicas_for_others
from jobs.instance_types import instance_type_list
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_is_gone, nodes_alive
from mlplatform.core.status import ReplicaStatus

LEAVE_S: Final = 2.0
"""Several looks of the other host; then whoever can takes it."""


class Placement:
    """What one host leaves, and since when."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._left: dict[int, float] = {}

    def left_to_others(self) -> frozenset[int] | None:
        """The pending replicas that are not to be claimed now; None where none is pending."""
        waiting = _waiting()
        if not waiting:
            self._left = {}
            return None
        hosts = _hosts()
        theirs = frozenset[int]()
        if len(hosts) > 1:
            theirs = replicas_for_others(self._host, waiting=waiting, hosts=hosts)
        now = time.monotonic()
        self._left = {pk: self._left.get(pk, now) for pk in theirs}
        return frozenset(pk for pk, since in self._left.items() if now - since < LEAVE_S)


def _waiting() -> list[Waiting]:
    queues = {known.name: known.queue for known in instance_type_list()}
    pending = Replica.objects.filter(status=ReplicaStatus.PENDING, host="").order_by("pk")
    rows = pending.values_list("pk", "variant_id", "variant__instance_type")
    return [
        Waiting(pk, variant_id, queues.get(kind, "") if kind else SERVERLESS_QUEUE)
        for pk, variant_id, kind in rows
    ]


def _hosts() -> dict[str, HostLoad]:
    alive = [node for node in nodes_alive(kind=NodeKind.HOST) if not node_is_gone(node)]
    hosts = {node.name: HostLoad(node.name, node.queues, node.concurrency) for node in alive}
    for name, variant_id in Replica.objects.filter(host__in=hosts).values_list("host", "variant_id"):
        hosts[name].variants[variant_id] += 1
    return hosts
