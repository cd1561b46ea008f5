"""Trials of a tuning job as its pages show them: how good they are, how long they took, in which order. Pure.

Rows of trials in, views of them out. Called by the page's context, charts and downloads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _

from jobs.comparison.runs import Run, number_of
from jobs.models import TuningJob, TuningTrial
from mlplatform.core.result_table import Cell, Column, ResultTable
from mlplatform.core.status import TERMINAL_TRIAL, TrialStatus
from mlplatform.core.text import text as _t
from mlplatform.core.translation import translated
from mlplatform.web.charts.tuning_trials import Objective, TrialPoint

PARAMETER: Final = "p."
"""Begins the sort key of a parameter's column."""
_MEASURED: Final = frozenset({TrialStatus.COMPLETED, TrialStatus.EARLY_STOPPED})


@dataclass(frozen=True)
class TrialView:
    """One trial, how long it took until now, and whether it is the best."""

    trial: TuningTrial
    seconds: float | None
    is_best: bool

    @property
    def ended(self) -> bool:
        return self.trial.status in TERMINAL_TRIAL

    @property
    def is_measured(self) -> bool:
        value = self.trial.value
        return self.trial.status in _MEASURED and value is not None and math.isfinite(value)

    @property
    def step_values(self) -> list[float]:
        """The objective's values in the order of their steps."""
        return [value for _step, value in _steps(self.trial)]

    @property
    def said(self) -> str:
        """Why there is no value, why it was stopped, or that nothing was printed so far."""
        if self.trial.explanation:
            return translated(self.trial.explanation)
        if self.trial.status == TrialStatus.IN_PROGRESS and not self.trial.steps:
            return _("0 matches so far")
        return ""

    @property
    def point(self) -> TrialPoint:
        """The same for charts. The value of one that still runs may change, and is not drawn."""
        return TrialPoint(
            number=self.trial.number,
            status=self.trial.status,
            value=self.trial.value if self.is_measured else None,
            parameters=self.trial.parameters,
            is_best=self.is_best,
            started_at=self.trial.started_at,
            ended_at=self.trial.ended_at,
        )


@dataclass(frozen=True)
class Counts:
    """How many trials there are in each state; `n` is how many there can be, None where only time is limited."""

    n: int | None = None
    done: int = 0
    early: int = 0
    failed: int = 0
    stopped: int = 0
    active: int = 0
    waiting: int = 0

    @property
    def ended(self) -> int:
        return self.done + self.early + self.failed + self.stopped

    @property
    def begun(self) -> int:
        return self.ended + self.active + self.waiting

    @property
    def whole(self) -> int:
        """What a bar of them is as long as."""
        return max(self.n or 0, self.begun, 1)

    @property
    def parts(self) -> list[tuple[str, int, str]]:
        """(tone, how many, in words) of the states that there are."""
        found = [
            ("good", self.done, _("done")),
            ("neutral", self.early, _("stopped early")),
            ("bad", self.failed, _("without a value")),
            ("neutral", self.stopped, _("stopped")),
            ("active", self.active, _("running")),
            ("waiting", self.waiting, _("waiting")),
        ]
        return [part for part in found if part[1]]


def trial_views(trials: Iterable[TuningTrial], *, best: int | None, now: datetime) -> list[TrialView]:
    """The trials in the order of their numbers.

    Args:
        best: Key of the best trial's row.
    """
    return [
        TrialView(trial, _seconds(trial, now), trial.pk == best)
        for trial in sorted(trials, key=lambda trial: trial.number)
    ]


def trial_counts(statuses: Mapping[str, int], *, limit: int | None) -> Counts:
    """From how many trials there are in each status."""

    def of(*wanted: TrialStatus) -> int:
        return sum(statuses.get(status, 0) for status in wanted)

    return Counts(
        n=limit,
        done=of(TrialStatus.COMPLETED),
        early=of(TrialStatus.EARLY_STOPPED),
        failed=of(TrialStatus.FAILED, TrialStatus.NO_METRIC),
        stopped=of(TrialStatus.STOPPED),
        active=of(TrialStatus.IN_PROGRESS),
        waiting=of(TrialStatus.PENDING),
    )


def list_counts(tuning_job: Any) -> Counts:
    """From the counts that lists have."""
    n, active, failed = tuning_job.n_trials, tuning_job.n_active, tuning_job.n_failed
    valued = min(tuning_job.n_valued, n - active - failed)
    return Counts(
        n=tuning_job.max_jobs, done=valued, failed=failed, stopped=n - active - failed - valued, active=active
    )


def statuses_of(views: Iterable[TrialView]) -> dict[str, int]:
    found: dict[str, int] = {}
    for view in views:
        found[view.trial.status] = found.get(view.trial.status, 0) + 1
    return found


