"""A tuning job as it is, in the terms of its plan, and what the sampler is told of its trials.

A look costs a query for the trials that have ended (four columns of each), one for those under way, and few more where
steps decide. Called by `tuning_steps` only, once for every pass.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from jobs.metric_points import points_of
from jobs.models import MetricChunk, MetricSummary, TrainingJob, TuningJob, TuningStrategy, TuningTrial
from jobs.services.tuning_search_checks import tuning_jobs_limit
from jobs.services.tuning_warm_start import FIRST_MAX, IDENTICAL
from jobs.tuning.asker import History, Told
from jobs.tuning.criteria import Criteria
from jobs.tuning.early_stopping import STEPS_NEEDED
from jobs.tuning.plan import Asked, End, SeenJob, SeenTrial
from mlplatform.core import clock
from mlplatform.core.models import Membership, Role
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TERMINAL_TRIAL, TrainingJobStatus, TrialStatus, TuningJobStatus
from mlplatform.core.text import text as _

STEPS_MAX: Final = 500
"""Of a longer series every n-th step is kept, and the last one."""
_STATES: Final = {
    TrialStatus.PENDING: "running",
    TrialStatus.IN_PROGRESS: "running",
    TrialStatus.COMPLETED: "complete",
    TrialStatus.EARLY_STOPPED: "pruned",
}
_UNDER_WAY: Final = (
    "id",
    "number",
    "status",
    "explanation",
    "job_name",
    "parameters",
    "training_job_id",
    "training_job__name",
    "training_job__status",
    "training_job__queue",
    "training_job__failure",
    "training_job__final_metrics",
    "training_job__ended_at",
)
Row = dict[str, Any]
Steps = list[list[float | None]]


@dataclass(frozen=True)
class Seen:
    """What a pass begins with. `rows` are the trials under way, by number.

    Attributes:
        creator: In whose name things are begun; with their own role, which may be too low by now.
    """

    job: TuningJob
    asked: Asked
    trials: tuple[SeenTrial, ...]
    rows: Mapping[int, Row]
    creator: Actor

    @property
    def judges(self) -> bool:
        """Whether a trial that runs may be stopped because others did better. Their steps are another query, of which
        `after` knows nothing.
        """
        return _judges(self.job)

    def after(self, ends: Iterable[End]) -> Seen:
        """As another look finds it when these have been carried out and nothing else has happened."""
        ended = {end.number: SeenTrial(end.number, end.status, end.value, end.explanation) for end in ends}
        trials = tuple(ended.get(trial.number, trial) for trial in self.trials)
        rows = {number: row for number, row in self.rows.items() if number not in ended}
        return replace(self, trials=trials, rows=rows)

    @property
    def history(self) -> History:
        """What the sampler is to know; Random draws knowing nothing."""
        if self.job.strategy == TuningStrategy.RANDOM:
            return History({}, lambda numbers: ())
        states = {trial.number: _STATES.get(trial.status, "failed") for trial in self.trials}
        return History(states, lambda numbers: told_of(self.job, numbers))

    @property
    def spec(self) -> dict[str, Any]:
        """The tuning job as the sampler's study: see `jobs.tuning.studies.StudySpec`."""
        job, identical = self.job, (self.job.warm_start or {}).get("type") == IDENTICAL
        taken = [{"parameters": row["parameters"], "value": row["value"]} for row in job.warm_trials]
        return {
            "name": job.uid,
            "strategy": job.strategy,
            "direction": job.objective_type,
            "ranges": job.ranges,
            "seed": job.random_seed,
            "hyperband": job.hyperband,
            "known": taken if identical else [],
            "first": [] if identical else [row["parameters"] for row in taken[:FIRST_MAX]],
        }


def tuning_seen(*, tuning_job_id: int) -> Seen | None:
    """None where the tuning job is no more."""
    job = TuningJob.objects.select_related("project", "created_by", "source").filter(pk=tuning_job_id).first()
    if job is None:
        return None
    rows = {row["number"]: row for row in _under_way(job).values(*_UNDER_WAY)}
    creator, refused = _creator(job)
    trials = [*_ended(job), *_open(job, rows)]
    if job.early_stopping == "Auto" and any(len(trial.steps) >= STEPS_NEEDED for trial in trials):
        trials = _with_ended_steps(job, trials)
    return Seen(job, _asked(job, refused), tuple(trials), rows, creator)


def objective_steps(*, job_ids: Iterable[int], metric: str) -> dict[int, Steps]:
    """[[step, value], …] of the metric by training job, thinned to `STEPS_MAX`."""
    found: dict[int, Steps] = defaultdict(list)
    chunks = MetricChunk.objects.filter(job_id__in=list(job_ids), name=metric).order_by(
        "job_id", "first_step"
    )
    for job_id, points in chunks.values_list("job_id", "points"):
        found[job_id] += [[step, value] for _at_ms, step, value in points_of(points)]
    return {job_id: steps_thin(steps) for job_id, steps in found.items()}


