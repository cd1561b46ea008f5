"""What a host does next with one of its replicas: row x process -> step. Pure: no database, process or clock.

The row says what is wanted of the replica, the process what has become of it. `plan.py` decides which replicas an
endpoint has; `reconciler.py` calls both and carries the steps out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from mlplatform.core.status import ReplicaStatus

READY_WITHIN_S = 240.0
"""As the service: a container that does not answer its ping by then has failed."""
DRAIN_DELAY_S = 1.0
"""Time for every gateway to have a routing table without the replica, before its server is asked to end."""
STOP_WITHIN_S = 75.0
MISSED_PINGS_MAX = 3
KILLED_STARTS_MAX = 3
STABLE_AFTER_S = 60.0
_LONGEST_PAUSE_S = 30.0
_FAILED_PAUSE_S = 10.0


class Phase(StrEnum):
    """Where a model server is, as its host sees it."""

    PREPARING = "preparing"
    PREPARED = "prepared"
    LOADING = "loading"
    READY = "ready"
    STOPPING = "stopping"
    ENDED = "ended"


class Step(Enum):
    """What to do now; the reconciler has a method for each."""

    PREPARE = auto()
    SPAWN = auto()
    MARK_READY = auto()
    TERMINATE = auto()
    KILL = auto()
    RESTART = auto()
    FAIL = auto()
    MARK_GONE = auto()
    FORGET = auto()


@dataclass(frozen=True)
class RowView:
    """The replica's row. `live`: it belongs to the configuration that answers, so it is tried again for ever (one of an
    elastic variant: as long as somebody wants it).
    """

    status: ReplicaStatus
    live: bool = False
    draining_s: float = 0.0
    paused: bool = False


@dataclass(frozen=True)
class ServerView:
    """The process. `was_ready`: in this start; `broken`: it ended with an explanation, so a retry is no use."""

    phase: Phase
    in_phase_s: float = 0.0
    answers: bool = False
    missed_pings: int = 0
    over_memory: bool = False
    was_ready: bool = False
    broken: bool = False
    n_failures: int = 0


def replica_next(row: RowView | None, server: ServerView | None) -> Step | None:
    """The next step, or None while there is nothing to do but wait.

    Args:
        row: None when it was deleted or another host has it.
        server: None when this host has started nothing for it.
    """
    if row is None:
        return _abandon(server)
    if row.status == ReplicaStatus.DRAINING:
        return _drain(row, server)
    if row.status in {ReplicaStatus.STARTING, ReplicaStatus.IN_SERVICE, ReplicaStatus.FAILED}:
        return _run(row, server)
    return _abandon(server)


def pause_s(n_failures: int) -> float:
    """How long to wait before the start that follows `n_failures` failures in a row: 0, 1, 2, 4 ... 30 s."""
    return 0.0 if n_failures <= 1 else min(2.0 ** (n_failures - 2), _LONGEST_PAUSE_S)


def pause_after_failed_s(n_failures: int) -> float:
    """The same for a live replica that could not be loaded: 10, 20, 30 s."""
    return min(_FAILED_PAUSE_S * max(1, n_failures), _LONGEST_PAUSE_S)


def _abandon(server: ServerView | None) -> Step | None:
    if server is None:
        return None
    if server.phase in {Phase.PREPARING, Phase.STOPPING}:
        return None
    return Step.FORGET if server.phase in {Phase.PREPARED, Phase.ENDED} else Step.KILL


def _drain(row: RowView, server: ServerView | None) -> Step | None:
    if server is None or server.phase in {Phase.PREPARED, Phase.ENDED}:
        return Step.MARK_GONE
    if server.phase == Phase.PREPARING:  # its thread still writes into the folder
        return None
    if server.phase == Phase.STOPPING:
        return Step.KILL if server.in_phase_s > STOP_WITHIN_S else None
    if server.phase == Phase.READY and row.draining_s < DRAIN_DELAY_S:
        return None
    return Step.TERMINATE


def _run(row: RowView, server: ServerView | None) -> Step | None:
    if server is None:
        wanted = row.status != ReplicaStatus.FAILED or row.live
        return Step.PREPARE if wanted and not row.paused else None
    match server.phase:
        case Phase.PREPARED:
            return Step.SPAWN
        case Phase.LOADING if server.answers:
            return Step.MARK_READY
        case Phase.LOADING if server.in_phase_s > READY_WITHIN_S or server.over_memory:
            return Step.KILL
        case Phase.READY if (
            row.status == ReplicaStatus.STARTING
        ):  # it was given back meanwhile, and taken again
            return Step.MARK_READY
        case Phase.READY if server.missed_pings >= MISSED_PINGS_MAX or server.over_memory:
            return Step.KILL
        case Phase.STOPPING if server.in_phase_s > STOP_WITHIN_S:
            return Step.KILL
        case Phase.ENDED:
            return _after_end(server)
    return None


def _after_end(server: ServerView) -> Step:
    if server.was_ready:
        return Step.RESTART
    if server.broken or server.n_failures >= KILLED_STARTS_MAX:
        return Step.FAIL
    return Step.RESTART
