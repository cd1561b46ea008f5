"""What the page of a comparison shows: its tables and charts, or how to choose runs. Called by its view."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from endpoints.selectors.comparison import (
    RunKind,
    comparison_candidates,
    comparison_curve_metrics,
    comparison_curves,
)
from jobs.comparison.axes import METRIC, Axis, axes_of
from jobs.comparison.metrics import key_metric, metrics_of
from jobs.comparison.order import runs_ordered
from jobs.comparison.runs import N_MAX, N_MIN, Run
from jobs.comparison.selection import RunsNotFound
from jobs.selectors.training import training_job_get
from mlplatform.core.people.access import Actor
from mlplatform.core.translation import translated_error
from mlplatform.web.charts.comparison import curves_figure, scatter_figure
from mlplatform.web.charts.parallel import parallel_data
from mlplatform.web.charts.run_colours import run_colours
from mlplatform.web.comparison_query import ComparisonQuery
from mlplatform.web.comparison_tables import compared_table
from mlplatform.web.comparison_words import axis_title, metric_title
from mlplatform.web.job_code import CodeComparison, code_comparison
from mlplatform.web.shortlist import search_text
from mlplatform.web.statuses import status_word

LIVE_S: Final = 5
LIVE_MAX: Final = 50
CODE_RUNS: Final = 2
"""Curves of more runs than these are not fetched again by themselves."""
CONTROLS: Final = frozenset({"metric", "x", "y", "scale", "axis", "brush", "pick", "colour"})
"""What controls on the page have a value for; the rest of the address is in hidden fields."""
DETAILS: Final = {
    RunKind.TRAINING_JOBS: "web:training-job-detail",
    RunKind.EVALUATIONS: "web:evaluation-detail",
}
LISTS: Final = {RunKind.TRAINING_JOBS: "web:training-job-list", RunKind.EVALUATIONS: "web:evaluation-list"}


def comparison_context(
    request: HttpRequest, actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]
) -> dict[str, Any]:
    """Everything, for two runs or more."""
    marks = run_colours(run.name for run in runs)
    ordered = runs_ordered(runs, asked.order)
    axes = axes_of(ordered)
    table = compared_table(ordered, marks, base=asked.base, every_parameter=asked.every_parameter)
    return {
        **_common(request, asked, runs),
        "table": table,
        "columns": _columns(asked, [line.key for line in table.lines]),
        "hidden": [(name, value) for name, value in (*asked.who, *asked.how) if name not in CONTROLS],
        "parallel": parallel_data(
            ordered,
            axes,
            marks,
            title=axis_title,
            url=lambda run: _url(actor, asked.kind, run.name),
            key=_key(ordered),
            state=asked.drawn,
            colour=asked.colour,
        ),
        "candidates": comparison_candidates(
            actor=actor, kind=asked.kind, search=_find(request), besides=[run.name for run in runs]
        ),
        "find": _find(request),
        "full": len(runs) >= N_MAX,
        "matching": _matching(asked) if asked.selection.by_search else "",
        **curves_part(request, actor, asked, runs),
        **scatter_part(request, actor, asked, runs),
        "code": _code(actor, asked, runs),
    }


def _code(actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]) -> CodeComparison | None:
    """What the scripts of two jobs differ in; the reference, or the older one, is what the other is compared with."""
    if asked.kind is not RunKind.TRAINING_JOBS or len(runs) != CODE_RUNS:
        return None
    jobs = [training_job_get(actor=actor, name=run.name) for run in runs]
    before, after = sorted(jobs, key=lambda job: (job.name != asked.base, job.created_at))
    return code_comparison(actor, before, after)


def curves_part(
    request: HttpRequest, actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]
) -> dict[str, Any]:
    """The card of the curves: which metrics have one, and where its data comes from."""
    metrics = comparison_curve_metrics(actor=actor, kind=asked.kind, names=[run.name for run in runs])
    metric = asked.metric if asked.metric in metrics else (metrics or [""])[0]
    path = reverse("web:comparison-curves", kwargs={"project": actor.project.name})
    more = {"metric": metric, "base": asked.base, "scale": "log" if asked.log_scale else ""}
    live = len(runs) <= LIVE_MAX and not all(run.ended for run in runs)
    return {
        "asked": asked,
        "is_jobs": asked.kind is RunKind.TRAINING_JOBS,
        "curve_metrics": [(name, metric_title(name)) for name in metrics],
        "curve_metric": metric,
        "curve_title": metric_title(metric),
        "curves_url": asked.url(
            path, who_only=True, **{name: value for name, value in more.items() if value}
        ),
        "curves_live_s": LIVE_S if live else 0,
    }


def curves_data(actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]) -> dict[str, Any]:
    """The figure of the curves of `asked.metric`."""
    names = [run.name for run in runs]
    curves = comparison_curves(actor=actor, kind=asked.kind, names=names, metric=asked.metric)
    by_k = asked.kind is RunKind.EVALUATIONS
    directions = {metric.name: metric.direction for metric in metrics_of(runs)}
    figure = curves_figure(
        curves,
        run_colours(names),
        title=metric_title(asked.metric),
        x_title="k" if by_k else _("step"),
        base=asked.base,
        smallest=directions.get(asked.metric) == "Minimize",
        log_scale=asked.log_scale,
    )
    return figure | {"final": all(run.ended for run in runs)}


def scatter_part(
    request: HttpRequest, actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]
) -> dict[str, Any]:
    """The card of the scatter chart: any parameter or metric against any metric."""
    axes = axes_of(runs)
    metrics = [axis for axis in axes if axis.is_metric]
    x, y = _scatter_axes(axes, metrics, asked, _key(runs))
    figure = (
        x
        and y
        and scatter_figure(
            runs,
            x,
            y,
            run_colours(run.name for run in runs),
            x_title=axis_title(x.key),
            y_title=axis_title(y.key),
            base=asked.base,
        )
    )
    return {
        "asked": asked,
        "x_choices": [(axis.key, axis_title(axis.key)) for axis in axes],
        "y_choices": [(axis.key, axis_title(axis.key)) for axis in metrics],
        "scatter": figure,
        "scatter_x": x.key if x else "",
        "scatter_y": y.key if y else "",
        "scatter_title": f"{axis_title(y.key)} × {axis_title(x.key)}" if x and y else "",
    }


def choosing_context(
    request: HttpRequest, actor: Actor, asked: ComparisonQuery, runs: Sequence[Run]
) -> dict[str, Any]:
    """For none or one run so far: what there is to choose from."""
    names = [run.name for run in runs]
    find = _find(request)
    return {
        **_common(request, asked, runs),
        "choosing": True,
        "hidden": [("kind", asked.kind.value), *asked.how],
        "candidates": comparison_candidates(actor=actor, kind=asked.kind, search=find, besides=names),
        "find": find,
        "matching": _matching(asked) if asked.selection.by_search else "",
    }


def missing_context(request: HttpRequest, asked: ComparisonQuery, error: RunsNotFound) -> dict[str, Any]:
    """Some names are not there: what they are, and the way on with the others."""
    others = [name for name in asked.selection.names if name not in error.names]
    enough = len(others) >= N_MIN or asked.selection.by_search
    return {
        **_common(request, asked, []),
        "message": translated_error(error).message,
        "n_others": len(others),
        "others_url": asked.named(*others).url(request.path) if enough else "",
    }


def _common(request: HttpRequest, asked: ComparisonQuery, runs: Sequence[Run]) -> dict[str, Any]:
    project = request.resolver_match.kwargs["project"] if request.resolver_match else ""
    return {
        "asked": asked,
        "runs": runs,
        "is_jobs": asked.kind is RunKind.TRAINING_JOBS,
        "list_url": reverse(LISTS[asked.kind], kwargs={"project": project}),
        "download_url": asked.url(
            reverse("web:comparison-download", kwargs={"project": project}), who_only=True
        ),
        "n_min": N_MIN,
        "n_max": N_MAX,
    }


def _scatter_axes(
    axes: Sequence[Axis], metrics: Sequence[Axis], asked: ComparisonQuery, key: str
) -> tuple[Axis | None, Axis | None]:
    """What is asked for; else the metric that says most, against the first number that differs."""
    y = _named(metrics, asked.y) or _named(metrics, key) or _first(metrics)
    others = [axis for axis in axes if y and axis.key != y.key and not axis.constant]
    numbers = [axis for axis in others if axis.kind != "category"]
    return _named(axes, asked.x) or _first(numbers) or _first(others) or y, y


def _key(runs: Sequence[Run]) -> str:
    """The axis of the metric that says how good a run is."""
    found = key_metric(metrics_of(runs))
    return METRIC + found.name if found else ""


def _named(axes: Sequence[Axis], key: str) -> Axis | None:
    return next((axis for axis in axes if axis.key == key), None)


def _first(axes: Sequence[Axis]) -> Axis | None:
    return axes[0] if axes else None


def _columns(asked: ComparisonQuery, keys: Sequence[str]) -> dict[str, tuple[str, str]]:
    """For each column that can be ordered by: what its button sends, and how it is ordered now."""
    present, descending = asked.order.removeprefix("-"), asked.order.startswith("-")
    columns = {}
    for key in ("name", "status", "created", *keys):
        falling = key.startswith(METRIC) or key == "created"
        here = key == present
        following = f"-{key}" if (not descending if here else falling) else key
        columns[key] = following, ("descending" if descending else "ascending") if here else "none"
    return columns


def _matching(asked: ComparisonQuery) -> str:
    """What was searched for, in words."""
    chosen = asked.selection
    said = [
        chosen.search and _("name contains “%(text)s”") % {"text": chosen.search},
        chosen.status and status_word(chosen.status),
        chosen.algorithm,
        chosen.endpoint,
    ]
    return ", ".join(part for part in said if part)


def _find(request: HttpRequest) -> str:
    return search_text({"search": request.GET.get("find", "")})[:100]


def _url(actor: Actor, kind: RunKind, name: str) -> str:
    return reverse(DETAILS[kind], kwargs={"project": actor.project.name, "name": name})
