"""The charts of a tuning job, with what the address chooses: axes of the contour, parallel coordinates, scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from jobs.comparison.axes import METRIC, axes_of
from jobs.models import TuningJob
from mlplatform.core import clock
from mlplatform.core.people.access import Actor
from mlplatform.web.charts.digits import rounded
from mlplatform.web.charts.parallel import parallel_data
from mlplatform.web.charts.run_colours import run_colours
from mlplatform.web.charts.tuning import (
    edf_figure,
    edf_summary,
    history_figure,
    history_summary,
    slice_figure,
    slice_summary,
)
from mlplatform.web.charts.tuning_contour import contour_figure, contour_summary, has_surface
from mlplatform.web.charts.tuning_timeline import timeline_figure, timeline_summary
from mlplatform.web.charts.tuning_trials import Dimension, TrialPoint, dimensions_of
from mlplatform.web.tuning_trials import TrialView, objective_of, runs_of

SLICES_MAX: Final = 12
PARALLEL_MAX: Final = 500
_DRAWN: Final = ("axis", "brush", "pick")
_CHOSEN_MAX: Final = 64


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    figure: Mapping[str, Any]
    summary: str
    height: int = 300


def charts_context(
    request: HttpRequest, actor: Actor, tuning_job: TuningJob, views: Sequence[TrialView]
) -> dict[str, Any]:
    """Everything of the tab."""
    points = [view.point for view in views]
    objective, dimensions = objective_of(tuning_job), dimensions_of(tuning_job.ranges, points)
    now = clock.now()
    log_scale = request.GET.get("scale") == "log"
    values = [point.value for point in points if point.value is not None]
    return {
        "scale": "log" if log_scale else "linear",
        "can_be_log": bool(values) and min(values) > 0,
        "history": Chart(
            "history",
            _("History"),
            rounded(history_figure(points, objective, log_scale=log_scale)),
            history_summary(points, objective),
            340,
        ),
        "timeline": Chart(
            "timeline", _("Timeline"), timeline_figure(points, now=now), timeline_summary(points, now=now)
        ),
        "edf": Chart(
            "distribution",
            _("Distribution of the objective"),
            rounded(edf_figure(points, objective)),
            edf_summary(points, objective),
        ),
        "slices": [
            Chart(
                f"slice-{place}",
                dimension.name,
                rounded(slice_figure(points, dimension, objective)),
                slice_summary(points, dimension, objective),
                260,
            )
            for place, dimension in enumerate(dimensions[:SLICES_MAX], start=1)
        ],
        "slices_left": [one.name for one in dimensions[SLICES_MAX:]],
        "parallel": _parallel(request, actor, tuning_job, views),
        "compare_url": reverse("web:comparison", kwargs={"project": actor.project.name}),
        "importance_url": reverse(
            "web:tuning_job_importance", kwargs={"project": actor.project.name, "name": tuning_job.name}
        ),
        "importance_every_s": 0 if tuning_job.ended else 10,
        **contour_context(request, tuning_job, views, points=points, dimensions=dimensions),
    }


def contour_context(
    request: HttpRequest,
    tuning_job: TuningJob,
    views: Sequence[TrialView],
    *,
    points: Sequence[TrialPoint] = (),
    dimensions: Sequence[Dimension] = (),
) -> dict[str, Any]:
    """The chart of two parameters: those that are asked for, else the first two, numbers before categories."""
    points = points or [view.point for view in views]
    dimensions = dimensions or dimensions_of(tuning_job.ranges, points)
    if len(dimensions) < 2:
        return {"contour": None, "axis_choices": []}
    ordered = sorted(dimensions, key=lambda one: one.kind == "category")
    x = _named(dimensions, request.GET.get("x", "")) or ordered[0]
    others = [one for one in ordered if one.name != x.name]
    y = _named(others, request.GET.get("y", "")) or others[0]
    objective = objective_of(tuning_job)
    return {
        "contour": Chart(
            "contour",
            f"{y.name} × {x.name}",
            rounded(contour_figure(points, x, y, objective)),
            contour_summary(points, x, y, objective),
            400,
        ),
        "contour_surface": has_surface(points, x, y),
        "contour_x": x.name,
        "contour_y": y.name,
        "axis_choices": [one.name for one in dimensions],
    }


def _parallel(
    request: HttpRequest, actor: Actor, tuning_job: TuningJob, views: Sequence[TrialView]
) -> dict[str, Any] | None:
    """The latest trials that have a value; None while nothing differs."""
    runs = runs_of(tuning_job, views)[-PARALLEL_MAX:]
    axes = axes_of(runs) if len(runs) > 1 else []
    if len(axes) < 2:
        return None
    deleted = {view.trial.job_name for view in views if view.trial.training_job_id is None}
    page = reverse("web:tuning_job", kwargs={"project": actor.project.name, "name": tuning_job.name})
    key = METRIC + tuning_job.objective_metric
    return parallel_data(
        runs,
        axes,
        run_colours(run.name for run in runs),
        title=lambda name: name.removeprefix(METRIC),
        url=lambda run: (
            f"{page}?tab=trials"
            if run.name in deleted
            else reverse("web:training-job-detail", kwargs={"project": actor.project.name, "name": run.name})
        ),
        key=key,
        state=[(name, text) for name in _DRAWN for text in request.GET.getlist(name)[:_CHOSEN_MAX]],
        colour=request.GET.get("colour", "") or key,
    )


def _named(dimensions: Sequence[Dimension], name: str) -> Dimension | None:
    return next((one for one in dimensions if one.name == name), None)
