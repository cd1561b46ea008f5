"""Whether a worker, host, gateway or scheduler may begin: its version, its clock, and that nobody else has its name.

Called by the commands before they take work. What is refused is said in words for whoever starts it.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from mlplatform.core.amounts import time_text
from mlplatform.core.database_clock import SKEW_MANY_S, SKEW_S, database_ahead_s
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import ALIVE_S, CLOCK, VERSION, node_holder, node_runs_here, nodes_alive
from mlplatform.core.startup.migrations import migrations_known

logger = logging.getLogger("node")

_LOOK_EVERY_S: Final = 0.25


class NodeRefused(Exception):
    """The process may not begin; the message says why and what to do."""


def node_start(*, kind: NodeKind, name: str, wait_s: float = ALIVE_S + 1.0) -> None:
    """Returns when a process of this kind and name may begin.

    A name that another machine has just reported is waited for, as long as its heartbeat may still be that of a living
    process and no longer; one of this machine whose process is gone is free at once.

    Raises:
        NodeRefused: The database is of a newer version, the clock is off, or another living process has the name.
    """
    version_check()
    clock_check()
    name_wait(kind=kind, name=name, wait_s=wait_s)


def version_check() -> None:
    """Raises NodeRefused where the database has changes that this version does not know."""
    known = migrations_known()
    rooms = {room for room, _ in known}
    applied = MigrationRecorder(connection).applied_migrations()
    newer = sorted(f"{room}.{name}" for room, name in applied if room in rooms and (room, name) not in known)
    if newer:
        raise NodeRefused(
            f"the database is of a newer version than this one, {VERSION}: it has {', '.join(newer[:3])}. "
            "Bring this machine to the version of the others, then start again"
        )
    others = {node.version for node in nodes_alive() if node.version != VERSION}
    if others:
        logger.warning(
            "version %s runs beside this one, %s: bring every machine to the same",
            ", ".join(sorted(others)),
            VERSION,
        )


def clock_check() -> None:
    """Raises NodeRefused where leases would end early or late by the clock of this machine."""
    ahead_s = database_ahead_s()
    if abs(ahead_s) <= SKEW_S:
        return
    said = clock_words(ahead_s)
    if abs(ahead_s) > SKEW_MANY_S:
        raise NodeRefused(
            f"{said}; up to {SKEW_MANY_S:g} s are borne. Let every machine take its time from the network: "
            "timedatectl set-ntp true (chrony or systemd-timesyncd)"
        )
    logger.warning("%s", said)


def clock_words(ahead_s: float) -> str:
    """How the clock of this machine is off. `ahead_s`: see `database_ahead_s`."""
    side = "behind" if ahead_s > 0 else "ahead of"
    return f"the clock of this machine is {time_text(abs(ahead_s))} {side} the database's"


class ClockTold:
    """Says in the log when the clock of this machine goes off against the database's, and when it is right again."""

    def __init__(self) -> None:
        self._said = False

    def is_off(self, node: Node) -> bool:
        """Whether it is off so far that nobody's lease may be taken away by it.

        Args:
            node: Our own heartbeat, just written.
        """
        ahead_s = float(node.info.get(CLOCK, 0.0))
        skewed = abs(ahead_s) > SKEW_S
        if skewed and not self._said:
            logger.warning("%s", clock_words(ahead_s))
        elif self._said and not skewed:
            logger.info("the clock of this machine agrees with the database's again")
        self._said = skewed
        return abs(ahead_s) > SKEW_MANY_S


def name_wait(*, kind: NodeKind, name: str, wait_s: float) -> None:
    """Raises NodeRefused where another process lives that has the name."""
    deadline = time.monotonic() + wait_s
    first = holder = node_holder(kind=kind, name=name)
    while holder is not None:
        moved = first is not None and holder.seen_at != first.seen_at
        if moved or node_runs_here(holder) or time.monotonic() > deadline:
            raise NodeRefused(name_words(holder))
        time.sleep(_LOOK_EVERY_S)
        holder = node_holder(kind=kind, name=name)


def name_words(holder: Node) -> str:
    """What is wrong with a name that somebody has."""
    option = "MLPLATFORM_HOST_NAME or --name" if holder.kind == NodeKind.HOST else "--name"
    return (
        f"{holder.kind} {holder.name}: a {holder.kind} of this name runs already, process {holder.pid} on "
        f"{holder.hostname}, heard of last at {holder.seen_at:%H:%M:%S} UTC; give one of the two another name: {option}"
    )
