"""Heartbeats of our long-running processes, and who of them is alive."""

from __future__ import annotations

import hashlib
import os
import socket
from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet

from mlplatform.core import clock
from mlplatform.core.database_clock import database_ahead_s
from mlplatform.core.env import data_dir
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.process_identity import (
    boot_identity,
    machine_identity,
    process_identity,
    process_is_alive,
    process_is_gone,
)

ALIVE_S = 15
HEARTBEAT_S = 5
VERSION = "0.1.0"
PROCESS = "process"
"""What a heartbeat calls the identity of its process, in its details."""
BOOT = "boot"
"""What it calls this boot of its machine."""
PLACE = "place"
"""What it calls the data directory of its process, on its machine."""
CLOCK = "database_ahead_s"
"""What it calls how far the database's clock is ahead of its machine's, in seconds."""


class NodeTaken(Exception):
    """Another living process has the name. `holder` is its heartbeat."""

    def __init__(self, holder: Node) -> None:
        super().__init__(f"{holder.kind} {holder.name} is process {holder.pid} on {holder.hostname}")
        self.holder = holder


def node_beat(
    *,
    kind: NodeKind,
    name: str,
    started_at: datetime,
    queues: list[str] | None = None,
    concurrency: int = 1,
    info: dict[str, Any] | None = None,
) -> Node:
    """Writes this process' heartbeat; call it every `HEARTBEAT_S` seconds.

    Raises:
        NodeTaken: Another process, that lives, has reported under this name; nothing was written.
    """
    holder = node_holder(kind=kind, name=name)
    if holder is not None:
        raise NodeTaken(holder)
    node, _ = Node.objects.update_or_create(
        kind=kind,
        name=name,
        defaults={
            "queues": queues or [],
            "hostname": socket.gethostname(),
            "pid": os.getpid(),
            "version": VERSION,
            "concurrency": concurrency,
            "info": {
                **(info or {}),
                PROCESS: process_identity(),
                BOOT: boot_identity(),
                PLACE: node_place(),
                CLOCK: round(database_ahead_s(), 2),
            },
            "started_at": started_at,
            "seen_at": clock.now(),
        },
    )
    return node


def node_place() -> str:
    """The same for processes of one machine, or of one container, that have one data directory."""
    folder = hashlib.sha256(os.fsencode(data_dir())).hexdigest()[:8]
    return f"{machine_identity()}-{folder}"


def node_holder(*, kind: NodeKind, name: str) -> Node | None:
    """Who else has the name, as far as can be told: heard of lately, and not known to have ended."""
    node = Node.objects.filter(kind=kind, name=name).first()
    if node is None or abs((clock.now() - node.seen_at).total_seconds()) > ALIVE_S:
        return None
    process = str(node.info.get(PROCESS, ""))
    return None if process in {"", process_identity()} or process_is_gone(process) else node


def node_gone(*, kind: NodeKind, name: str) -> None:
    """Removes the heartbeat of a process that ends in order, unless another has the name by now."""
    if node_holder(kind=kind, name=name) is None:
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
