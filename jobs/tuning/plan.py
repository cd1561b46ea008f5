"""What a tuning job does next: what is asked × its trials as observed → actions. Pure: no database, process or clock.

Nothing here remembers: carrying actions out and planning again, while training jobs go on, ends every tuning job and
leaves no job running, whatever was interrupted. Carried out by `jobs.services.tuning_steps`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from jobs.tuning.criteria import NO_CRITERIA, Criteria, criterion_met
from jobs.tuning.early_stopping import Steps, median_rule_stops
from mlplatform.core.status import (
    TERMINAL_TRAINING,
    TERMINAL_TRIAL,
    TERMINAL_TUNING,
    TrainingJobStatus,
    TrialStatus,
    TuningJobStatus,
)
from mlplatform.core.text import text as _

WITHOUT_VALUE_MAX: Final = 20
"""So many trials from the first on may end without a value before the others are given up: they would too."""


@dataclass(frozen=True)
class Asked:
    """What holds for all trials.

    Attributes:
        max_jobs: How many trials there may be at all; where nobody said, the limit.
        refused: Why nothing may be begun in the name of whom the tuning job runs for; empty while it may.
        out_of_time: Its longest run time, in words, when that has passed; else empty.
        stop_requested: A person asked it to stop.
        ended_because: Why it is Stopping, unless a person asked.
    """

    status: TuningJobStatus
    direction: str
    metric: str
    max_jobs: int
    max_parallel_jobs: int
    early_stopping: bool = False
    criteria: Criteria = NO_CRITERIA
    refused: str = ""
    out_of_time: str = ""
    stop_requested: bool = False
    ended_because: str = ""


@dataclass(frozen=True)
class SeenJob:
    """A trial's training job. `value` is the objective's last value, None where there is none; `printed` tells whether
    it printed the objective at all.
    """

    name: str
    status: TrainingJobStatus
    value: float | None = None
    printed: bool = False
    failure: str = ""


@dataclass(frozen=True)
class SeenTrial:
    """A trial; of one that has ended only what is needed. `explanation` of one under way says why it is being stopped.

    `hyperband_stops`: Hyperband's verdict on a running trial.
    """

    number: int
    status: TrialStatus
    value: float | None = None
    explanation: str = ""
    job: SeenJob | None = None
    steps: Steps = ()
    hyperband_stops: bool = False

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL_TRIAL


@dataclass(frozen=True)
class Begin:
    """The sampler says what the trial is to try, and the trial gets its row."""

    number: int


@dataclass(frozen=True)
class Create:
    """The training job of a trial that has none is made."""

    number: int


@dataclass(frozen=True)
class StopEarly:
    """The job is asked to stop; why is kept with the trial."""

    number: int
    reason: str


@dataclass(frozen=True)
class StopJob:
    number: int


@dataclass(frozen=True)
class End:
    """The trial has ended."""

    number: int
    status: TrialStatus
    value: float | None = None
    explanation: str = ""


@dataclass(frozen=True)
class Conclude:
    """Enough: nothing more is begun, and what runs is stopped."""

    reason: str


@dataclass(frozen=True)
class Finish:
    """All trials have ended. `reason` is why it ended, or of a tuning job that is Failed, why that."""

    status: TuningJobStatus
    reason: str


Action = Begin | Create | StopEarly | StopJob | End | Conclude | Finish


def tuning_plan(asked: Asked, trials: Sequence[SeenTrial]) -> tuple[Action, ...]:
    """The actions that bring the tuning job on, trials by their numbers; none where it has ended, or only waits.

    Trials that have ended are taken in first, and alone, because what they say decides all else. Linear in the number
    of trials.
    """
    if asked.status in TERMINAL_TUNING:
        return ()
    ordered = sorted(trials, key=lambda trial: trial.number)
    under_way = [trial for trial in ordered if not trial.ended]
    ends = tuple(end for trial in under_way if (end := _end(asked, trial)) is not None)
    if ends:
        return ends
    if asked.status == TuningJobStatus.STOPPING:
        return tuple(_stop(under_way)) if under_way else (_finish(asked, ordered, asked.ended_because),)
    enough = _enough(asked, ordered, n_under_way=len(under_way))
    if enough:
        return (Conclude(enough),) if under_way else (_finish(asked, ordered, enough),)
    return (*_stop_early(asked, ordered), *_go_on(asked, ordered, under_way))


def _end(asked: Asked, trial: SeenTrial) -> End | None:
    """The end of a trial whose job has ended, or which is never to get one."""
    number, job = trial.number, trial.job
    if trial.status == TrialStatus.PENDING:
        if asked.status != TuningJobStatus.STOPPING:
            return None
        why = asked.ended_because or _("the tuning job was stopped before it was begun")
        return End(number, TrialStatus.STOPPED, explanation=why)
    if job is None:
        return End(
            number, TrialStatus.FAILED, explanation=_("its training job was deleted before it was read")
        )
    if job.status not in TERMINAL_TRAINING:
        return None
    if job.status == TrainingJobStatus.FAILED:
        return End(number, TrialStatus.FAILED, explanation=job.failure or _("its training job failed"))
    value = job.value
    if job.status == TrainingJobStatus.COMPLETED:
        if value is None:
            return End(number, TrialStatus.NO_METRIC, explanation=_without_metric(asked.metric, job))
        return End(number, TrialStatus.COMPLETED, value)
    early = trial.explanation or job.failure
    if early and value is not None:
        return End(number, TrialStatus.EARLY_STOPPED, value, early)
    why = early or _("training job {name} was stopped", name=job.name)
    return End(number, TrialStatus.STOPPED, explanation=why)


def _without_metric(metric: str, job: SeenJob) -> str:
    if job.printed:
        return _("the last value of {metric} that it printed is no finite number", metric=metric)
    return _("it ended well, and never printed {metric}", metric=metric)


def _stop(under_way: Sequence[SeenTrial]) -> Iterator[Action]:
    for trial in under_way:
        if trial.job is not None and trial.job.status == TrainingJobStatus.IN_PROGRESS:
            yield StopJob(trial.number)


def _enough(asked: Asked, trials: Sequence[SeenTrial], *, n_under_way: int) -> str:
    """Why nothing more is to be begun and what runs is to be stopped; empty to go on."""
    if asked.out_of_time:
        return asked.out_of_time
    ended = [(trial.number, trial.value) for trial in trials if trial.ended]
    met = criterion_met(asked.criteria, ended, direction=asked.direction)
    if met:
        return met
    if len(ended) >= WITHOUT_VALUE_MAX and not any(value is not None for _number, value in ended):
        return _("the first {n} trials ended without a value", n=len(ended))
    if n_under_way:
        return ""
    if asked.refused:
        return asked.refused
    return _("all {n} trials have ended", n=len(ended)) if len(ended) >= asked.max_jobs else ""


def _stop_early(asked: Asked, trials: Sequence[SeenTrial]) -> Iterator[Action]:
    others = [trial.steps for trial in trials if trial.value is not None] if asked.early_stopping else []
    for trial in trials:
        running = trial.job is not None and trial.job.status == TrainingJobStatus.IN_PROGRESS
        if trial.ended or not running or trial.explanation:
            continue
        if trial.hyperband_stops:
            reason = _(
                "Hyperband stopped it after {n} steps: others were better with as many", n=_n_steps(trial)
            )
            yield StopEarly(trial.number, reason)
        elif asked.early_stopping and median_rule_stops(trial.steps, others, direction=asked.direction):
            reason = _(
                "stopped early after {n} steps: {value} is worse than the median of the other trials' averages",
                n=_n_steps(trial),
                value=trial.steps[-1][1],
            )
            yield StopEarly(trial.number, reason)


def _n_steps(trial: SeenTrial) -> int:
    """How many it has made; long series are thinned, and their steps count from 0."""
    return int(trial.steps[-1][0] or 0) + 1


def _go_on(asked: Asked, trials: Sequence[SeenTrial], under_way: Sequence[SeenTrial]) -> Iterator[Action]:
    """Jobs of trials that have none, then new trials, as far as there are places."""
    if asked.refused:
        for trial in under_way:
            if trial.status == TrialStatus.PENDING:
                yield End(trial.number, TrialStatus.FAILED, explanation=asked.refused)
        return
    for trial in under_way:
        if trial.status == TrialStatus.PENDING:
            yield Create(trial.number)
    n_free = min(asked.max_parallel_jobs - len(under_way), asked.max_jobs - len(trials))
    last = trials[-1].number if trials else 0
    for number in range(last + 1, last + 1 + max(0, n_free)):
        yield Begin(number)


def _finish(asked: Asked, trials: Sequence[SeenTrial], reason: str) -> Finish:
    if asked.stop_requested:
        return Finish(TuningJobStatus.STOPPED, reason)
    if any(trial.value is not None for trial in trials):
        return Finish(TuningJobStatus.COMPLETED, reason)
    return Finish(TuningJobStatus.FAILED, _no_value(asked, trials, reason))


def _no_value(asked: Asked, trials: Sequence[SeenTrial], reason: str) -> str:
    """Why no trial has a value, with what most of them said."""
    said = Counter(trial.explanation for trial in trials if trial.explanation)
    if not said:
        return reason
    most, n_most = said.most_common(1)[0]
    if n_most == len(trials):
        return _(
            "none of its {n} trials has a value of {metric}: {said}",
            n=len(trials),
            metric=asked.metric,
            said=most,
        )
    return _(
        "none of its {n} trials has a value of {metric}; {m} of them: {said}",
        n=len(trials),
        metric=asked.metric,
        m=n_most,
        said=most,
    )
