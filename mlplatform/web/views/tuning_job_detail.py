"""What the page of one tuning job shows: how far it is, its best trial, the open tab. Called by its view."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

from django.http import HttpRequest
from django.utils.translation import gettext as _

from jobs.algorithms.registry import SCRIPT, algorithm_get
from jobs.models import TuningJob
from jobs.selectors.tuning import tuning_trials
from jobs.services.tuning import tuning_job_clone_request
from mlplatform.core import clock
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrialStatus
from mlplatform.web.charts.tuning import history_figure, history_summary
from mlplatform.web.forms.tuning_jobs import TuningJobForm
from mlplatform.web.tuning_trials import (
    PARAMETER,
    Counts,
    TrialView,
    objective_of,
    parameter_names,
    remaining_s,
    statuses_of,
    trial_counts,
    trial_views,
    trials_ordered,
)
from mlplatform.web.views.tuning_charts import charts_context

TRIALS_PER_PAGE: Final = 100
TABS: Final = ("overview", "trials", "charts", "api")
DRAWN_TABS: Final = frozenset({"overview", "charts"})
"""Tabs with charts, which have nothing to change on a page from before anything had a value."""
_STATES: Final = {
    "active": frozenset({TrialStatus.IN_PROGRESS}),
    "waiting": frozenset({TrialStatus.PENDING}),
    "done": frozenset({TrialStatus.COMPLETED}),
    "early": frozenset({TrialStatus.EARLY_STOPPED}),
    "failed": frozenset({TrialStatus.FAILED, TrialStatus.NO_METRIC}),
    "stopped": frozenset({TrialStatus.STOPPED}),
}


def views_of(tuning_job: TuningJob, *, steps: bool = False) -> list[TrialView]:
    return trial_views(
        tuning_trials(tuning_job=tuning_job, steps=steps), best=tuning_job.best_trial_id, now=clock.now()
    )


def detail_context(request: HttpRequest, actor: Actor, tuning_job: TuningJob, tab: str) -> dict[str, Any]:
    """The context of the page and of its poll, in which `changed` says whether more than the state is new."""
    now = clock.now()
    views = views_of(tuning_job, steps=tab == "trials")
    counts = trial_counts(statuses_of(views), limit=tuning_job.max_jobs)
    measured = [view for view in views if view.is_measured]
    seen = f"{len(measured)}-{_mark(tuning_job, views, tab)}"
    given = request.headers.get("X-Seen", "")
    best = next((view for view in views if view.is_best), None)
    tabs: dict[str, Callable[[], dict[str, Any]]] = {
        "overview": lambda: _overview(request, tuning_job, views),
        "trials": lambda: _trials(request, tuning_job, views, counts),
        "charts": lambda: charts_context(request, actor, tuning_job, views),
        "api": lambda: {"calls": _api_calls(request, actor, tuning_job)},
    }
    return {
        "tuning_job": tuning_job,
        "tab": tab,
        "tabs": _titles(counts),
        "tab_template": f"tuning_jobs/_{tab}.html",
        "algorithm_title": _algorithm_title(tuning_job),
        "views": views,
        "measured": measured,
        "best": best,
        "counts": counts,
        "seen": seen,
        "changed": seen != given,
        "begins": tab in DRAWN_TABS and given.startswith("0-") and bool(measured),
        "fraction": counts.ended / counts.n if counts.n else "",
        "elapsed_s": ((tuning_job.ended_at or now) - tuning_job.created_at).total_seconds(),
        "remaining_s": None
        if tuning_job.ended
        else remaining_s(views, counts, parallel=tuning_job.max_parallel_jobs, now=now),
        "can_extend": tuning_job.status == "InProgress" and tuning_job.max_jobs is not None,
        **tabs[tab](),
    }


def _titles(counts: Counts) -> list[tuple[str, str, int | None]]:
    return [
        ("overview", _("Overview"), None),
        ("trials", _("Trials"), counts.begun),
        ("charts", _("Charts"), None),
        ("api", _("API"), None),
    ]


def _overview(request: HttpRequest, tuning_job: TuningJob, views: Sequence[TrialView]) -> dict[str, Any]:
    objective = objective_of(tuning_job)
    points = [view.point for view in views]
    log_scale = request.GET.get("scale") == "log"
    return {
        "history": history_figure(points, objective, log_scale=log_scale),
        "history_summary": history_summary(points, objective),
        "troubled": [view for view in views if view.trial.status in _STATES["failed"]][-3:],
        "form": TuningJobForm.from_request(_request(tuning_job)),
    }


def _request(tuning_job: TuningJob) -> dict[str, Any]:
    """What was asked for, as a form takes it."""
    names = (
        "description", "strategy", "objective_metric", "objective_type", "ranges", "max_jobs", "max_parallel_jobs",
        "max_runtime_s", "early_stopping", "hyperband", "completion", "random_seed", "warm_start", "algorithm",
        "static_hyperparameters", "channels", "metric_definitions", "instance_type", "job_max_runtime_s",
        "environment", "tags",
    )  # fmt: skip
    return {name: getattr(tuning_job, name) for name in names}


def _trials(
    request: HttpRequest, tuning_job: TuningJob, views: Sequence[TrialView], counts: Counts
) -> dict[str, Any]:
    titles = {
        "all": (_("All"), counts.begun),
        "active": (_("Running"), counts.active),
        "waiting": (_("Waiting"), counts.waiting),
        "done": (_("Done"), counts.done),
        "early": (_("Stopped early"), counts.early),
        "failed": (_("Without a value"), counts.failed),
        "stopped": (_("Stopped"), counts.stopped),
    }
    shown = request.GET.get("show", "")
    shown = shown if shown in titles else "all"
    wanted = _STATES.get(shown)
    order = request.GET.get("order") or "number"
    chosen = trials_ordered([view for view in views if wanted is None or view.trial.status in wanted], order)
    n_pages = max(1, -(-len(chosen) // TRIALS_PER_PAGE))
    asked = request.GET.get("page", "")
    number = min(int(asked), n_pages) if asked.isdecimal() and len(asked) < 6 and int(asked) else 1
    names = parameter_names(tuning_job)
    return {
        "filters": [(key, title, n) for key, (title, n) in titles.items() if n or key in ("all", shown)],
        "shown": shown,
        "parameters": [(name, f"{PARAMETER}{name}") for name in names],
        "page_of_trials": [
            (view, [view.trial.parameters.get(name) for name in names])
            for view in chosen[(number - 1) * TRIALS_PER_PAGE : number * TRIALS_PER_PAGE]
        ],
        "page_number": number,
        "page_before": number - 1,
        "page_after": number + 1,
        "n_pages": n_pages,
    }


def _mark(tuning_job: TuningJob, views: Sequence[TrialView], tab: str) -> str:
    """A mark of what the page shows beside its state; another one means that it has to be drawn anew."""
    parts = [
        (
            view.trial.pk,
            view.trial.status,
            str(view.trial.explanation),
            view.trial.training_job_id,
            (view.trial.value, len(view.trial.steps)) if tab == "trials" else view.is_measured,
        )
        for view in views
    ]
    shown = (tuning_job.status, tuning_job.max_jobs, tuning_job.best_trial_id, parts)
    return hashlib.sha256(repr(shown).encode()).hexdigest()[:12]


def _algorithm_title(tuning_job: TuningJob) -> str:
    if tuning_job.algorithm == SCRIPT:
        return f"{tuning_job.framework} · {tuning_job.entry_point}"
    return _(algorithm_get(tuning_job.algorithm).title)


def _api_calls(request: HttpRequest, actor: Actor, tuning_job: TuningJob) -> list[tuple[str, str]]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    path = f"/api/v1/projects/{actor.project.name}/tuning-jobs/{tuning_job.name}/"
    token = '-H "Authorization: Bearer $TOKEN"'
    form = TuningJobForm.from_request(tuning_job_clone_request(actor=actor, name=tuning_job.name))
    form.name = f"{tuning_job.name[:26]}-again"
    return [
        (_("Its status and its best trial"), f"curl {base_url}{path} \\\n  {token}"),
        (_("Its trials"), f"curl {base_url}{path}trials/ \\\n  {token}"),
        (_("Which hyperparameters matter"), f"curl {base_url}{path}importance/ \\\n  {token}"),
        (_("The same again"), form.api_call(base_url=base_url, project=actor.project.name)),
    ]
