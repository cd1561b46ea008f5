"""The scatter matrix of a dataset: every pair of number columns, coloured by the label. Pure: profile → figure dict.

Below the diagonal the points of the profile's sample, on it a histogram of the same rows, above it the correlation.
"""

from __future__ import annotations

import html
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Cell = float | int | str | bool | None

MAX_COLUMNS = 8
MAX_CLASSES = 8
MAX_POINTS = 12_000
"""Points of all panels together: more make the browser slow and the picture no clearer."""
N_BINS = 16
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "cross", "star", "x", "triangle-down")
_PANEL_PX = 132
_PANEL_MIN_PX = 88
_GAP = 0.012


@dataclass(frozen=True)
class ScatterMatrix:
    """The figure, its height and what it shows in words. `n_left_out` number columns did not fit."""

    figure: dict[str, Any]
    height: int
    min_width: int
    names: list[str]
    n_rows: int
    n_left_out: int


@dataclass(frozen=True)
class _Group:
    name: str
    columns: list[list[float | None]]


def scatter_matrix(profile: Mapping[str, Any]) -> ScatterMatrix | None:
    """The figure of a `profile.json`; None where there are fewer than two number columns or no rows."""
    schema, sample = profile["schema"], profile.get("sample", {}).get("rows", [])
    numeric = [
        place
        for place, kind in enumerate(schema["types"])
        if kind in ("integral", "fractional") and place != schema.get("label")
    ]
    shown = numeric[:MAX_COLUMNS]
    if len(shown) < 2 or not sample:
        return None
    rows = sample[: max(MAX_POINTS // (len(shown) * (len(shown) - 1) // 2), 100)]
    names = [_plain(str(schema["columns"][place])) for place in shown]
    groups = _groups(rows, shown, schema.get("label"))
    return ScatterMatrix(
        figure={
            "data": [*_points(groups, names), *_histograms(groups)],
            "layout": _layout(groups, names, rows, shown),
        },
        height=max(len(shown) * _PANEL_PX + 70, 380),
        min_width=len(shown) * _PANEL_MIN_PX + 70,
        names=names,
        n_rows=len(rows),
        n_left_out=len(numeric) - len(shown),
    )


def correlation(first: Sequence[Cell], second: Sequence[Cell]) -> float | None:
    """Pearson's r over the rows that have both values; None where it is not defined (fewer than 2, or constant)."""
    both = ((_number(a), _number(b)) for a, b in zip(first, second, strict=True))
    pairs = [(a, b) for a, b in both if a is not None and b is not None]
    try:
        return statistics.correlation(*zip(*pairs, strict=True)) if len(pairs) > 1 else None
    except statistics.StatisticsError:
        return None


def _groups(rows: Sequence[Sequence[Cell]], shown: Sequence[int], label: int | None) -> list[_Group]:
    """The rows by their label's value where it has few; else all in one group."""
    found = set() if label is None else {row[label] for row in rows if row[label] is not None}
    classes = sorted(found, key=_class_key)
    if not 1 < len(classes) <= MAX_CLASSES:
        return [_Group("", [[_number(row[place]) for row in rows] for place in shown])]
    groups = []
    for one in classes:
        own = [row for row in rows if label is not None and row[label] == one]
        groups.append(
            _Group(_plain(_class_text(one)), [[_number(row[place]) for row in own] for place in shown])
        )
    return groups


def _points(groups: Sequence[_Group], names: Sequence[str]) -> list[dict[str, Any]]:
    traces = []
    for rank, group in enumerate(groups):
        for row in range(1, len(names)):
            for column in range(row):
                traces.append(
                    {
                        "type": "scatter",
                        "mode": "markers",
                        "name": group.name,
                        "legendgroup": group.name,
                        "showlegend": False,
                        "x": group.columns[column],
                        "y": group.columns[row],
                        "xaxis": _axis("x", column),
                        "yaxis": _axis("y", row),
                        "marker": {**_colour(rank), "symbol": SYMBOLS[rank], "size": 4, "opacity": 0.7},
                        "hovertemplate": f"{names[column]} %{{x}}<br>{names[row]} %{{y}}<extra>{group.name}</extra>",
                    }
                )
    return traces


def _histograms(groups: Sequence[_Group]) -> list[dict[str, Any]]:
    n_columns = len(groups[0].columns)
    traces = []
    for place in range(n_columns):
        low, high = _range([value for group in groups for value in group.columns[place]])
        width = (high - low) / N_BINS
        for rank, group in enumerate(groups):
            traces.append(
                {
                    "type": "bar",
                    "name": group.name,
                    "legendgroup": group.name,
                    "showlegend": place == 0 and len(groups) > 1,
                    "x": [low + width * (index + 0.5) for index in range(N_BINS)],
                    "y": _binned(group.columns[place], low, width),
                    "width": width,
                    "xaxis": _axis("x", place),
                    "yaxis": _axis("y", n_columns + place),
                    "marker": {**_colour(rank), "opacity": 0.75, "line": {"width": 0}},
                    "hovertemplate": f"%{{y}}<extra>{group.name}</extra>",
                }
            )
    return traces


def _layout(
    groups: Sequence[_Group], names: Sequence[str], rows: Sequence[Sequence[Cell]], shown: Sequence[int]
) -> dict[str, Any]:
    n = len(names)
    layout: dict[str, Any] = {
        "barmode": "stack",
        "bargap": 0,
        "margin": {"l": 56, "r": 8, "t": 34 if len(groups) > 1 else 8, "b": 48},
        "legend": {"itemsizing": "constant"},
        "annotations": [],
        "hovermode": "closest",
    }
    for place, name in enumerate(names):
        start, end = place / n + _GAP / 2, (place + 1) / n - _GAP / 2
        ticks = {"nticks": 5, "showline": True, "mirror": "all", "zeroline": False, "tickfont": {"size": 10}}
        title = {"text": _shortened(name), "font": {"size": 11}}
        layout[f"xaxis{place + 1}"] = {
            **ticks,
            "domain": [start, end],
            "anchor": _axis("y", n - 1),
            "title": title,
        }
        layout[f"yaxis{place + 1}"] = {
            **ticks,
            "domain": [1 - end, 1 - start],
            "anchor": "x1",
            "title": title,
        }
        layout[f"yaxis{n + place + 1}"] = {
            "domain": [1 - end, 1 - start], "anchor": _axis("x", place), "visible": False, "fixedrange": True,
        }  # fmt: skip
    layout["yaxis1"]["showticklabels"] = False
    columns = [[row[place] for row in rows] for place in shown]
    for row in range(n):
        for column in range(row + 1, n):
            layout["annotations"].append(
                _correlation_text(correlation(columns[row], columns[column]), row, column, n)
            )
    layout["xaxis"], layout["yaxis"] = layout.pop("xaxis1"), layout.pop("yaxis1")
    return layout


def _correlation_text(r: float | None, row: int, column: int, n: int) -> dict[str, Any]:
    text = "–" if r is None else f"{r:+.2f}".replace("-", "−")
    return {
        "x": (column + 0.5) / n,
        "y": 1 - (row + 0.5) / n,
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "middle",
        "showarrow": False,
        "text": text,
        "font": {"size": 12 + round(6 * abs(r or 0.0)), "color": "var(--text-soft)"},
    }


def _colour(rank: int) -> dict[str, str]:
    return {"color": f"var(--chart-{rank + 1})"}


def _plain(text: str) -> str:
    """Text that Plotly shows as it is: neither its mark-up nor its `%{…}`."""
    return html.escape(text, quote=False).replace("%{", "% {")


def _axis(kind: str, place: int) -> str:
    return f"{kind}{place + 1}" if place else kind


def _binned(values: Sequence[float | None], low: float, width: float) -> list[int]:
    counts = [0] * N_BINS
    for value in values:
        if value is not None:
            counts[min(int((value - low) / width), N_BINS - 1)] += 1
    return counts


def _range(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    if not known:
        return 0.0, 1.0
    low, high = min(known), max(known)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _number(value: Cell) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _class_key(value: Cell) -> tuple[bool, Any]:
    return (True, value) if isinstance(value, str) else (False, value)


def _class_text(value: Cell) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _shortened(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"
