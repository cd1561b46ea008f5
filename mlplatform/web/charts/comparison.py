"""Figures of a comparison: curves over one another, runs as points. Pure: data in, Plotly figure (a plain dict) out."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _

from jobs.comparison.axes import Axis
from jobs.comparison.runs import Curve, Run
from mlplatform.web.charts.k_lines import KLine, colour_token, dash, k_lines_figure, symbol

LEGEND_MAX: Final = 12
"""A legend of more runs than these would be larger than the chart; hovering tells them."""
BANDS_MAX: Final = 8
MARKERS_BELOW: Final = 60


def curves_figure(
    curves: Sequence[Curve],
    marks: Mapping[str, int],
    *,
    title: str,
    x_title: str,
    base: str = "",
    smallest: bool = False,
    log_scale: bool = False,
) -> dict[str, Any]:
    """One line per run; of few runs with known intervals (scores by k) with their bands and best values.

    Args:
        marks: Colour, dash and marker of each run, as `run_colours` gives them.
        base: The reference run, which is drawn stronger than the others.
        smallest: Whether the best value is the smallest.
    """
    if curves and len(curves) <= BANDS_MAX and all(curve.intervals for curve in curves):
        lines = [_k_line(curve, marks[curve.run], smallest=smallest) for curve in curves]
        return k_lines_figure(lines, _plain(title))
    many = len(curves) > LEGEND_MAX
    return {
        "data": [_line(curve, marks[curve.run], many=many, strong=curve.run == base) for curve in curves],
        "layout": {
            "xaxis": {"title": {"text": x_title}},
            "yaxis": {"title": {"text": _plain(title)}, "type": "log" if log_scale else "linear"},
            "hovermode": "closest",
            "showlegend": not many,
        },
    }


def scatter_figure(
    runs: Sequence[Run],
    x: Axis,
    y: Axis,
    marks: Mapping[str, int],
    *,
    x_title: str,
    y_title: str,
    base: str = "",
) -> dict[str, Any]:
    """A point per run that has both values; logarithmic where the axis is."""
    points = [
        (run.name, x_value, y_value)
        for run, x_value, y_value in zip(runs, x.values, y.values, strict=True)
        if x_value is not None and y_value is not None
    ]
    groups = [[point] for point in points] if len(points) <= LEGEND_MAX else [points]
    return {
        "data": [_points(group, marks, base, x_title, y_title) for group in groups if group],
        "layout": {
            "xaxis": _axis(x, x_title),
            "yaxis": _axis(y, y_title),
            "hovermode": "closest",
            "showlegend": 1 < len(points) <= LEGEND_MAX,
        },
        "table": {"columns": [_("Name"), x_title, y_title], "rows": [list(point) for point in points]},
    }


def _k_line(curve: Curve, mark: int, *, smallest: bool) -> KLine:
    k = [int(x) for x, _y in curve.points]
    return KLine(curve.run, k, [y for _x, y in curve.points], curve.intervals, mark, smallest)


def _line(curve: Curve, mark: int, *, many: bool, strong: bool) -> dict[str, Any]:
    colour = colour_token(mark)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.points) < MARKERS_BELOW and not many else "lines",
        "name": curve.run,
        "x": [x for x, _y in curve.points],
        "y": [y for _x, y in curve.points],
        "line": {"color": colour, "dash": dash(mark), "width": 3.5 if strong else 1.25 if many else 1.75},
        "marker": {"color": colour, "symbol": symbol(mark), "size": 5},
        "opacity": 1.0 if strong or not many else 0.6,
        "hovertemplate": "%{fullData.name}<br>%{x}: %{y:.4g}<extra></extra>",
    }


def _points(
    points: Sequence[tuple[str, Any, Any]], marks: Mapping[str, int], base: str, x_title: str, y_title: str
) -> dict[str, Any]:
    names = [name for name, _x, _y in points]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": names[0] if len(points) == 1 else "",
        "text": names,
        "x": [x if isinstance(x, int | float) else _plain(x) for _name, x, _y in points],
        "y": [y if isinstance(y, int | float) else _plain(y) for _name, _x, y in points],
        "marker": {
            "color": [colour_token(marks[name]) for name in names],
            "symbol": [symbol(marks[name]) for name in names],
            "size": [15 if name == base else 10 if len(points) == 1 else 7 for name in names],
            "opacity": 0.85,
            "line": {"width": [2 if name == base else 0 for name in names], "color": "var(--text)"},
        },
        "hovertemplate": f"%{{text}}<br>{_plain(x_title)}: %{{x}}<br>{_plain(y_title)}: %{{y}}<extra></extra>",
    }


def _axis(axis: Axis, title: str) -> dict[str, Any]:
    found: dict[str, Any] = {"title": {"text": _plain(title)}, "automargin": True}
    if axis.kind == "category":
        return found | {"type": "category", "categoryarray": [_plain(one) for one in axis.categories]}
    return found | {"type": axis.kind}


def _plain(text: str) -> str:
    """Text that Plotly shows as it is: neither its mark-up nor its `%{…}`."""
    return html.escape(text, quote=False).replace("%{", "% {")
