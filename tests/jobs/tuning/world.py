"""A tuning job played without a database: carries out the plan, and plays workers, people and the clock's hand.

Whatever is done to it, it holds the promises of the plan while it is done; see `World.check`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from jobs.tuning.plan import (
    Action,
    Asked,
    Begin,
    Conclude,
    Create,
    End,
    Finish,
    SeenJob,
    SeenTrial,
    StopEarly,
    StopJob,
    tuning_plan,
)
from mlplatform.core.status import (
    TERMINAL_TRAINING,
    TERMINAL_TUNING,
    TRIAL_TRANSITIONS,
    TUNING_TRANSITIONS,
    TrainingJobStatus,
    TrialStatus,
    TuningJobStatus,
)

J, S, T = TuningJobStatus, TrialStatus, TrainingJobStatus
METRIC = "validation:rmse"


def asked(**values: object) -> Asked:
    given = {
        "status": J.IN_PROGRESS,
        "direction": "Minimize",
        "metric": METRIC,
        "max_jobs": 4,
        "max_parallel_jobs": 2,
    }
    return Asked(**(given | values))  # type: ignore[arg-type]


@dataclass
class World:
    """The rows as the database would have them."""

    asked: Asked
    trials: dict[int, SeenTrial] = field(default_factory=dict)
    n_jobs_made: int = 0

    # ---- what carries the plan out

    def plan(self) -> tuple[Action, ...]:
        return tuning_plan(self.asked, list(self.trials.values()))

    def step(self, *, killed_after: int | None = None) -> int:
        """One pass; the process that makes it may be killed between two actions. How many actions there were."""
        actions = self.plan()
        for action in actions[:killed_after]:
            self.apply(action)
            self.check()
        return len(actions)

    def apply(self, action: Action) -> None:
        match action:
            case Begin(number):
                assert number not in self.trials and not self.asked.refused
                self.trials[number] = SeenTrial(number, S.PENDING)
            case Create(number):
                assert self.trials[number].job is None and not self.asked.refused
                self.n_jobs_made += 1
                self.become(number, S.IN_PROGRESS, job=SeenJob(f"j{number}", T.IN_PROGRESS))
            case StopEarly(number, reason):
                assert reason
                self.change(number, explanation=reason)
                self.job(number, T.STOPPING)
            case StopJob(number):
                self.job(number, T.STOPPING)
            case End(number, status, value, explanation):
                assert (value is not None) == (status in {S.COMPLETED, S.EARLY_STOPPED})
                assert explanation or status == S.COMPLETED
                self.become(number, status, value=value, explanation=explanation)
            case Conclude(reason):
                assert reason
                self.tuning(J.STOPPING, ended_because=reason)
            case Finish(status, reason):
                assert reason or self.asked.stop_requested
                self.tuning(status)
            case _:
                raise AssertionError(action)

    # ---- what others do

    def job_ends(self, number: int, status: TrainingJobStatus, *, value: float | None = 1.0) -> None:
        job = self.trials[number].job if number in self.trials else None
        if job is None or job.status in TERMINAL_TRAINING:
            return
        failure = "DataError: no rows" if status == T.FAILED else ""
        self.change(number, job=SeenJob(job.name, status, value, value is not None, failure))

    def job_deleted(self, number: int) -> None:
        job = self.trials[number].job if number in self.trials else None
        if job is not None and job.status in TERMINAL_TRAINING:
            self.change(number, job=None)

    def steps(self, number: int, n: int, value: float) -> None:
        if number in self.trials:
            self.change(number, steps=tuple((step, value) for step in range(n)))

    def stop(self) -> None:
        if self.asked.status == J.IN_PROGRESS:
            self.asked = replace(self.asked, status=J.STOPPING, stop_requested=True)

    # ---- rows

    def job(self, number: int, status: TrainingJobStatus) -> None:
        job = self.trials[number].job
        if job is not None and job.status not in TERMINAL_TRAINING:
            self.change(number, job=replace(job, status=status))

    def tuning(self, status: TuningJobStatus, **values: object) -> None:
        assert status in TUNING_TRANSITIONS[self.asked.status]
        self.asked = replace(self.asked, status=status, **values)  # type: ignore[arg-type]

    def become(self, number: int, status: TrialStatus, **values: object) -> None:
        before = self.trials[number].status
        assert status in TRIAL_TRANSITIONS[before], f"{before} -> {status}"
        self.change(number, status=status, **values)

    def change(self, number: int, **values: object) -> None:
        self.trials[number] = replace(self.trials[number], **values)  # type: ignore[arg-type]

    # ---- what must hold

    def check(self) -> None:
        trials = list(self.trials.values())
        assert sorted(self.trials) == list(range(1, len(trials) + 1)), "a number is missing"
        n_open = sum(not trial.ended for trial in trials)
        assert n_open <= self.asked.max_parallel_jobs
        assert len(trials) <= self.asked.max_jobs
        assert self.n_jobs_made <= len(trials), "a trial was tried twice"
        if self.asked.status in TERMINAL_TUNING:
            assert not n_open, "a trial is left"
            valued = any(trial.value is not None for trial in trials)
            if not self.asked.stop_requested:
                assert (self.asked.status == J.COMPLETED) == valued

    def run_well(self) -> None:
        """Everybody does what is to be done, until nothing changes."""
        for _ in range(6 * self.asked.max_jobs + 20):
            if self.asked.status in TERMINAL_TUNING:
                assert not self.step()
                return
            self.go_well()
        raise AssertionError(
            f"it never ends: {self.asked.status}, {[t.status for t in self.trials.values()]}"
        )

    def go_well(self) -> None:
        self.step()
        for number, trial in list(self.trials.items()):
            stopping = trial.job is not None and trial.job.status == T.STOPPING
            self.job_ends(number, T.STOPPED if stopping else T.COMPLETED, value=1.0 + number)
        self.check()
