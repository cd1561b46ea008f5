"""What the page of one training job shows: its stages, the tab that is open, the failure card. Called by its view."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from endpoints.selectors.evaluations import training_job_evaluations
from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import algorithm_get
from jobs.models import JobEvent, TrainingJob, TuningTrial
from jobs.selectors.metrics import MetricSeries
from jobs.selectors.prices import prices_now, training_job_cost
from jobs.selectors.training import (
    training_job_events,
    training_job_metric_summaries,
    training_job_waiting_reason,
)
from jobs.services.training import training_job_clone_request
from mlplatform.core import clock
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TONES
from mlplatform.web.charts.training_jobs import metric_groups
from mlplatform.web.failures import failure_context
from mlplatform.web.forms.script_calls import upload_call
from mlplatform.web.forms.training_jobs import TrainingJobForm
from mlplatform.web.job_code import code_context, framework_title
from mlplatform.web.progress import remaining_s

TABS = ("overview", "code", "metrics", "logs", "events", "api")
FOLLOWING_TABS = ("overview", "metrics", "events")
"""Tabs that are drawn anew when something in them has changed; the log follows by itself."""


def detail_context(request: HttpRequest, actor: Actor, job: TrainingJob, tab: str) -> dict[str, Any]:
    """The context of the page and of its poll, in which `changed` says whether more than the state is new."""
    if tab == "code" and job.source_id is None:
        tab = "overview"
    series = training_job_metric_summaries(job=job) if tab == "metrics" else []
    events = training_job_events(job=job)
    groups = metric_groups(series)
    spec = algorithm_get(job.algorithm)
    seen = _seen(job, tab, len(events), list(groups))
    return {
        "job": job,
        "tab": tab,
        "tabs": TABS,
        "tab_follows": tab in FOLLOWING_TABS,
        "seen": seen,
        "changed": seen != request.GET.get("seen"),
        "spec": spec,
        "framework": framework_title(job) if job.framework else "",
        "inputs": list(job.inputs.select_related("dataset_version__dataset")),
        "events": events,
        "stages": _stages(job, events),
        "fraction": job.progress.get("fraction"),
        "remaining_s": remaining_s(job),
        "waiting_reason": None if job.ended else training_job_waiting_reason(job=job),
        "series": series,
        "groups": groups,
        "metric_counts": _metric_counts(spec, job, series) if tab == "metrics" else [],
        "x": request.GET.get("x", "step"),
        "scale": request.GET.get("scale", "linear"),
        "models": list(job.models.all()[:20]),
        "trial": TuningTrial.objects.filter(training_job=job).select_related("tuning_job").first(),
        "cost": training_job_cost(job, prices_now()) if tab == "overview" else None,
        "evaluations": training_job_evaluations(job=job) if tab == "overview" else [],
        "axis_choices": [("step", _("Step")), ("relative", _("Seconds")), ("time", _("Time"))],
        "poll_s": 2 if tab == "metrics" else 1,
        "refresh_s": 0 if job.ended else 2,
        **(failure_context(job, job.log.n_lines) if job.failure else {}),
        **(code_context(actor, job) if tab == "code" else {}),
        **(_api_calls(request, actor, job) if tab == "api" else {}),
    }


@dataclass(frozen=True)
class MetricCount:
    """A metric that the log is read for, and how many values it had."""

    name: str
    regex: str
    n: int


def _metric_counts(spec: AlgorithmSpec, job: TrainingJob, series: list[MetricSeries]) -> list[MetricCount]:
    found = {one.name: one.n_points for one in series}
    declared = [(metric.name, metric.regex) for metric in spec.metrics]
    given = [(metric["name"], metric["regex"]) for metric in job.metric_definitions]
    return [MetricCount(name, regex, found.get(name, 0)) for name, regex in (*declared, *given)]


@dataclass(frozen=True)
class Stage:
    """A secondary status that was entered, and how long it lasted (None for the last of an ended job)."""

    status: str
    seconds: float | None

    @property
    def tone_when_left(self) -> str:
        """What is behind us went well, but for what was a trouble in itself: an attempt that was lost."""
        return "warning" if TONES.get(self.status) == "warning" else "good"


def _stages(job: TrainingJob, events: list[JobEvent]) -> list[Stage]:
    told = [event for event in events if event.secondary_status]
    # Data and packages are both downloaded; what is told twice is one stage.
    entered = [
        event
        for before, event in zip([None, *told], told, strict=False)
        if before is None or before.secondary_status != event.secondary_status
    ]
    following: list[datetime | None] = [
        *(event.at for event in entered[1:]),
        None if job.ended else clock.now(),
    ]
    return [
        Stage(event.secondary_status, (end - event.at).total_seconds() if end else None)
        for event, end in zip(entered, following, strict=False)
    ]


def _seen(job: TrainingJob, tab: str, n_events: int, groups: list[str]) -> str:
    """A mark of what the tab shows; another one means that it has to be drawn anew."""
    shown: dict[str, Any] = {
        "overview": [sorted(job.final_metrics.items()), job.attempt],
        "metrics": groups,
        "events": n_events,
    }
    text = repr((job.status, shown.get(tab)))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _api_calls(request: HttpRequest, actor: Actor, job: TrainingJob) -> dict[str, str]:
    base_url = request.build_absolute_uri("/").rstrip("/")
    project = actor.project.name
    form = TrainingJobForm.from_request(training_job_clone_request(actor=actor, name=job.name))
    form.name = f"{job.name[:55]}-again"
    return {
        "describe_call": (
            f"curl {base_url}/api/v1/projects/{project}/training-jobs/{job.name}/ \\\n"
            '  -H "Authorization: Bearer $TOKEN"'
        ),
        "create_call": form.api_call(base_url=base_url, project=project),
        **({"upload_call": _upload_call(job, base_url, project)} if job.source else {}),
    }


def _upload_call(job: TrainingJob, base_url: str, project: str) -> str:
    assert job.source is not None
    return upload_call([one["path"] for one in job.source.files], base_url=base_url, project=project)
