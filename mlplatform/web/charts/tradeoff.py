"""The scatter of quality, latency and cost of an experiment's cells. Pure: spots in, Plotly figure (a plain dict) out.

A spot keeps the colour and the marker that its cell has in every other chart; the larger it is, the more it costs.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from mlplatform.web.charts.k_lines import colour_token, symbol

LEGEND_TO: Final = 12
"""With more spots than these the legend would be larger than the chart; who hovers is told all the same."""
LOG_FROM: Final = 12.0
"""The latency axis is logarithmic where the slowest takes so many times as long as the fastest."""
_SIZES: Final = (11.0, 30.0)
_SCORE_TOP: Final = 1.004
"""A mark at 1 is seen whole."""


@dataclass(frozen=True)
class Spot:
    """One cell. `on_front`: no other cell is better in one respect without being worse in another."""

    name: str
    quality: float
    latency_ms: float
    cost: float | None
    colour: int
    on_front: bool = False


@dataclass(frozen=True)
class Axes:
    """What the axes are called, and whether a small quality (an error) is the better one."""

    quality: str
    latency: str
    cost: str
    smallest: bool = False

    @property
    def key(self) -> str:
        return f"{self.quality}/{self.latency}"


@dataclass(frozen=True)
class Limits:
    """What is asked for: the quality to be reached and the latency to be kept."""

    quality: float
    latency_ms: float


def tradeoff_figure(
    spots: Sequence[Spot], axes: Axes, limits: Limits | None = None, *, chosen: Spot | None = None
) -> dict[str, Any]:
    """Quality over latency: the spots, the front as a staircase, what is asked for as a shaded corner."""
    logarithmic = is_logarithmic([spot.latency_ms for spot in spots])
    across = latency_range([spot.latency_ms for spot in spots], logarithmic=logarithmic)
    up = quality_range([spot.quality for spot in spots], score=not axes.smallest)
    shown = [math.log10(bound) for bound in across] if logarithmic else list(across)
    return {
        "data": [*_front(spots, axes), *_traces(spots, axes), *_ring(chosen)],
        "layout": {
            "xaxis": {
                "title": {"text": axes.latency},
                "type": "log" if logarithmic else "linear",
                "range": shown,
                **(_log_ticks(*across) if logarithmic else {}),
            },
            "yaxis": {"title": {"text": axes.quality}, "range": list(up)},
            "showlegend": len(spots) <= LEGEND_TO,
            "legend": {"itemsizing": "constant"},
            "hovermode": "closest",
            "shapes": _corner(limits, axes, across, up) if limits else [],
            "uirevision": axes.key,
        },
        "table": _table(spots, axes),
    }


def tradeoff_summary(spots: Sequence[Spot], axes: Axes) -> str:
    """The chart in words, for who cannot see it: the members of the front, the fastest first."""
    members = sorted((spot for spot in spots if spot.on_front), key=lambda spot: spot.latency_ms)
    said = [f"{one.name}: {one.quality:.4g}, {one.latency_ms:.4g} ms" for one in members]
    return f"{_('Pareto front')}: {'; '.join(said)}" if said else _("No cell has been measured yet.")


def is_logarithmic(latencies: Sequence[float]) -> bool:
    known = [value for value in latencies if value > 0]
    return len(known) == len(latencies) > 1 and max(known) >= LOG_FROM * min(known)


def latency_range(latencies: Sequence[float], *, logarithmic: bool) -> tuple[float, float]:
    """From below the fastest to above the slowest; from zero where the axis is not logarithmic."""
    if not latencies:
        return 0.0, 1.0
    if logarithmic:
        aside = (max(latencies) / min(latencies)) ** 0.08
        return min(latencies) / aside, max(latencies) * aside
    return 0.0, max(latencies) * 1.12 or 1.0


def quality_range(qualities: Sequence[float], *, score: bool) -> tuple[float, float]:
    """From below the worst to above the best; nowhere near what no score can be."""
    if not qualities:
        return 0.0, 1.0
    low, high = min(qualities), max(qualities)
    aside = (high - low) * 0.12 or max(abs(high) * 0.01, 0.001)
    return low - aside, min(high + aside, _SCORE_TOP) if score and high <= 1 else high + aside


def _traces(spots: Sequence[Spot], axes: Axes) -> Iterator[dict[str, Any]]:
    """A trace of its own for each of a few spots, which the legend then names; one for all of many."""
    sizes = _marker_sizes([spot.cost for spot in spots])
    if len(spots) > LEGEND_TO:
        yield _trace(spots, sizes, axes, _("cells"))
        return
    for spot, size in zip(spots, sizes, strict=True):
        yield _trace([spot], [size], axes, spot.name)


def _trace(spots: Sequence[Spot], sizes: Sequence[float], axes: Axes, name: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [spot.latency_ms for spot in spots],
        "y": [spot.quality for spot in spots],
        "text": [_hover(spot, axes) for spot in spots],
        "marker": {
            "color": [colour_token(spot.colour) for spot in spots],
            "symbol": [symbol(spot.colour) for spot in spots],
            "size": list(sizes),
            "opacity": [0.9 if spot.on_front else 0.5 for spot in spots],
            "line": {"color": "var(--surface)", "width": 1.5},
        },
        "hovertemplate": "%{text}<extra></extra>",
    }


def _hover(spot: Spot, axes: Axes) -> str:
    lines = [
        f"<b>{html.escape(spot.name)}</b>",
        f"{axes.quality}: {spot.quality:.4g}",
        f"{axes.latency}: {spot.latency_ms:.4g}",
    ]
    if spot.cost is not None:
        lines.append(f"{axes.cost}: {spot.cost:.4g}")
    if spot.on_front:
        lines.append(_("on the Pareto front"))
    return "<br>".join(lines)


def _log_ticks(low: float, high: float) -> dict[str, Any]:
    """Ticks at 1, 2 and 5 times powers of ten, written out."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values = [step * 10.0**power for power in powers for step in (1, 2, 5)]
    shown = [value for value in values if low <= value <= high]
    return {"tickvals": shown, "ticktext": [f"{value:g}" for value in shown]}


