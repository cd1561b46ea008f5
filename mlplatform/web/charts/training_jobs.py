"""Figures of a job's metrics. Pure: series in, Plotly figure (a plain dict) out; colours come from the page's theme."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

MARKERS_BELOW = 60


class Series(Protocol):
    """A metric of a job: points are (milliseconds since the epoch, step, value), at most 5,000."""

    name: str
    points: Sequence[tuple[int, int, float]]


def metric_figure(series: Sequence[Series], *, x: str = "step", log_scale: bool = False) -> dict[str, Any]:
    """One chart with a line per metric.

    Args:
        series: metrics of one group (`train`, `test`); empty ones are left out.
        x: `step`, `time`, or `relative` (seconds after the first point of the chart).
        log_scale: logarithmic y axis.
    """
    filled = [one for one in series if one.points]
    start = min((one.points[0][0] for one in filled), default=0)
    return {
        "data": [_trace(one, x, start) for one in filled],
        "layout": {
            "xaxis": {"title": {"text": {"step": "step", "time": "UTC", "relative": "s"}[x]}},
            "yaxis": {"type": "log" if log_scale else "linear"},
            "showlegend": len(filled) > 1,
        },
    }


def metric_groups(series: Sequence[Series]) -> dict[str, list[Series]]:
    """Metrics by what stands before the colon (`train:loss` → `train`); those without one are a group each."""
    groups: dict[str, list[Series]] = {}
    for one in series:
        prefix, colon, _ = one.name.partition(":")
        groups.setdefault(prefix if colon else one.name, []).append(one)
    return groups


def _trace(series: Series, x: str, start_ms: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(series.points) < MARKERS_BELOW else "lines",
        "name": series.name,
        "x": [_x(point, x, start_ms) for point in series.points],
        "y": [point[2] for point in series.points],
    }


def _x(point: tuple[int, int, float], x: str, start_ms: int) -> int | float | str:
    if x == "time":
        return datetime.fromtimestamp(point[0] / 1000, tz=UTC).isoformat(timespec="milliseconds")
    return (point[0] - start_ms) / 1000 if x == "relative" else point[1]
