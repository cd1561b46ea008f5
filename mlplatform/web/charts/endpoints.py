"""Figures of endpoints: traffic and latency. Pure: data in, Plotly figure (a plain dict) out."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from endpoints.selectors.traffic import Traffic


def requests_figure(traffic: Traffic) -> dict[str, Any]:
    """Requests and errors per minute as bars."""
    at = [point.minute_at.isoformat() for point in traffic.points]
    return {
        "data": [
            _bars(_("requests"), at, [point.n_requests - point.n_errors for point in traffic.points]),
            _bars(_("errors"), at, [point.n_errors for point in traffic.points]),
        ],
        "layout": {
            "barmode": "stack",
            "showlegend": True,
            "legend": {"traceorder": "normal"},
            "xaxis": {"title": {"text": "UTC"}},
            "yaxis": {"title": {"text": _("per minute")}, "rangemode": "tozero"},
        },
    }


def latency_figure(traffic: Traffic) -> dict[str, Any]:
    """p50, p90 and p99 per minute, in milliseconds; a minute without requests is a gap."""
    points = traffic.points
    at = [point.minute_at.isoformat() for point in points]
    return {
        "data": [
            {"type": "scatter", "mode": "lines+markers", "name": name, "x": at, "y": values}
            for name, values in (
                ("p50", [point.p50_ms for point in points]),
                ("p90", [point.p90_ms for point in points]),
                ("p99", [point.p99_ms for point in points]),
            )
        ],
        "layout": {
            "showlegend": True,
            "xaxis": {"title": {"text": "UTC"}, **({"range": [at[0], at[-1]]} if at else {})},
            "yaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
        },
    }


def _bars(name: str, x: list[str], y: list[int]) -> dict[str, Any]:
    return {"type": "bar", "name": name, "x": x, "y": y}
