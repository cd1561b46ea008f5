"""Figures of a job's metrics. Pure: series in, Plotly figure (a plain dict) out; colours come from the page's theme."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.utils.translation import gettext as _

from jobs.selectors.metrics import MetricSeries

MARKERS_BELOW = 60
FEW_STEPS = 10
_SIDES = ("middle right", "middle left", "top center", "bottom center")


def metric_figure(
    series: Sequence[MetricSeries], *, x: str = "step", log_scale: bool = False
) -> dict[str, Any]:
    """One chart with a line per metric.

    Args:
        series: metrics of one group (`train`, `test`); empty ones are left out.
        x: `step`, `time`, or `relative` (seconds after the first point of the chart).
        log_scale: logarithmic y axis.
    """
    filled = [one for one in series if one.points]
    start = min((one.points[0][0] for one in filled), default=0)
    axis: dict[str, Any] = {"title": {"text": {"step": _("step"), "time": "UTC", "relative": "s"}[x]}}
    if x == "step" and max((one.points[-1][1] for one in filled), default=0) < FEW_STEPS:
        axis |= {"dtick": 1, "tickformat": "d"}
    single = bool(filled) and all(len(one.points) == 1 for one in filled)
    if single:  # Plotly would put one point between -1 and 1
        axis |= {"tickvals": [_x(one.points[0], x, start) for one in filled], "showgrid": False}
        axis.pop("dtick", None)
    return {
        "data": [
            _trace(one, x, start) | (_shown_value(one, place) if single else {})
            for place, one in enumerate(filled)
        ],
        "layout": {
            "xaxis": axis,
            "yaxis": {
                "type": "log" if log_scale else "linear",
                **({"rangemode": "tozero"} if single else {}),
            },
            "showlegend": len(filled) > 1,
        },
    }


def metric_groups(series: Sequence[MetricSeries]) -> dict[str, list[MetricSeries]]:
    """Metrics by what stands before the colon (`train:loss` → `train`); those without one are a group each."""
    groups: dict[str, list[MetricSeries]] = {}
    for one in series:
        prefix, colon, _rest = one.name.partition(":")
        groups.setdefault(prefix if colon else one.name, []).append(one)
    return groups


def _trace(series: MetricSeries, x: str, start_ms: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(series.points) < MARKERS_BELOW else "lines",
        "name": series.name,
        "x": [_x(point, x, start_ms) for point in series.points],
        "y": [point[2] for point in series.points],
    }


def _shown_value(series: MetricSeries, place: int) -> dict[str, Any]:
    """The one value in figures beside its point; those of neighbours stand on another side."""
    value = series.points[0][2]
    text = "–" if value is None else f"{value:.4g}"
    return {
        "mode": "markers+text",
        "text": [text],
        "textposition": _SIDES[place % len(_SIDES)],
        "marker": {"size": 10},
    }


def _x(point: tuple[int, int, float | None], x: str, start_ms: int) -> int | float | str:
    if x == "time":
        return datetime.fromtimestamp(point[0] / 1000, tz=UTC).isoformat(timespec="milliseconds")
    return (point[0] - start_ms) / 1000 if x == "relative" else point[1]
