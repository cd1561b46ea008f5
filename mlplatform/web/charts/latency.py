"""Figures of an evaluation's latencies: the single calls as a histogram, the batches in their order. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from django.utils.translation import gettext as _

from mlplatform.web.charts.k_lines import colour_token


def single_histogram(latency: Mapping[str, Any]) -> dict[str, Any]:
    """How many one-row calls took how long, with p50, p90 and p99 marked. The axis is logarithmic, as the bins are."""
    edges: Sequence[float] = latency["single_histogram"]["edges_ms"]
    counts: Sequence[int] = latency["single_histogram"]["counts"]
    spans = list(pairwise(edges))
    top = max(counts, default=0) or 1
    marks = [(name, latency.get(f"single_{name}_ms")) for name in ("p50", "p90", "p99")]
    widths = [high - low for low, high in spans]
    uneven = bool(widths) and edges[0] > 0 and max(widths) > 1.5 * min(widths)
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": _("calls"),
                "x": list(edges),
                "y": [*counts, 0],
                "line": {"color": colour_token(0), "shape": "hv", "width": 1.5},
                "fill": "tozeroy",
                "fillcolor": colour_token(0),
                "opacity": 0.75,
                "customdata": [[low, high] for low, high in [*spans, (edges[-1], edges[-1])]],
                "hovertemplate": "%{customdata[0]:.3g}–%{customdata[1]:.3g} ms: %{y}<extra></extra>",
            },
            *(
                _mark(name, value, top, place)
                for place, (name, value) in enumerate(marks)
                if value is not None
            ),
        ],
        "layout": {
            "margin": {"t": 22},
            "xaxis": {"title": {"text": "ms"}, **({"type": "log", "dtick": "D2"} if uneven else {})},
            "yaxis": {"title": {"text": _("calls")}, "rangemode": "tozero"},
            "showlegend": False,
        },
        "table": {
            "columns": [_("from (ms)"), _("to (ms)"), _("calls")],
            "rows": [[low, high, n] for (low, high), n in zip(spans, counts, strict=True)],
        },
    }


def batch_line(latency: Mapping[str, Any]) -> dict[str, Any]:
    """How long each of the timed batches took, in their order and with their own numbers, and their mean."""
    values: Sequence[float] = latency["batch_ms"]
    numbers: list[int] = list(latency.get("batch_numbers") or range(1, len(values) + 1))
    mean = latency.get("batch_mean_ms")
    shapes = [] if mean is None else [_level(mean)]
    few = len(values) <= 60
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines+markers" if few else "lines",
                "name": _("batch"),
                "x": numbers,
                "y": list(values),
                "line": {"color": colour_token(0), "width": 1.5},
                "marker": {"color": colour_token(0), "size": 5},
                "hovertemplate": "%{x}: %{y:.4g} ms<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {
                "title": {"text": _("batch")},
                **({"dtick": 1} if max(numbers, default=0) <= 12 else {}),
            },
            "yaxis": {"title": {"text": "ms"}, "rangemode": "tozero"},
            "shapes": shapes,
            "showlegend": False,
        },
        "table": {
            "columns": [_("batch"), "ms"],
            "rows": [list(pair) for pair in zip(numbers, values, strict=True)],
        },
    }


def _mark(name: str, value: float, top: int, place: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+text",
        "name": name,
        "x": [value, value],
        "y": [0, 1.02 * top],
        "text": ["", name],
        "textposition": "top left" if place == 0 else "top right",
        "textfont": {"size": 11, "color": "var(--text-soft)"},
        "line": {"color": colour_token(1), "width": 1.5, "dash": ("dash", "dashdot", "dot")[place]},
        "cliponaxis": False,
        "hovertemplate": f"{name} %{{x:.4g}} ms<extra></extra>",
    }


def _level(value: float) -> dict[str, Any]:
    line = {"color": "var(--chart-2)", "width": 1.5, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value, "line": line}