def _marker_sizes(costs: Sequence[float | None]) -> list[float]:
    """The area grows with the cost; where all cost the same the markers are alike."""
    smallest, largest = _SIZES
    top = max((cost for cost in costs if cost), default=0.0)
    low = min((cost for cost in costs if cost is not None), default=0.0)
    if top <= low:
        return [14.0] * len(costs)
    return [round(smallest + (largest - smallest) * math.sqrt((cost or 0.0) / top), 1) for cost in costs]


def _front(spots: Sequence[Spot], axes: Axes) -> list[dict[str, Any]]:
    """What can be had at each latency at best: the staircase over all spots, whatever they cost."""
    steps: list[Spot] = []
    for spot in sorted(
        spots, key=lambda one: (one.latency_ms, one.quality if axes.smallest else -one.quality)
    ):
        if not steps or (
            (spot.quality < steps[-1].quality) == axes.smallest and spot.quality != steps[-1].quality
        ):
            steps.append(spot)
    if len(steps) < 2:
        return []
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": _("the best for its latency"),
            "x": [spot.latency_ms for spot in steps],
            "y": [spot.quality for spot in steps],
            "line": {"color": "var(--text-faint)", "dash": "dot", "width": 1.5, "shape": "hv"},
            "hoverinfo": "skip",
        }
    ]


def _ring(chosen: Spot | None) -> list[dict[str, Any]]:
    if chosen is None:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": _("the answer"),
            "showlegend": False,
            "x": [chosen.latency_ms],
            "y": [chosen.quality],
            "marker": {
                "symbol": "circle-open",
                "size": 42,
                "color": "var(--accent)",
                "line": {"color": "var(--accent)", "width": 2.5},
            },
            "hoverinfo": "skip",
        }
    ]


def _corner(
    limits: Limits, axes: Axes, across: tuple[float, float], up: tuple[float, float]
) -> list[dict[str, Any]]:
    left, right = across[0], min(max(limits.latency_ms, across[0]), across[1])
    level = min(max(limits.quality, up[0]), up[1])
    far = up[0] if axes.smallest else up[1]
    line = {"color": "var(--accent)", "width": 1, "dash": "dash"}
    edges = [
        {"type": "line", "x0": right, "x1": right, "y0": level, "y1": far, "line": line},
        {"type": "line", "x0": left, "x1": right, "y0": level, "y1": level, "line": line},
    ]
    filled = {
        "type": "rect",
        "x0": left,
        "x1": right,
        "y0": level,
        "y1": far,
        "fillcolor": "var(--accent)",
        "opacity": 0.09,
        "line": {"width": 0},
        "layer": "below",
    }
    return [filled, *edges]


def _table(spots: Sequence[Spot], axes: Axes) -> dict[str, Any]:
    return {
        "columns": [_("Cell"), axes.quality, axes.latency, axes.cost, _("Pareto front")],
        "rows": [
            [spot.name, spot.quality, spot.latency_ms, spot.cost, _("yes") if spot.on_front else _("no")]
            for spot in spots
        ],
    }
