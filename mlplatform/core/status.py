"""Statuses, with the service's exact strings, and the tables of legal transitions. Django-free.

Who may write a status asks `origins`; in the database that is `mlplatform.core.transitions` and nothing else.
`TONES` gives each status the colour family in which pages and admin show it; the word itself is always shown too.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final


class TrainingJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class SecondaryStatus(StrEnum):
    PENDING = "Pending"
    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    INTERRUPTED = "Interrupted"
    COMPLETED = "Completed"
    FAILED = "Failed"


class FailureKind(StrEnum):
    """Why a job failed, told apart so that its page can say what to do."""

    DATA_ERROR = "DataError"
    CLIENT_ERROR = "ClientError"
    ALGORITHM_ERROR = "AlgorithmError"
    EXCEPTION = "Exception"
    SIGNAL = "KilledBySignal"
    OUT_OF_MEMORY = "OutOfMemory"
    TIME_LIMIT = "TimeLimit"
    LOST_WORKER = "LostWorker"
    NO_MODEL = "NoModel"
    STORAGE_FULL = "StorageFull"
    INTERNAL = "InternalError"


class EndpointStatus(StrEnum):
    CREATING = "Creating"
    UPDATING = "Updating"
    IN_SERVICE = "InService"
    ROLLING_BACK = "RollingBack"
    DELETING = "Deleting"
    FAILED = "Failed"


class ReplicaStatus(StrEnum):
    """Ours; the service shows only counts."""

    PENDING = "Pending"
    STARTING = "Starting"
    IN_SERVICE = "InService"
    DRAINING = "Draining"
    FAILED = "Failed"
    GONE = "Gone"


class TableRunStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


TRAINING_TRANSITIONS: Final[dict[TrainingJobStatus, frozenset[TrainingJobStatus]]] = {
    TrainingJobStatus.IN_PROGRESS: frozenset(
        {
            TrainingJobStatus.STOPPING,
            TrainingJobStatus.COMPLETED,
            TrainingJobStatus.FAILED,
            TrainingJobStatus.STOPPED,
        }
    ),
    TrainingJobStatus.STOPPING: frozenset(
        {TrainingJobStatus.COMPLETED, TrainingJobStatus.FAILED, TrainingJobStatus.STOPPED}
    ),
    TrainingJobStatus.COMPLETED: frozenset(),
    TrainingJobStatus.FAILED: frozenset(),
    TrainingJobStatus.STOPPED: frozenset(),
}

ENDPOINT_TRANSITIONS: Final[dict[EndpointStatus, frozenset[EndpointStatus]]] = {
    EndpointStatus.CREATING: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED, EndpointStatus.DELETING}
    ),
    EndpointStatus.UPDATING: frozenset(
        {
            EndpointStatus.IN_SERVICE,
            EndpointStatus.ROLLING_BACK,
            EndpointStatus.FAILED,
            EndpointStatus.DELETING,
        }
    ),
    EndpointStatus.ROLLING_BACK: frozenset(
        {EndpointStatus.IN_SERVICE, EndpointStatus.FAILED, EndpointStatus.DELETING}
    ),
    EndpointStatus.IN_SERVICE: frozenset(
        {EndpointStatus.UPDATING, EndpointStatus.FAILED, EndpointStatus.DELETING}
    ),
    EndpointStatus.FAILED: frozenset(
        {EndpointStatus.UPDATING, EndpointStatus.IN_SERVICE, EndpointStatus.DELETING}
    ),
    EndpointStatus.DELETING: frozenset(),
}

REPLICA_TRANSITIONS: Final[dict[ReplicaStatus, frozenset[ReplicaStatus]]] = {
    ReplicaStatus.PENDING: frozenset({ReplicaStatus.STARTING}),
    # To itself: the process of a start, and the start after one that failed.
    ReplicaStatus.STARTING: frozenset(
        {
            ReplicaStatus.STARTING,
            ReplicaStatus.IN_SERVICE,
            ReplicaStatus.FAILED,
            ReplicaStatus.DRAINING,
            ReplicaStatus.PENDING,
        }
    ),
    ReplicaStatus.IN_SERVICE: frozenset(
        {ReplicaStatus.STARTING, ReplicaStatus.FAILED, ReplicaStatus.DRAINING, ReplicaStatus.PENDING}
    ),
    ReplicaStatus.FAILED: frozenset({ReplicaStatus.STARTING, ReplicaStatus.DRAINING, ReplicaStatus.PENDING}),
    ReplicaStatus.DRAINING: frozenset({ReplicaStatus.GONE}),
    ReplicaStatus.GONE: frozenset(),
}

TABLE_RUN_TRANSITIONS: Final[dict[TableRunStatus, frozenset[TableRunStatus]]] = {
    TableRunStatus.IN_PROGRESS: frozenset({TableRunStatus.COMPLETED, TableRunStatus.FAILED}),
    TableRunStatus.COMPLETED: frozenset(),
    TableRunStatus.FAILED: frozenset(),
}

TRANSITIONS: Final[Mapping[type[StrEnum], Mapping[Any, frozenset[Any]]]] = {
    TrainingJobStatus: TRAINING_TRANSITIONS,
    EndpointStatus: ENDPOINT_TRANSITIONS,
    ReplicaStatus: REPLICA_TRANSITIONS,
    TableRunStatus: TABLE_RUN_TRANSITIONS,
}

TERMINAL_TRAINING: Final = frozenset(
    status for status, following in TRAINING_TRANSITIONS.items() if not following
)
ACTIVE_TRAINING: Final = frozenset(TRAINING_TRANSITIONS) - TERMINAL_TRAINING
"""Asked for by these, jobs are found by the index of statuses; all but the terminal ones would be looked through."""

TONES: Final[dict[str, str]] = {
    "Pending": "waiting",
    "Starting": "active",
    "Downloading": "active",
    "Training": "active",
    "Uploading": "active",
    "InProgress": "active",
    "Creating": "active",
    "Updating": "active",
    "RollingBack": "warning",
    "Draining": "waiting",
    "Deleting": "waiting",
    "Stopping": "waiting",
    "Stopped": "neutral",
    "Gone": "neutral",
    "MaxRuntimeExceeded": "warning",
    "Interrupted": "warning",
    "Completed": "good",
    "InService": "good",
    "Failed": "bad",
}
"""waiting, active, good, warning, bad or neutral per status string."""


def origins(to: StrEnum) -> frozenset[StrEnum]:
    """The statuses from which something may become `to`."""
    return frozenset(origin for origin, following in TRANSITIONS[type(to)].items() if to in following)
