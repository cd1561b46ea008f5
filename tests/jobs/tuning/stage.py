"""A project in which tuning jobs run: a table, a worker that is alive, and its jobs' work played.

Played is what workers would write: that a job has trained and what it printed. The sampler is the real process.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.models import MetricChunk, MetricSummary, TrainingJob, TuningJob, TuningTrial
from jobs.services.channels import ChannelRequest
from jobs.services.tuning import TuningRequest, tuning_job_create
from jobs.services.tuning_steps import tuning_job_step, tuning_jobs_step
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TERMINAL_TUNING
from tests.jobs.training.cast import dataset_make

METRIC = "validation:rmse"
ROWS = [(float(n % 5), n / 7, n / 3) for n in range(30)]
Value = Callable[[TrainingJob], float | None]


def cost(job: TrainingJob) -> float:
    """Of eta and max_depth: best at 0.25 and 4."""
    values = job.hyperparameters
    return abs(float(values["eta"]) - 0.25) + abs(int(values["max_depth"]) - 4)


@dataclass
class Stage:
    """`value` is what a job prints last, None for one that prints nothing; `fails` says which fail, `lasts` which go on
    for ever.
    """

    alice: Actor
    value: Value = cost
    fails: Callable[[TrainingJob], bool] = lambda job: False
    lasts: Callable[[TrainingJob], bool] = lambda job: False
    n_active_most: int = 0
    played: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, alice: Actor) -> Stage:
        for name in ("train", "validation"):
            dataset_make(
                alice,
                name,
                rows=ROWS,
                columns=("a", "b", "y"),
                types=("fractional",) * 3,
            )
        node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"], concurrency=2)
        return cls(alice)

    def request(self, **changes: Any) -> TuningRequest:
        given: dict[str, Any] = {
            "name": "search",
            "objective_metric": METRIC,
            "objective_type": "Minimize",
            "ranges": [
                {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3},
                {"name": "max_depth", "type": "Integer", "min": 3, "max": 9},
            ],
            "max_jobs": 4,
            "max_parallel_jobs": 2,
            "random_seed": 1,
            "algorithm": "xgboost",
            "static_hyperparameters": {"num_round": 10, "objective": "reg:squarederror"},
            "channels": {name: ChannelRequest(dataset=name) for name in ("train", "validation")},
        }
        return TuningRequest(**(given | changes))

    def create(self, **changes: Any) -> TuningJob:
        return tuning_job_create(actor=self.alice, request=self.request(**changes))

    def turn(self) -> int:
        """The scheduler, then every job's next step; how much the scheduler did."""
        n_done = tuning_jobs_step()
        active = TrainingJob.objects.filter(status__in=("InProgress", "Stopping"))
        self.n_active_most = max(self.n_active_most, active.count())
        for job in active.select_related("trial"):
            self.play(job)
        return n_done

    def run(self, job: TuningJob, *, turns: int = 60) -> TuningJob:
        """Until it has ended."""
        for _ in range(turns):
            self.turn()
            job.refresh_from_db()
            if job.status in TERMINAL_TUNING:
                assert not tuning_job_step(tuning_job_id=job.pk)
                return job
        raise AssertionError(f"it never ends: {job.status}, {job.waiting}, {statuses(job)}")

    def play(self, job: TrainingJob) -> None:
        if job.status == "Stopping" or (job.status == "InProgress" and not self.lasts(job)):
            self.end(job)

    def end(self, job: TrainingJob) -> None:
        self.played.append(job.name)
        status = "Stopped" if job.status == "Stopping" else "Completed"
        changes: dict[str, Any] = {"ended_at": clock.now()}
        if self.fails(job):
            status = "Failed"
            changes["failure"] = {"kind": "DataError", "reason": "row 3: 'x' is not a number", "log_tail": []}
        value = self.value(job)
        if value is not None:
            self.prints(job, [value])
        last = MetricSummary.objects.filter(job=job, name=METRIC).values_list("last", flat=True).first()
        changes["final_metrics"] = {} if last is None else {METRIC: last}
        TrainingJob.objects.filter(pk=job.pk).update(status=status, secondary_status=status, **changes)

    def prints(self, job: TrainingJob, values: list[float | None]) -> None:
        """One more value of the objective for each."""
        summary, _ = MetricSummary.objects.get_or_create(job=job, name=METRIC)
        points = [[0, summary.n_points + n, value] for n, value in enumerate(values)]
        MetricChunk.objects.create(job=job, name=METRIC, first_step=summary.n_points, points=points)
        summary.n_points += len(values)
        summary.last = values[-1]
        summary.save()


def trials_of(job: TuningJob) -> list[TuningTrial]:
    return list(job.trials.select_related("training_job"))


def statuses(job: TuningJob) -> list[str]:
    return [trial.status for trial in trials_of(job)]


def explanations(job: TuningJob) -> list[str]:
    return [str(trial.explanation) for trial in trials_of(job)]
