"""What an experiment does next: what is asked × its cells as observed → actions. Pure: no database, process or clock.

A cell is trained, deployed and evaluated, and its endpoint is deleted whatever came of it. Cells that differ in the
instance type alone have one training job: the first of them trains it, the others wait for it without being active.
Nothing here remembers: carrying actions out and planning again, while jobs, hosts and evaluations go on, ends every
cell and leaves no endpoint, whatever was interrupted. Carried out by `services.experiment_steps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mlplatform.core.status import (
    TERMINAL_CELL,
    TERMINAL_EVALUATION,
    TERMINAL_EXPERIMENT,
    TERMINAL_TRAINING,
    CellStatus,
    EndpointStatus,
    EvaluationStatus,
    ExperimentStatus,
    TrainingJobStatus,
)
from mlplatform.core.text import text as _

EVALUATION_QUEUE = "cpu"
_AT_WORK = frozenset({CellStatus.TRAINING, CellStatus.DEPLOYING, CellStatus.EVALUATING})


@dataclass(frozen=True)
class Asked:
    """What holds for all cells.

    Attributes:
        refused: Why nothing may be begun in the name of whom the experiment runs for; empty while it may.
        training_type, training_queue: What its training jobs run on.
    """

    status: ExperimentStatus
    parallelism: int
    skip_unserved: bool
    training_type: str
    training_queue: str
    refused: str = ""


@dataclass(frozen=True)
class Served:
    """The queues that living workers and living hosts serve."""

    workers: frozenset[str]
    hosts: frozenset[str]


@dataclass(frozen=True)
class SeenJob:
    name: str
    status: TrainingJobStatus
    failure: str = ""


@dataclass(frozen=True)
class SeenEndpoint:
    name: str
    status: EndpointStatus
    failure: str = ""


@dataclass(frozen=True)
class SeenEvaluation:
    name: str
    status: EvaluationStatus
    failure: str = ""


@dataclass(frozen=True)
class SeenCell:
    """A cell and what belongs to it. `deployed`: it once had an endpoint in this attempt, so one that is missing was
    deleted.
    """

    id: int
    number: int
    status: CellStatus
    training_key: str
    instance_type: str
    queue: str
    job: SeenJob | None = None
    deployed: bool = False
    endpoint: SeenEndpoint | None = None
    evaluation: SeenEvaluation | None = None

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_CELL

    @property
    def trained(self) -> bool:
        return self.job is not None and self.job.status == TrainingJobStatus.COMPLETED

    @property
    def active(self) -> bool:
        """Whether it takes one of the places: from its training until its endpoint is gone."""
        return self.status in _AT_WORK or self.endpoint is not None


@dataclass(frozen=True)
class Train:
    """The cell begins: a training job is made, unless cells with its key have one already."""

    cell_id: int


@dataclass(frozen=True)
class Deploy:
    """Its job has a model: the cell is Deploying, and its endpoint is made."""

    cell_id: int


@dataclass(frozen=True)
class Evaluate:
    """Its endpoint is in service: the evaluation is made."""

    cell_id: int


@dataclass(frozen=True)
class End:
    """The cell has ended; why, unless it is Completed."""

    cell_id: int
    status: CellStatus
    reason: str = ""


@dataclass(frozen=True)
class StopJob:
    cell_id: int


@dataclass(frozen=True)
class StopEvaluation:
    cell_id: int


@dataclass(frozen=True)
class DeleteEndpoint:
    cell_id: int


@dataclass(frozen=True)
class Wait:
    """Nothing is done for the cell now; why, or empty where it is simply under way."""

    cell_id: int
    reason: str


@dataclass(frozen=True)
class Finish:
    """All cells have ended and no endpoint is left."""

    status: ExperimentStatus


Action = Train | Deploy | Evaluate | End | StopJob | StopEvaluation | DeleteEndpoint | Wait | Finish


def experiment_plan(asked: Asked, cells: Sequence[SeenCell], served: Served) -> tuple[Action, ...]:
    """The actions that bring the experiment on; what is torn down comes first, cells by their numbers.

    An experiment that has ended plans no more than the end of endpoints that are left. Linear in the number of cells.
    """
    ordered = sorted(cells, key=lambda cell: cell.number)
    actions = list(_tear_down(ordered))
    if asked.status in TERMINAL_EXPERIMENT:
        return tuple(actions)
    if all(cell.ended and cell.endpoint is None for cell in ordered):
        stopping = asked.status == ExperimentStatus.STOPPING
        return (*actions, Finish(ExperimentStatus.STOPPED if stopping else ExperimentStatus.COMPLETED))
    if asked.status == ExperimentStatus.STOPPING:
        return (*actions, *(action for cell in ordered for action in _stop(cell)))
    at_work = [cell for cell in ordered if cell.status in _AT_WORK]
    actions += [_go_on(asked, cell, served) for cell in at_work]
    return (*actions, *_begin(asked, ordered, served))


def unserved_reason(asked: Asked, cell: SeenCell, served: Served) -> str:
    """Why a cell cannot begin: nobody serves a queue that it needs. Empty where all are served."""
    if cell.queue not in served.hosts:
        return _no_host(cell.instance_type, cell.queue)
    if not cell.trained and asked.training_queue not in served.workers:
        return _no_worker(asked.training_type, asked.training_queue)
    return "" if EVALUATION_QUEUE in served.workers else _nobody_evaluates()


def _tear_down(cells: Sequence[SeenCell]) -> Iterator[Action]:
    for cell in cells:
        left = cell.endpoint if cell.ended else None
        if left is not None and left.status != EndpointStatus.DELETING:
            yield DeleteEndpoint(cell.id)


def _stop(cell: SeenCell) -> Iterator[Action]:
    """What runs is asked to stop, and the cell has ended when that has."""
    if cell.ended:
        return
    if cell.status == CellStatus.TRAINING and cell.job and cell.job.status not in TERMINAL_TRAINING:
        if cell.job.status == TrainingJobStatus.IN_PROGRESS:
            yield StopJob(cell.id)
    elif cell.status == CellStatus.EVALUATING and cell.evaluation:
        if cell.evaluation.status == EvaluationStatus.IN_PROGRESS:
            yield StopEvaluation(cell.id)
        elif cell.evaluation.status == EvaluationStatus.COMPLETED:
            yield End(cell.id, CellStatus.COMPLETED)
        elif cell.evaluation.status in TERMINAL_EVALUATION:
            yield End(cell.id, CellStatus.STOPPED)
    else:
        yield End(cell.id, CellStatus.STOPPED)


def _go_on(asked: Asked, cell: SeenCell, served: Served) -> Action:
    match cell.status:
        case CellStatus.TRAINING:
            return _trained(asked, cell, served)
        case CellStatus.DEPLOYING:
            return _deployed(asked, cell, served)
        case _:
            return _evaluated(cell, served)


def _trained(asked: Asked, cell: SeenCell, served: Served) -> Action:
    job = cell.job
    if job is None:
        return End(cell.id, CellStatus.FAILED, _("its training job was deleted"))
    if cell.trained:
        return End(cell.id, CellStatus.FAILED, asked.refused) if asked.refused else Deploy(cell.id)
    if job.status in TERMINAL_TRAINING:
        return _without_model(cell, job)
    if asked.training_queue in served.workers:
        return Wait(cell.id, "")
    return Wait(cell.id, _waits(_no_worker(asked.training_type, asked.training_queue)))


def _without_model(cell: SeenCell, job: SeenJob) -> End:
    """A job out of its time is Stopped too, and says so."""
    if job.status == TrainingJobStatus.FAILED or job.failure:
        return End(cell.id, CellStatus.FAILED, job.failure)
    return End(cell.id, CellStatus.STOPPED, _("training job {name} was stopped", name=job.name))


def _deployed(asked: Asked, cell: SeenCell, served: Served) -> Action:
    endpoint = cell.endpoint
    if endpoint is None and not cell.deployed:
        return End(cell.id, CellStatus.FAILED, asked.refused) if asked.refused else Deploy(cell.id)
    if endpoint is None or endpoint.status == EndpointStatus.DELETING:
        return End(cell.id, CellStatus.FAILED, _("its endpoint was deleted before it was evaluated"))
    if endpoint.status == EndpointStatus.FAILED:
        return End(cell.id, CellStatus.FAILED, endpoint.failure)
    if endpoint.status == EndpointStatus.IN_SERVICE:
        return End(cell.id, CellStatus.FAILED, asked.refused) if asked.refused else Evaluate(cell.id)
    unserved = "" if cell.queue in served.hosts else _no_host(cell.instance_type, cell.queue)
    return Wait(cell.id, _waits(unserved) if unserved else "")


def _evaluated(cell: SeenCell, served: Served) -> Action:
    evaluation = cell.evaluation
    if evaluation is None:
        return End(cell.id, CellStatus.FAILED, _("its evaluation was deleted"))
    match evaluation.status:
        case EvaluationStatus.COMPLETED:
            return End(cell.id, CellStatus.COMPLETED)
        case EvaluationStatus.FAILED:
            return End(cell.id, CellStatus.FAILED, evaluation.failure)
        case EvaluationStatus.STOPPED:
            return End(cell.id, CellStatus.STOPPED, _("evaluation {name} was stopped", name=evaluation.name))
    return Wait(cell.id, "" if EVALUATION_QUEUE in served.workers else _waits(_nobody_evaluates()))


def _begin(asked: Asked, cells: Sequence[SeenCell], served: Served) -> Iterator[Action]:
    """Cells that have not begun, in their order, as far as there are places."""
    n_free = asked.parallelism - sum(cell.active for cell in cells)
    leaders = {cell.training_key: cell for cell in reversed(cells) if cell.status == CellStatus.TRAINING}
    for cell in cells:
        if cell.status != CellStatus.PENDING:
            continue
        action = _held_up(asked, cell, leaders.get(cell.training_key), served)
        if action is None and n_free > 0:
            n_free -= 1
            leaders.setdefault(cell.training_key, cell)
            action = Train(cell.id)
        yield action or Wait(cell.id, _waits_for_a_place(asked.parallelism))


def _held_up(asked: Asked, cell: SeenCell, leader: SeenCell | None, served: Served) -> Action | None:
    """Why a cell cannot begin whether or not there is a place."""
    if asked.refused:
        return End(cell.id, CellStatus.FAILED, asked.refused)
    if cell.job is not None and cell.job.status in TERMINAL_TRAINING and not cell.trained:
        return _without_model(cell, cell.job)
    unserved = unserved_reason(asked, cell, served)
    if unserved:
        # Where nobody is alive at all the platform is being started, and a type is not unserved for good.
        if asked.skip_unserved and served.hosts and served.workers:
            return End(cell.id, CellStatus.SKIPPED, unserved)
        return Wait(cell.id, _waits(unserved))
    if leader is not None and not cell.trained:
        return Wait(
            cell.id, _("waits for the training job that cell {number} has begun", number=leader.number)
        )
    return None


def _waits(reason: str) -> str:
    return _("waits: {reason}", reason=reason)


def _waits_for_a_place(parallelism: int) -> str:
    if parallelism == 1:
        return _("waits for its turn: one cell is worked on at a time")
    return _("waits for its turn: {n} cells are worked on at a time", n=parallelism)


def _no_host(instance_type: str, queue: str) -> str:
    return _(
        "no host serves queue {queue}, which {type} needs; start one with "
        ".venv/bin/python manage.py host --queues {queue}",
        queue=queue,
        type=instance_type,
    )


def _no_worker(instance_type: str, queue: str) -> str:
    return _(
        "no worker serves queue {queue}, which training on {type} needs; start one with "
        ".venv/bin/python manage.py worker --queues {queue}",
        queue=queue,
        type=instance_type,
    )


def _nobody_evaluates() -> str:
    return _(
        "no worker serves queue {queue}, which evaluations need; start one with "
        ".venv/bin/python manage.py worker --queues {queue}",
        queue=EVALUATION_QUEUE,
    )
