"""An experiment played without a database: carries out the plan, and plays workers, hosts, people and the clock's hand.

Whatever is done to it, it holds the promises of the plan while it is done; see `World.check`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from endpoints.experiment_plan import (
    Action,
    Asked,
    DeleteEndpoint,
    Deploy,
    End,
    Evaluate,
    Finish,
    SeenCell,
    SeenEndpoint,
    SeenEvaluation,
    SeenJob,
    Served,
    StopEvaluation,
    StopJob,
    Train,
    Wait,
    experiment_plan,
)
from mlplatform.core.status import (
    CELL_TRANSITIONS,
    EXPERIMENT_TRANSITIONS,
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

X, C, T, E, V = ExperimentStatus, CellStatus, TrainingJobStatus, EndpointStatus, EvaluationStatus
ALL = Served(frozenset({"cpu", "gpu"}), frozenset({"cpu", "gpu"}))


def asked(**values: object) -> Asked:
    given = {
        "status": X.IN_PROGRESS,
        "parallelism": 1,
        "skip_unserved": False,
        "training_type": "local.cpu",
        "training_queue": "cpu",
    }
    return Asked(**(given | values))  # type: ignore[arg-type]


def grid(n_keys: int, queues: tuple[str, ...]) -> list[SeenCell]:
    """Cells of `n_keys` trainings, each on a type of every queue."""
    return [
        SeenCell(
            id=100 + place,
            number=place + 1,
            status=C.PENDING,
            training_key=f"k{place // len(queues)}",
            instance_type=f"ml.{queues[place % len(queues)]}.xlarge",
            queue=queues[place % len(queues)],
        )
        for place in range(n_keys * len(queues))
    ]


@dataclass
class World:
    """The rows as the database would have them; jobs and their trainings counted by attempt."""

    asked: Asked
    cells: dict[int, SeenCell]
    served: Served = ALL
    attempts: Counter[int] = field(default_factory=Counter)
    trainings: Counter[tuple[str, int]] = field(default_factory=Counter)
    n_resumed: int = 0

    # ---- what carries the plan out

    def plan(self) -> tuple[Action, ...]:
        return experiment_plan(self.asked, list(self.cells.values()), self.served)

    def step(self, *, killed_after: int | None = None) -> int:
        """One pass; the process that makes it may be killed between two actions. How many actions there were."""
        actions = [action for action in self.plan() if not isinstance(action, Wait)]
        for action in actions[:killed_after]:
            self._apply(action)
            self.check()
        return len(actions)

    def _apply(self, action: Action) -> None:
        match action:
            case Train(cell_id):
                self._train(self.cells[cell_id])
            case Deploy(cell_id):
                if self.cells[cell_id].status == C.TRAINING:
                    self.become(cell_id, C.DEPLOYING)
                assert self.cells[cell_id].trained
                self.change(cell_id, endpoint=SeenEndpoint("e", E.CREATING), deployed=True)
            case Evaluate(cell_id):
                self.become(cell_id, C.EVALUATING, evaluation=SeenEvaluation("v", V.IN_PROGRESS))
            case End(cell_id, status, reason):
                assert reason or status in {C.COMPLETED, C.STOPPED}, f"{status} without a reason"
                self.become(cell_id, status)
            case StopJob(cell_id):
                self.job(self.cells[cell_id].training_key, T.STOPPING)
            case StopEvaluation(cell_id):
                self.change(cell_id, evaluation=SeenEvaluation("v", V.STOPPING))
            case DeleteEndpoint(cell_id):
                assert self.cells[cell_id].ended
                self.change(cell_id, endpoint=SeenEndpoint("e", E.DELETING))
            case Finish(status):
                assert status in EXPERIMENT_TRANSITIONS[self.asked.status]
                self.asked = replace(self.asked, status=status)
            case _:
                raise AssertionError(action)

    def _train(self, cell: SeenCell) -> None:
        if cell.job is None:
            self.trainings[cell.training_key, self.n_resumed] += 1
            for other in self.of_key(cell.training_key):
                if other.status == C.PENDING:
                    self.change(other.id, job=SeenJob("j", T.IN_PROGRESS))
        self.become(cell.id, C.TRAINING)

    # ---- what others do

    def job_ends(self, cell_id: int, status: TrainingJobStatus) -> None:
        job = self.cells[cell_id].job
        if job and job.status not in TERMINAL_TRAINING:
            self.job(
                self.cells[cell_id].training_key, status, failure="bad data" if status == T.FAILED else ""
            )

    def job_deleted(self, cell_id: int) -> None:
        job = self.cells[cell_id].job
        if job and job.status in TERMINAL_TRAINING:
            for other in self.of_key(self.cells[cell_id].training_key):
                self.change(other.id, job=None)

    def endpoint_becomes(self, cell_id: int, status: EndpointStatus) -> None:
        endpoint = self.cells[cell_id].endpoint
        if endpoint and endpoint.status != E.DELETING:
            failure = "no index in it" if status == E.FAILED else ""
            self.change(cell_id, endpoint=SeenEndpoint("e", status, failure))

    def endpoint_gone(self, cell_id: int) -> None:
        endpoint = self.cells[cell_id].endpoint
        if endpoint and endpoint.status == E.DELETING:
            self.change(cell_id, endpoint=None)

    def evaluation_ends(self, cell_id: int, status: EvaluationStatus) -> None:
        evaluation = self.cells[cell_id].evaluation
        if evaluation and evaluation.status not in TERMINAL_EVALUATION:
            failure = "labels the model never saw" if status == V.FAILED else ""
            self.change(cell_id, evaluation=SeenEvaluation("v", status, failure))

    def evaluation_deleted(self, cell_id: int) -> None:
        evaluation = self.cells[cell_id].evaluation
        if evaluation and evaluation.status in TERMINAL_EVALUATION:
            self.change(cell_id, evaluation=None)

    def stop(self) -> None:
        if self.asked.status == X.IN_PROGRESS:
            self.asked = replace(self.asked, status=X.STOPPING)

    def resume(self) -> None:
        """As `experiment_resume` does it."""
        again = [cell for cell in self.cells.values() if cell.status in {C.FAILED, C.STOPPED, C.SKIPPED}]
        if self.asked.status not in TERMINAL_EXPERIMENT or not again:
            return
        self.n_resumed += 1
        self.asked = replace(self.asked, status=X.IN_PROGRESS, refused="")
        for cell in again:
            self.attempts[cell.id] += 1
            job = cell.job if cell.trained else None
            self.become(cell.id, C.PENDING, job=job, endpoint=None, evaluation=None, deployed=False)

    # ---- rows

    def of_key(self, key: str) -> list[SeenCell]:
        return [cell for cell in self.cells.values() if cell.training_key == key]

    def job(self, key: str, status: TrainingJobStatus, failure: str = "") -> None:
        for cell in self.of_key(key):
            if cell.job and cell.job.status not in TERMINAL_TRAINING:
                self.change(cell.id, job=SeenJob("j", status, failure))

    def become(self, cell_id: int, status: CellStatus, **values: object) -> None:
        before = self.cells[cell_id].status
        assert status in CELL_TRANSITIONS[before], f"{before} -> {status}"
        self.change(cell_id, status=status, **values)

    def change(self, cell_id: int, **values: object) -> None:
        self.cells[cell_id] = replace(self.cells[cell_id], **values)  # type: ignore[arg-type]

    # ---- what must hold

    def check(self) -> None:
        at_work = {C.TRAINING, C.DEPLOYING, C.EVALUATING}
        n_active = sum(cell.status in at_work or cell.endpoint is not None for cell in self.cells.values())
        assert n_active <= self.asked.parallelism, f"{n_active} of {self.asked.parallelism} cells are active"
        assert all(n == 1 for n in self.trainings.values()) or self.jobs_were_deleted, self.trainings
        for key in {cell.training_key for cell in self.cells.values()}:
            training = [
                cell
                for cell in self.of_key(key)
                if cell.status == C.TRAINING and cell.job and cell.job.status not in TERMINAL_TRAINING
            ]
            assert len(training) <= 1, "two cells hold a place for one training"
        if self.asked.status in TERMINAL_EXPERIMENT:
            assert all(cell.status in TERMINAL_CELL for cell in self.cells.values())
            assert not any(cell.endpoint for cell in self.cells.values()), "an endpoint is left"

    jobs_were_deleted: bool = False

    def run_well(self) -> None:
        """Everybody does what is to be done, until nothing changes: every queue is served, all succeeds."""
        self.served = ALL
        for _ in range(20 * len(self.cells) + 20):
            if self.asked.status in TERMINAL_EXPERIMENT and not self.step():
                return
            self.go_well()
        raise AssertionError(f"it never ends: {self.asked.status}, {[c.status for c in self.cells.values()]}")

    def go_well(self) -> None:
        """One pass, and everybody's next step."""
        self.step()
        for cell_id in self.cells:
            job = self.cells[cell_id].job
            self.job_ends(cell_id, T.STOPPED if job and job.status == T.STOPPING else T.COMPLETED)
            self.endpoint_gone(cell_id)
            self.endpoint_becomes(cell_id, E.IN_SERVICE)
            evaluation = self.cells[cell_id].evaluation
            stopping = evaluation is not None and evaluation.status == V.STOPPING
            self.evaluation_ends(cell_id, V.STOPPED if stopping else V.COMPLETED)
        self.check()