def objective_of(tuning_job: TuningJob) -> Objective:
    return Objective(tuning_job.objective_metric, tuning_job.objective_type == "Minimize")


def parameter_names(tuning_job: TuningJob) -> list[str]:
    """What was varied, in the order of the ranges."""
    return [str(one["name"]) for one in tuning_job.ranges]


def trials_ordered(views: Sequence[TrialView], order: str) -> list[TrialView]:
    """Sorted by `number`, `status`, `value`, `duration` or `p.<parameter>`, with a hyphen before it for descending;
    what has no value comes last either way, numbers before texts. Anything else counts as `number`.
    """
    key, falling = order.removeprefix("-"), order.startswith("-")
    keyed = [(_sort_value(view, key), view) for view in views]
    known = [pair for pair in keyed if pair[0] is not None]
    known.sort(key=lambda pair: _comparable(pair[0]), reverse=falling)
    return [view for _value, view in known] + [view for value, view in keyed if value is None]


def trials_table(tuning_job: TuningJob, views: Sequence[TrialView]) -> ResultTable:
    """A row per trial with all digits; a parameter's column has its own name, after `parameter_` where another column
    has that name already.
    """
    names = parameter_names(tuning_job)
    head = (
        Column("trial", _t("Trial")),
        Column("status", _t("Status")),
        Column("value", tuning_job.objective_metric),
        Column("best", _t("best")),
        Column("seconds", _t("Duration"), "s"),
        Column("training_job", _t("Training job")),
        Column("explanation", _t("Explanation")),
    )
    taken = {column.key for column in head}
    columns = [Column(f"parameter_{name}" if name in taken else name, name) for name in names]
    return ResultTable((*head, *columns), tuple(_row(view, names) for view in views))


def runs_of(tuning_job: TuningJob, views: Sequence[TrialView]) -> list[Run]:
    """The measured trials as parallel coordinates draw them, named like their jobs, with what was varied."""
    metric = tuning_job.objective_metric
    return [
        Run(
            name=view.trial.job_name,
            status=view.trial.status,
            ended=view.ended,
            created_at=view.trial.created_at,
            about=tuning_job.algorithm,
            parameters={name: str(value) for name, value in view.trial.parameters.items()},
            metrics={metric: view.trial.value or 0.0},
            directions={metric: "Minimize" if tuning_job.objective_type == "Minimize" else "Maximize"},
        )
        for view in views
        if view.is_measured
    ]


def remaining_s(views: Sequence[TrialView], counts: Counts, *, parallel: int, now: datetime) -> float | None:
    """Seconds until so many trials as may be have ended, if they take as long as those before; None while that is
    unknown: nothing has ended, or only time limits them.
    """
    lasted = [view.seconds for view in views if view.ended and view.seconds]
    if counts.n is None or not lasted:
        return None
    each = sum(lasted) / len(lasted)
    behind = sum(min(view.seconds or 0.0, each) for view in views if not view.ended)
    left = max(counts.n - counts.ended, 0)
    return max(0.0, (each * left - behind) / max(1, parallel)) if left else None


def _row(view: TrialView, names: Sequence[str]) -> tuple[Cell, ...]:
    trial = view.trial
    return (
        Cell(trial.number),
        Cell(trial.status),
        Cell(
            trial.value if trial.value is not None and math.isfinite(trial.value) else None,
            "best" if view.is_best else "",
        ),
        Cell(int(view.is_best)),
        Cell(None if view.seconds is None else round(view.seconds, 3)),
        Cell(trial.job_name),
        Cell(view.said),
        *(Cell(trial.parameters.get(name)) for name in names),
    )


def _sort_value(view: TrialView, key: str) -> Any:
    if key == "value":
        return view.trial.value if view.is_measured else None
    if key == "status":
        return view.trial.status
    if key == "duration":
        return view.seconds
    if key.startswith(PARAMETER):
        return view.trial.parameters.get(key.removeprefix(PARAMETER))
    return view.trial.number


def _comparable(value: Any) -> tuple[bool, float, str]:
    number = value if isinstance(value, int | float) else number_of(str(value))
    return number is None, number or 0.0, str(value)


def _seconds(trial: TuningTrial, now: datetime) -> float | None:
    if trial.started_at is None:
        return None
    return max(0.0, ((trial.ended_at or now) - trial.started_at).total_seconds())


def _steps(trial: TuningTrial) -> list[tuple[float, float]]:
    return [
        (float(step), float(value))
        for step, value in trial.steps
        if isinstance(value, int | float) and math.isfinite(value)
    ]