def steps_thin(steps: Steps) -> Steps:
    if len(steps) <= STEPS_MAX:
        return steps
    every = -(-len(steps) // STEPS_MAX)
    kept = steps[::every]
    return kept if kept[-1] == steps[-1] else [*kept, steps[-1]]


def told_of(job: TuningJob, numbers: Sequence[int]) -> Iterator[Told]:
    """Trials in full, as the sampler is told of them."""
    columns = ("number", "status", "internal", "value", "steps")
    # SQLite takes only so many numbers in one query.
    for begin in range(0, len(numbers), 500):
        part = TuningTrial.objects.filter(tuning_job=job, number__in=numbers[begin : begin + 500])
        for number, status, internal, value, steps in part.values_list(*columns):
            state = _STATES.get(TrialStatus(status), "failed")
            wanted = job.strategy == TuningStrategy.HYPERBAND or state == "pruned"
            yield Told(number, state, internal, value, steps if wanted else ())


def running_told(seen: Seen) -> list[Told]:
    """The running trials with the steps that they have made so far, of those that have made any."""
    return [
        Told(trial.number, "running", {}, None, trial.steps)
        for trial in seen.trials
        if not trial.ended and trial.steps and not trial.explanation
    ]


def _under_way(job: TuningJob) -> Any:
    return TuningTrial.objects.filter(tuning_job=job).exclude(status__in=TERMINAL_TRIAL)


def _ended(job: TuningJob) -> Iterator[SeenTrial]:
    ended = TuningTrial.objects.filter(tuning_job=job, status__in=TERMINAL_TRIAL)
    columns = ("number", "status", "value", "explanation")
    for number, status, value, explanation in ended.values_list(*columns):
        yield SeenTrial(number, TrialStatus(status), value, explanation)


def _judges(job: TuningJob) -> bool:
    return job.early_stopping == "Auto" or job.strategy == TuningStrategy.HYPERBAND


def _open(job: TuningJob, rows: Mapping[int, Row]) -> Iterator[SeenTrial]:
    job_ids = [row["training_job_id"] for row in rows.values() if row["training_job_id"] is not None]
    steps = objective_steps(job_ids=job_ids, metric=job.objective_metric) if _judges(job) and job_ids else {}
    printed = set(
        MetricSummary.objects.filter(
            job_id__in=job_ids, name=job.objective_metric, n_points__gt=0
        ).values_list("job_id", flat=True)
        if job_ids
        else ()
    )
    for row in rows.values():
        yield SeenTrial(
            number=row["number"],
            status=TrialStatus(row["status"]),
            explanation=row["explanation"],
            job=_job(job, row, printed=row["training_job_id"] in printed),
            steps=steps.get(row["training_job_id"], ()),
        )


def _job(job: TuningJob, row: Row, *, printed: bool) -> SeenJob | None:
    if row["training_job_id"] is None:
        return None
    failed = TrainingJob(failure=row["training_job__failure"])
    return SeenJob(
        name=row["training_job__name"],
        status=TrainingJobStatus(row["training_job__status"]),
        value=(row["training_job__final_metrics"] or {}).get(job.objective_metric),
        printed=printed,
        failure=failed.failure_reason,
    )


def _with_ended_steps(job: TuningJob, trials: Sequence[SeenTrial]) -> list[SeenTrial]:
    valued = TuningTrial.objects.filter(tuning_job=job, value__isnull=False)
    steps = dict(valued.values_list("number", "steps"))
    return [replace(trial, steps=steps.get(trial.number, trial.steps)) for trial in trials]


def _asked(job: TuningJob, refused: str) -> Asked:
    return Asked(
        status=TuningJobStatus(job.status),
        direction=job.objective_type,
        metric=job.objective_metric,
        max_jobs=tuning_jobs_limit(job.strategy) if job.max_jobs is None else job.max_jobs,
        max_parallel_jobs=job.max_parallel_jobs,
        early_stopping=job.early_stopping == "Auto",
        criteria=Criteria.from_json(job.completion),
        refused=refused,
        out_of_time=_out_of_time(job),
        stop_requested=job.stop_requested_at is not None,
        ended_because=job.ended_because,
    )


def _out_of_time(job: TuningJob) -> str:
    longest_s = job.max_runtime_s
    if longest_s is None or clock.now() < job.created_at + timedelta(seconds=longest_s):
        return ""
    return _("the longest run time of {n} s has passed", n=longest_s)


def _creator(job: TuningJob) -> tuple[Actor, str]:
    """Whoever the tuning job runs for, and why nothing may be begun in their name; empty where it may."""
    user, project = job.created_by, job.project
    membership = Membership.objects.filter(project=project, user=user).first()
    actor = Actor(user=user, project=project, role=Role(membership.role) if membership else Role.VIEWER)
    name = user.get_username()
    if not user.is_active:
        return actor, _("{user}, in whose name this tuning job runs, is deactivated", user=name)
    if membership is None or not actor.may_edit:
        return actor, _(
            "{user}, in whose name this tuning job runs, may no longer edit project {project}",
            user=name,
            project=project.name,
        )
    return actor, ""
