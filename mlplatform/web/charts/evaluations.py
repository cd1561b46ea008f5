"""Figures of scores by k. Pure: qualities in, Plotly figure (a plain dict) out.

One evaluation with all its metrics, or one metric of many evaluations. Called by the pages of evaluations, experiments
and comparisons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from endpoints.selectors.evaluation_tables import ERRORS, METRICS
from mlplatform.core.translation import translated
from mlplatform.web.charts.k_lines import (
    KLine,
    best_place,
    bounds,
    colour_token,
    error_bars,
    k_lines_figure,
    symbol,
)


@dataclass(frozen=True)
class Series:
    """One evaluation in a chart. `colour` counts from 0 and stays its own on every page.

    Args:
        quality: that of an `Evaluation.result`.
    """

    name: str
    quality: Mapping[str, Any]
    colour: int = 0


def metrics_of(quality: Mapping[str, Any]) -> list[str]:
    """The metrics that a quality has, in the order of `METRICS`."""
    return [name for name in METRICS if quality.get(name)]


def metric_title(metric: str) -> str:
    """The metric in the reader's language."""
    return translated(METRICS.get(metric, metric))


def accuracy_by_k(series: Sequence[Series], metric: str, *, log_k: bool = False) -> dict[str, Any]:
    """One metric of several evaluations over k, each with its interval band and its best k marked.

    Evaluations without a k axis are level lines; where none has more than one k, the figure is a point with its
    interval for each.

    Args:
        metric: a key of `METRICS`; a series without it is left out.
        log_k: logarithmic k axis.
    """
    drawn = [one for one in series if one.quality.get(metric)]
    if drawn and all(len(one.quality.get("k") or ()) < 2 for one in drawn):
        names, colours = [one.name for one in drawn], [one.colour for one in drawn]
        return _points([(one.quality, metric) for one in drawn], names, colours, metric_title(metric))
    widest = max((one.quality["k"] for one in drawn if one.quality.get("k")), key=len, default=[1])
    lines = [_line(one, metric, one.name, one.colour, widest) for one in drawn]
    return k_lines_figure(lines, metric_title(metric), log_k=log_k)


def metrics_by_k(
    quality: Mapping[str, Any], metrics: Sequence[str] = (), *, log_k: bool = False
) -> dict[str, Any]:
    """The metrics of one evaluation over k: those that are named, or all that it has. Points where there is one k."""
    every = metrics_of(quality)
    names = [name for name in every if not metrics or name in metrics]
    k = quality.get("k") or [1]
    if len(names) == 1:
        title = metric_title(names[0])
    else:
        title = pgettext("chart axis", "error") if set(names) <= ERRORS else _("score")
    if names and len(k) == 1:
        titles, colours = [metric_title(name) for name in names], [every.index(name) for name in names]
        return _points([(quality, name) for name in names], titles, colours, title)
    lines = [_line(Series("", quality), name, metric_title(name), every.index(name), k) for name in names]
    return k_lines_figure(lines, title, log_k=log_k)


def by_k_summary(series: Sequence[Series], metric: str) -> str:
    """The chart in words, for who cannot see it: the best k and value of each series."""
    said = [f"{one.name}: {best}" if one.name else best for one in series if (best := _best(one, metric))]
    return "; ".join([metric_title(metric), *said])


def _best(series: Series, metric: str) -> str:
    values, k = series.quality.get(metric) or [], series.quality.get("k")
    place = best_place(values, smallest=metric in ERRORS)
    if place is None:
        return ""
    value = f"{values[place]:.4g}"
    if not k or len(k) == 1:
        return value
    words = {"value": value, "k": k[place], "first": k[0], "last": k[-1]}
    return _("best %(value)s at k = %(k)s, of k from %(first)s to %(last)s") % words


def _line(series: Series, metric: str, name: str, colour: int, widest: Sequence[int]) -> KLine:
    quality, smallest = series.quality, metric in ERRORS
    values, intervals = quality[metric], (quality.get("intervals") or {}).get(metric)
    if quality.get("k"):
        return KLine(name, quality["k"], values, intervals, colour, smallest)
    ends = [widest[0], widest[-1]]  # level, from the first to the last k of the others
    return KLine(
        name, ends, [values[0]] * 2, intervals and [intervals[0]] * 2, colour, smallest, is_level=True
    )


def _points(
    scores: Sequence[tuple[Mapping[str, Any], str]], names: Sequence[str], colours: Sequence[int], title: str
) -> dict[str, Any]:
    """Scores that do not depend on k: a point and its interval for each quality and metric, the first on top."""
    values = [quality[metric][0] for quality, metric in scores]
    pairs = [
        ((quality.get("intervals") or {}).get(metric) or [[None, None]])[0] for quality, metric in scores
    ]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": title,
        "x": values,
        "y": list(names),
        "error_x": error_bars(values, pairs) | {"color": "var(--text-soft)"},  # Plotly's own is black
        "marker": {
            "color": [colour_token(colour) for colour in colours],
            "symbol": [symbol(colour) for colour in colours],
            "size": 9,
        },
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    rows = [[name, value, *pair] for name, value, pair in zip(names, values, pairs, strict=True)]
    return {
        "data": [trace],
        "layout": {
            "xaxis": {"title": {"text": title}},
            "yaxis": {"autorange": "reversed", "type": "category"},
            "showlegend": False,
        },
        "table": {"columns": [_("Series"), title, *bounds()], "rows": rows},
    }
