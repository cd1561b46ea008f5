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


class EvaluationStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class ExperimentStatus(StrEnum):
    """Completed when every cell has ended, however; a stopped experiment, or one with failed cells, can be resumed."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    STOPPED = "Stopped"


class CellStatus(StrEnum):
    """Where one cell of an experiment is."""

    PENDING = "Pending"
    TRAINING = "Training"
    DEPLOYING = "Deploying"
    EVALUATING = "Evaluating"
    COMPLETED = "Completed"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    STOPPED = "Stopped"


class TuningJobStatus(StrEnum):
    """Completed also when a limit of trials or time, or a criterion, ended it; Failed when no trial has a value."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class TrialStatus(StrEnum):
    """EarlyStopped has a value, of the steps it came to; NoMetric ended well and never printed the objective."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    EARLY_STOPPED = "EarlyStopped"
    NO_METRIC = "NoMetric"
    FAILED = "Failed"
    STOPPED = "Stopped"


class TransformJobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"


class AsyncInvocationStatus(StrEnum):
    PENDING = "Pending"
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

EVALUATION_TRANSITIONS: Final[dict[EvaluationStatus, frozenset[EvaluationStatus]]] = {
    EvaluationStatus.IN_PROGRESS: frozenset(
        {
            EvaluationStatus.STOPPING,
            EvaluationStatus.COMPLETED,
            EvaluationStatus.FAILED,
            EvaluationStatus.STOPPED,
        }
    ),
    EvaluationStatus.STOPPING: frozenset(
        {EvaluationStatus.COMPLETED, EvaluationStatus.FAILED, EvaluationStatus.STOPPED}
    ),
    EvaluationStatus.COMPLETED: frozenset(),
    EvaluationStatus.FAILED: frozenset(),
    EvaluationStatus.STOPPED: frozenset(),
}

# Resumed, an experiment that has ended is in progress again, and so are its cells that have no evaluation.
EXPERIMENT_TRANSITIONS: Final[dict[ExperimentStatus, frozenset[ExperimentStatus]]] = {
    ExperimentStatus.IN_PROGRESS: frozenset({ExperimentStatus.STOPPING, ExperimentStatus.COMPLETED}),
    ExperimentStatus.STOPPING: frozenset({ExperimentStatus.STOPPED}),
    ExperimentStatus.COMPLETED: frozenset({ExperimentStatus.IN_PROGRESS}),
    ExperimentStatus.STOPPED: frozenset({ExperimentStatus.IN_PROGRESS}),
}

_CELL_ENDS: Final = frozenset({CellStatus.FAILED, CellStatus.STOPPED})
CELL_TRANSITIONS: Final[dict[CellStatus, frozenset[CellStatus]]] = {
    CellStatus.PENDING: _CELL_ENDS | {CellStatus.TRAINING, CellStatus.SKIPPED},
    CellStatus.TRAINING: _CELL_ENDS | {CellStatus.DEPLOYING},
    CellStatus.DEPLOYING: _CELL_ENDS | {CellStatus.EVALUATING},
    CellStatus.EVALUATING: _CELL_ENDS | {CellStatus.COMPLETED},
    CellStatus.COMPLETED: frozenset(),
    CellStatus.FAILED: frozenset({CellStatus.PENDING}),
    CellStatus.SKIPPED: frozenset({CellStatus.PENDING}),
    CellStatus.STOPPED: frozenset({CellStatus.PENDING}),
}

TUNING_TRANSITIONS: Final[dict[TuningJobStatus, frozenset[TuningJobStatus]]] = {
    TuningJobStatus.IN_PROGRESS: frozenset(
        {
            TuningJobStatus.STOPPING,
            TuningJobStatus.COMPLETED,
            TuningJobStatus.FAILED,
            TuningJobStatus.STOPPED,
        }
    ),
    # A limit or criterion also stops what still runs, and the tuning job is Completed then.
    TuningJobStatus.STOPPING: frozenset(
        {TuningJobStatus.COMPLETED, TuningJobStatus.FAILED, TuningJobStatus.STOPPED}
    ),
    TuningJobStatus.COMPLETED: frozenset(),
    TuningJobStatus.FAILED: frozenset(),
    TuningJobStatus.STOPPED: frozenset(),
}

_TRIAL_ENDS: Final = frozenset(
    {
        TrialStatus.COMPLETED,
        TrialStatus.EARLY_STOPPED,
        TrialStatus.NO_METRIC,
        TrialStatus.FAILED,
        TrialStatus.STOPPED,
    }
)
TRIAL_TRANSITIONS: Final[dict[TrialStatus, frozenset[TrialStatus]]] = {
    TrialStatus.PENDING: _TRIAL_ENDS | {TrialStatus.IN_PROGRESS},
    TrialStatus.IN_PROGRESS: _TRIAL_ENDS,
    **dict.fromkeys(_TRIAL_ENDS, frozenset[TrialStatus]()),
}

TRANSFORM_TRANSITIONS: Final[dict[TransformJobStatus, frozenset[TransformJobStatus]]] = {
    TransformJobStatus.IN_PROGRESS: frozenset(
        {
            TransformJobStatus.STOPPING,
            TransformJobStatus.COMPLETED,
            TransformJobStatus.FAILED,
            TransformJobStatus.STOPPED,
        }
    ),
    TransformJobStatus.STOPPING: frozenset(
        {TransformJobStatus.COMPLETED, TransformJobStatus.FAILED, TransformJobStatus.STOPPED}
    ),
    TransformJobStatus.COMPLETED: frozenset(),
    TransformJobStatus.FAILED: frozenset(),
    TransformJobStatus.STOPPED: frozenset(),
}

# Back to pending: its worker was lost, and it is to be tried again.
ASYNC_TRANSITIONS: Final[dict[AsyncInvocationStatus, frozenset[AsyncInvocationStatus]]] = {
    AsyncInvocationStatus.PENDING: frozenset(
        {AsyncInvocationStatus.IN_PROGRESS, AsyncInvocationStatus.FAILED}
    ),
    AsyncInvocationStatus.IN_PROGRESS: frozenset(
        {AsyncInvocationStatus.PENDING, AsyncInvocationStatus.COMPLETED, AsyncInvocationStatus.FAILED}
    ),
    AsyncInvocationStatus.COMPLETED: frozenset(),
    AsyncInvocationStatus.FAILED: frozenset(),
}

TRANSITIONS: Final[Mapping[type[StrEnum], Mapping[Any, frozenset[Any]]]] = {
    TrainingJobStatus: TRAINING_TRANSITIONS,
    EndpointStatus: ENDPOINT_TRANSITIONS,
    ReplicaStatus: REPLICA_TRANSITIONS,
    TableRunStatus: TABLE_RUN_TRANSITIONS,
    EvaluationStatus: EVALUATION_TRANSITIONS,
    ExperimentStatus: EXPERIMENT_TRANSITIONS,
    CellStatus: CELL_TRANSITIONS,
    TuningJobStatus: TUNING_TRANSITIONS,
    TrialStatus: TRIAL_TRANSITIONS,
    TransformJobStatus: TRANSFORM_TRANSITIONS,
    AsyncInvocationStatus: ASYNC_TRANSITIONS,
}

TERMINAL_TRAINING: Final = frozenset(
    status for status, following in TRAINING_TRANSITIONS.items() if not following
)
ACTIVE_TRAINING: Final = frozenset(TRAINING_TRANSITIONS) - TERMINAL_TRAINING
"""Asked for by these, jobs are found by the index of statuses; all but the terminal ones would be looked through."""

TERMINAL_EVALUATION: Final = frozenset(
    status for status, following in EVALUATION_TRANSITIONS.items() if not following
)
ACTIVE_EVALUATION: Final = frozenset(EVALUATION_TRANSITIONS) - TERMINAL_EVALUATION
TERMINAL_EXPERIMENT: Final = frozenset({ExperimentStatus.COMPLETED, ExperimentStatus.STOPPED})
TERMINAL_TUNING: Final = frozenset(
    status for status, following in TUNING_TRANSITIONS.items() if not following
)
ACTIVE_TUNING: Final = frozenset(TUNING_TRANSITIONS) - TERMINAL_TUNING
TERMINAL_TRIAL: Final = _TRIAL_ENDS
TERMINAL_TRANSFORM: Final = frozenset(
    status for status, following in TRANSFORM_TRANSITIONS.items() if not following
)
ACTIVE_TRANSFORM: Final = frozenset(TRANSFORM_TRANSITIONS) - TERMINAL_TRANSFORM
TERMINAL_CELL: Final = _CELL_ENDS | {CellStatus.COMPLETED, CellStatus.SKIPPED}

TONES: Final[dict[str, str]] = {
    "Pending": "waiting",
    "Starting": "active",
    "Downloading": "active",
    "Training": "active",
    "Uploading": "active",
    "InProgress": "active",
    "Deploying": "active",
    "Evaluating": "active",
    "Creating": "active",
    "Updating": "active",
    "RollingBack": "warning",
    "Draining": "waiting",
    "Deleting": "waiting",
    "Stopping": "waiting",
    "Skipped": "neutral",
    "EarlyStopped": "neutral",
    "NoMetric": "warning",
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
