"""The tabs of an experiment that show what was measured: scores by k, latencies, the trade-off. Called by its page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from endpoints.selectors.evaluation_tables import accuracy_table, latency_table
from endpoints.selectors.experiment_results import evaluation_qualities
from endpoints.selectors.experiment_tables import cells_table
from mlplatform.core.result_table import ResultTable
from mlplatform.web.charts.digits import rounded
from mlplatform.web.charts.evaluations import (
    Series,
    accuracy_by_k,
    by_k_summary,
    metric_title,
    metrics_of,
)
from mlplatform.web.charts.tradeoff import tradeoff_figure, tradeoff_summary
from mlplatform.web.experiment_cells import DRAWN_MAX, CellView, drawn
from mlplatform.web.experiment_tables import tradeoff_table
from mlplatform.web.tradeoff import COSTS, LATENCIES, QUALITIES, Tradeoff, cost_unit

TABLES: Final = ("cells", "accuracy", "latency", "tradeoff")
_CHART_PX: Final = 380
_LEGEND_ROW_PX: Final = 24
ALL: Final = "all"
"""In place of a metric: a small chart for each."""


@dataclass(frozen=True)
class Chart:
    name: str
    title: str
    figure: Mapping[str, Any]
    summary: str


@dataclass(frozen=True)
class Measured:
    """A cell's evaluation as tables take it, of which only the part that they show was read."""

    name: str
    result: Mapping[str, Any]


def quality_context(request: HttpRequest, views: Sequence[CellView]) -> dict[str, Any]:
    """The curves and the table of the cells that are drawn."""
    shown, series = _series(views, request.GET.getlist("cell"))
    known = metrics_of(series[0].quality) if series else []
    asked = request.GET.get("metric", "")
    metric = asked if asked in known or (asked == ALL and len(known) > 1) else next(iter(known), "")
    log_k = request.GET.get("scale") == "log"
    table_metric = known[0] if metric == ALL else metric
    choices = [(name, metric_title(name)) for name in known]
    return {
        "drawn": shown,
        "drawn_max": DRAWN_MAX,
        "metric": metric,
        "metric_choices": [*choices, (ALL, _("All"))] if len(choices) > 1 else choices,
        "scale": "log" if log_k else "linear",
        "has_k": any(one.quality.get("k") for one in series),
        "charts": [
            _chart(series, name, log_k=log_k, several=metric == ALL)
            for name in (known if metric == ALL else [metric] if metric else [])
        ],
        "chart_height": _CHART_PX + _LEGEND_ROW_PX * -(-len(series) // 4),
        "table_metric": table_metric,
        "table_title": metric_title(table_metric),
        "quality_table": _scores(shown, series, table_metric),
        "download_query": "".join(f"&cell={view.number}" for view in shown) + f"&metric={table_metric}",
    }


def latency_context(views: Sequence[CellView]) -> dict[str, Any]:
    measured = [view for view in views if view.measured]
    table = _latencies(measured)
    sizes = {view.summary.get("batch_size") for view in measured}
    columns = [
        place
        for place, column in enumerate(table.columns)
        if place and not (column.key == "batch_size" and len(sizes) == 1)
    ]
    return {
        "batch_size": next(iter(sizes)) if len(sizes) == 1 else None,
        "latency_columns": [table.columns[place] for place in columns],
        "latency_rows": [
            (view, [row[place] for place in columns]) for view, row in zip(measured, table.rows, strict=True)
        ],
        "download_query": "",
    }


def tradeoff_context(request: HttpRequest, views: Sequence[CellView]) -> dict[str, Any]:
    tradeoff = Tradeoff.of(views, request.GET)
    spots, verdict = tradeoff.spots, tradeoff.verdict
    chosen = next((spot for spot in spots if verdict.view and spot.colour == verdict.view.place), None)
    kept = ("x", "at", "cost")
    return {
        "tradeoff": tradeoff,
        "figure": tradeoff_figure(spots, tradeoff.axes, tradeoff.limits, chosen=chosen),
        "chart_title": _("Quality, latency and cost"),
        "chart_summary": tradeoff_summary(spots, tradeoff.axes),
        "spot_rows": sorted(
            zip(tradeoff.views, spots, strict=True), key=lambda pair: (not pair[1].on_front, pair[0].place)
        ),
        "table_metric": "rmse" if tradeoff.smallest else "accuracy",
        "has_k": any(view.summary.get("has_k") for view in tradeoff.views),
        "sliders": [
            (tradeoff.quality, _quality_title(tradeoff), ""),
            (tradeoff.latency, _("Latency at most"), "ms"),
        ],
        "is_touched": bool(request.GET.get("quality") or request.GET.get("latency")),
        "kept": [(name, request.GET[name]) for name in kept if request.GET.get(name)],
        "latency_choices": [(key, title) for key, (_field, title) in LATENCIES.items()],
        "quality_choices": list(QUALITIES.items()),
        "cost_choices": [(cost, cost_unit(cost, tradeoff.views)) for cost in COSTS],
        "download_query": "".join(
            f"&{name}={getattr(tradeoff.measures, field)}"
            for name, field in (("x", "latency"), ("at", "at"), ("cost", "cost"))
        ),
    }


def table_of(table: str, views: Sequence[CellView], query: QueryDict) -> ResultTable:
    """One of `TABLES` with the choices of a query string, as the page shows it."""
    measured = [view for view in views if view.measured]
    match table:
        case "cells":
            return cells_table([view.cell for view in views])
        case "latency":
            return _latencies(measured)
        case "tradeoff":
            return tradeoff_table(Tradeoff.of(views, query))
    shown, series = _series(views, query.getlist("cell"))
    known = metrics_of(series[0].quality) if series else []
    asked = query.get("metric", "")
    return _scores(shown, series, asked if asked in known else next(iter(known), "accuracy"))


def _scores(shown: Sequence[CellView], series: Sequence[Series], metric: str) -> ResultTable:
    measured = [Measured(one.name, {"quality": one.quality}) for one in series]
    return accuracy_table(measured, metric=metric, names=[str(view.cell) for view in shown])


def _latencies(measured: Sequence[CellView]) -> ResultTable:
    return latency_table([Measured(str(view.cell), {"latency": view.summary}) for view in measured])


def _series(views: Sequence[CellView], wanted: Sequence[str]) -> tuple[list[CellView], list[Series]]:
    """The cells that are drawn and their scores; a cell without any is left out."""
    chosen = [view for view in drawn(views, wanted) if view.cell.evaluation_id]
    qualities = evaluation_qualities(evaluation_ids=[view.cell.evaluation_id or 0 for view in chosen])
    shown = [view for view in chosen if view.cell.evaluation_id in qualities]
    one_type = len({view.cell.instance_type for view in views}) == 1
    return shown, [
        Series(view.short if one_type else view.label, qualities[view.cell.evaluation_id or 0], view.place)
        for view in shown
    ]


def _chart(series: Sequence[Series], metric: str, *, log_k: bool, several: bool) -> Chart:
    figure = rounded(accuracy_by_k(series, metric, log_k=log_k))
    if several:  # the table below is the legend of all of them
        figure = {**figure, "layout": {**figure["layout"], "showlegend": False}}
    return Chart(f"by-k-{metric}", metric_title(metric), figure, by_k_summary(series, metric))


def _quality_title(tradeoff: Tradeoff) -> str:
    return _("RMSE at most") if tradeoff.smallest else _("Accuracy at least")
