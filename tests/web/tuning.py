"""Tuning jobs for tests of pages: rows as the services leave them, trials whose values resemble a regression."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from jobs.models import TrainingJob, TuningJob, TuningTrial
from mlplatform.core import clock
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TERMINAL_TRIAL, TrialStatus
from mlplatform.core.text import text as _

RANGES = (
    {"name": "eta", "type": "Continuous", "min": 0.01, "max": 0.5, "scaling": "Logarithmic"},
    {"name": "max_depth", "type": "Integer", "min": 2, "max": 8, "scaling": "Linear"},
    {"name": "booster", "type": "Categorical", "values": ["gbtree", "dart"]},
)
METRIC = "validation:rmse"
SECONDS = 4.0
EXPLANATIONS = {
    TrialStatus.NO_METRIC: _("{metric} was not printed: 0 matches in the log", metric=METRIC),
    TrialStatus.FAILED: _("row {row} has no label", row=17),
    TrialStatus.EARLY_STOPPED: _("worse than the median at step {step}", step=6),
    TrialStatus.STOPPED: _("The tuning job was stopped"),
}
Statuses = Callable[[int], TrialStatus]


@dataclass(frozen=True)
class Trials:
    """How many trials there are and what became of each, by number from 1. `values` are further columns of the job."""

    n: int = 12
    statuses: Statuses = lambda number: TrialStatus.COMPLETED
    ranges: Sequence[dict[str, Any]] = RANGES
    with_jobs: bool = True
    values: dict[str, Any] = field(default_factory=dict)


def halfway(number: int) -> TrialStatus:
    """Of twelve: some done, one failed, one without a metric, one stopped early, two running."""
    special = {
        3: TrialStatus.FAILED,
        5: TrialStatus.NO_METRIC,
        6: TrialStatus.EARLY_STOPPED,
        11: TrialStatus.IN_PROGRESS,
        12: TrialStatus.PENDING,
    }
    return special.get(number, TrialStatus.COMPLETED)


def tuning_make(actor: Actor, name: str = "tuned", trials: Trials | None = None) -> TuningJob:
    """A tuning job with its trials; it has ended where all of them have, unless `values` say otherwise."""
    trials = trials or Trials()
    now = clock.now()
    ended = (
        all(trials.statuses(number) in TERMINAL_TRIAL for number in range(1, trials.n + 1)) and trials.n > 0
    )
    tuning_job = TuningJob.objects.create(
        **{
            "project": actor.project,
            "name": name,
            "uid": uid_new(),
            "strategy": "Bayesian",
            "objective_metric": METRIC,
            "objective_type": "Minimize",
            "ranges": list(trials.ranges),
            "max_jobs": max(trials.n, 4),
            "max_parallel_jobs": 2,
            "random_seed": 7,
            "algorithm": "xgboost",
            "static_hyperparameters": {"num_round": "40"},
            "channels": {
                "train": {"dataset": "diabetes-train@1"},
                "validation": {"dataset": "diabetes-test@1"},
            },
            "instance_type": "local.cpu",
            "status": "Completed" if ended else "InProgress",
            "ended_because": _("All {n} trials have ended", n=trials.n) if ended else "",
            "created_by": actor.user,
            "created_at": now - timedelta(minutes=5),
            "ended_at": now if ended else None,
        }
        | trials.values
    )
    for number in range(1, trials.n + 1):
        _trial(actor, tuning_job, trials, number)
    best = tuning_job.trials.filter(status=TrialStatus.COMPLETED).order_by("value").first()
    if best is not None:
        tuning_job.best_trial = best
        tuning_job.save(update_fields=["best_trial"])
    return tuning_job


def value_of(parameters: dict[str, str]) -> float:
    """Least near eta = 0.1 and a depth of 4."""
    eta, depth = float(parameters["eta"]), int(parameters["max_depth"])
    worse = 1.5 if parameters.get("booster") == "dart" else 0.0
    return 55 + 3 * math.log10(eta / 0.1) ** 2 + 0.6 * (depth - 4) ** 2 + worse


def parameters_of(number: int) -> dict[str, str]:
    return {
        "eta": repr(round(0.01 * 50 ** ((number * 0.618) % 1), 6)),
        "max_depth": str(2 + (number * 5) % 7),
        "booster": "dart" if number % 3 == 0 else "gbtree",
    }


def _trial(actor: Actor, tuning_job: TuningJob, trials: Trials, number: int) -> None:
    status = trials.statuses(number)
    parameters = parameters_of(number)
    begun = tuning_job.created_at + timedelta(seconds=SECONDS * ((number - 1) // 2) + 0.3 * (number % 2))
    has_value = status in (TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED)
    value = value_of(parameters) + (8 if status == TrialStatus.EARLY_STOPPED else 0) if has_value else None
    ended = status in TERMINAL_TRIAL
    job_name = f"{tuning_job.name}-{number:03d}-{number * 7919:08x}"
    begins = status != TrialStatus.PENDING
    TuningTrial.objects.create(
        tuning_job=tuning_job,
        number=number,
        parameters=parameters,
        job_name=job_name,
        training_job=_job(actor, job_name, status, parameters, value)
        if trials.with_jobs and begins
        else None,
        status=status,
        value=value,
        steps=[[step, (value or 0) + 20 / (step + 1)] for step in range(10)] if value is not None else [],
        explanation=EXPLANATIONS.get(status, ""),
        created_at=tuning_job.created_at,
        started_at=begun if begins else None,
        ended_at=begun + timedelta(seconds=SECONDS - 0.5) if ended else None,
    )


def _job(
    actor: Actor, name: str, status: TrialStatus, parameters: dict[str, str], value: float | None
) -> TrainingJob:
    now = clock.now()
    word = {
        TrialStatus.FAILED: "Failed",
        TrialStatus.IN_PROGRESS: "InProgress",
        TrialStatus.STOPPED: "Stopped",
        TrialStatus.EARLY_STOPPED: "Stopped",
    }.get(status, "Completed")
    return TrainingJob.objects.create(
        project=actor.project,
        name=name,
        uid=uid_new(),
        algorithm="xgboost",
        hyperparameters={"num_round": "40", **parameters},
        instance_type="local.cpu",
        queue="cpu",
        status=word,
        secondary_status="Training" if word == "InProgress" else word,
        final_metrics={} if value is None else {METRIC: value},
        billable_s=4,
        log=log_stream_create(),
        created_by=actor.user,
        created_at=now,
        started_at=now,
        ended_at=None if word == "InProgress" else now,
    )
