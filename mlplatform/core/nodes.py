"""Heartbeats of our long-running processes, and who of them is alive."""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from mlplatform.core import clock
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.process_identity import process_identity, process_is_alive, process_is_gone

ALIVE_S = 15
HEARTBEAT_S = 5
VERSION = "0.1.0"
PROCESS = "process"
"""What a heartbeat calls the identity of its process, in its details."""


def node_beat(
    *,
    kind: NodeKind,
    name: str,
    started_at: datetime,
    queues: list[str] | None = None,
    concurrency: int = 1,
    info: dict[str, Any] | None = None,
) -> Node:
    """Writes this process' heartbeat; call it every `HEARTBEAT_S` seconds."""
    node, _ = Node.objects.update_or_create(
        kind=kind,
        name=name,
        defaults={
            "queues": queues or [],
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": VERSION,
            "concurrency": concurrency,
            "info": {**(info or {}), PROCESS: process_identity()},
            "started_at": started_at,
            "seen_at": clock.now(),
        },
    )
    return node


def node_gone(*, kind: NodeKind, name: str) -> None:
    """Removes the heartbeat of a process that ends in order."""
    Node.objects.filter(kind=kind, name=name).delete()


def node_is_gone(node: Node) -> bool:
    """Whether its process has certainly ended, which can be told on its own machine only."""
    return process_is_gone(str(node.info.get(PROCESS, "")))


def node_runs_here(node: Node) -> bool:
    """Whether its very process, and no other of that number, runs on this machine."""
    return process_is_alive(str(node.info.get(PROCESS, "")))


def nodes_alive(*, kind: NodeKind | None = None) -> QuerySet[Node]:
    # One that was seen in the future was seen before the clock was set back, and is not known to live.
    now, aside = clock.now(), timedelta(seconds=ALIVE_S)
    alive = Node.objects.filter(seen_at__range=(now - aside, now + aside))
    return alive.filter(kind=kind) if kind else alive


def queues_served(*, kind: NodeKind = NodeKind.WORKER) -> frozenset[str]:
    """The queues of all workers, or of all processes of another kind, that are alive."""
    return frozenset(queue for node in nodes_alive(kind=kind) for queue in node.queues)


def node_list() -> list[Node]:
    """Every process that has reported and has not said goodbye, alive or silent."""
    return list(Node.objects.order_by("kind", "name"))
