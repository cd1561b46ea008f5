"""Lines over k with their interval bands and their best k marked: what `charts.evaluations` draws with. Pure.

Lines differ in colour, dash and marker, so that they are told apart without colour.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

N_COLOURS: Final = 8
DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "x", "triangle-down", "pentagon")
MARKERS_BELOW: Final = 40
"""With more values of k than these, markers would only hide the line."""
BAND_OPACITY: Final = 0.18
BANDS_OPACITY: Final = 0.11
"""Of several bands, which lie upon one another."""
Pair = Sequence[float | None]


@dataclass(frozen=True)
class KLine:
    """Values by k, with [low, high] for each where intervals are known; `smallest` where errors are counted.

    `is_level` where there is no k, and the line leads along those of others.
    """

    name: str
    k: Sequence[int]
    values: Sequence[float | None]
    intervals: Sequence[Pair] | None
    colour: int
    smallest: bool
    is_level: bool = False

    @property
    def best(self) -> int | None:
        return best_place(self.values, smallest=self.smallest)

    @property
    def group(self) -> str:
        """The parts of a line appear and disappear together."""
        return f"{self.name}/{self.colour}"


def colour_token(colour: int) -> str:
    """The palette's colour for a number that counts from 0."""
    return f"var(--chart-{colour % N_COLOURS + 1})"


def symbol(colour: int) -> str:
    return SYMBOLS[colour % len(SYMBOLS)]


def dash(colour: int) -> str:
    """With every round of colours the dashes are shifted, so that 48 lines differ in colour or in dash."""
    return DASHES[(colour % N_COLOURS + colour // N_COLOURS) % len(DASHES)]


def best_place(values: Sequence[float | None], *, smallest: bool) -> int | None:
    """Where the best value is; the first of equal ones; None where there is none."""
    sign = 1 if smallest else -1
    known = [(sign * value, place) for place, value in enumerate(values) if value is not None]
    return min(known)[1] if known else None


def k_lines_figure(lines: Sequence[KLine], title: str, *, log_k: bool = False) -> dict[str, Any]:
    """Bands below, lines above them, stars on top; `title` is that of the vertical axis."""
    several = len(lines) > 1
    bands = [_band(line, several=several) for line in lines if line.intervals]
    stars = [star for line in lines if (star := _star(line, several=several))]
    return {
        "data": [*bands, *(_trace(line) for line in lines), *stars],
        "layout": {
            "xaxis": _k_axis(max((line.k[-1] for line in lines), default=1), log_k=log_k),
            "yaxis": {"title": {"text": title}},
            "hovermode": "x unified",
            "showlegend": several,
        },
        "table": _table(lines, title, several=several),
    }


def bounds() -> list[str]:
    """The headers of an interval's two columns."""
    return [_("interval from"), _("interval to")]


def is_whole(pair: Pair | None) -> bool:
    """Whether an interval has both of its ends."""
    return bool(pair) and all(bound is not None for bound in pair or ())


def error_bars(values: Sequence[float], pairs: Sequence[Pair]) -> dict[str, Any]:
    """The intervals of points that stand alone; none of a value whose interval is not whole."""
    known = [pair if is_whole(pair) else (value, value) for value, pair in zip(values, pairs, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [(pair[1] or 0.0) - value for pair, value in zip(known, values, strict=True)],
        "arrayminus": [value - (pair[0] or 0.0) for pair, value in zip(known, values, strict=True)],
    }


def _k_axis(last: int, *, log_k: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {"title": {"text": "k"}, "hoverformat": "d"}
    if log_k:
        return axis | {"type": "log", "dtick": "D1" if last > 100 else "D2", "tickformat": "d"}
    # Of its own accord the axis would make room for the stars and begin below zero.
    if last <= 12:
        return axis | {"dtick": 1, "range": [0.5, last + 0.5]}
    return axis | {"range": [0, last * 1.02]}


def _band(line: KLine, *, several: bool) -> dict[str, Any]:
    """The intervals as one shape; a k without one is left out of it."""
    pairs = zip(line.k, line.intervals or [], strict=False)
    known = [(k, pair[0], pair[1]) for k, pair in pairs if is_whole(pair)]
    there, back = known, known[::-1]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": line.name,
        "legendgroup": line.group,
        "showlegend": False,
        "x": [k for k, _low, _high in (*there, *back)],
        "y": [*(high for _k, _low, high in there), *(low for _k, low, _high in back)],
        "fill": "toself",
        "fillcolor": colour_token(line.colour),
        "line": {"width": 0},
        "opacity": BANDS_OPACITY if several else BAND_OPACITY,
        "hoverinfo": "skip",
    }


def _trace(line: KLine) -> dict[str, Any]:
    colour = colour_token(line.colour)
    trace: dict[str, Any] = {
        "type": "scatter",
        "mode": "lines+markers" if len(line.k) <= MARKERS_BELOW else "lines",
        "name": line.name,
        "legendgroup": line.group,
        "x": list(line.k),
        "y": list(line.values),
        "line": {"color": colour, "dash": dash(line.colour), "width": 2},
        "marker": {"color": colour, "symbol": symbol(line.colour), "size": 6},
        "hovertemplate": "%{y:.4g}",
    }
    if line.intervals:
        trace["customdata"] = [list(pair) if is_whole(pair) else ["–", "–"] for pair in line.intervals]
        trace["hovertemplate"] = "%{y:.4g} (%{customdata[0]:.4g}–%{customdata[1]:.4g})"
        if len(line.k) == 1 and line.values[0] is not None and is_whole(line.intervals[0]):
            trace["error_y"] = error_bars([line.values[0]], line.intervals)  # a band would have no width
    return trace


def _star(line: KLine, *, several: bool) -> dict[str, Any] | None:
    """The best k; in words where the chart has one line only. A level line has none, nor has a single k."""
    place = line.best
    if place is None or line.is_level or len(line.k) < 2:
        return None
    words = _("best k = %(k)s") % {"k": line.k[place]}
    return {
        "type": "scatter",
        "mode": "markers" if several else "markers+text",
        "name": f"{line.name} · {words}" if several else words,
        "legendgroup": line.group,
        "showlegend": False,
        "x": [line.k[place]],
        "y": [line.values[place]],
        "text": [words],
        "textposition": "top right" if place < len(line.k) / 2 else "top left",
        "marker": {
            "symbol": "star",
            "size": 13,
            "color": colour_token(line.colour),
            "line": {"color": "var(--surface)", "width": 1.5},
        },
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _table(lines: Sequence[KLine], title: str, *, several: bool) -> dict[str, Any]:
    columns = [*([_("Series")] if several else []), "k", title, *bounds()]
    return {"columns": columns, "rows": [row for line in lines for row in _rows(line, several=several)]}


def _rows(line: KLine, *, several: bool) -> Iterator[list[Any]]:
    intervals = line.intervals or [[None, None]] * len(line.k)
    for k, value, pair in zip(line.k, line.values, intervals, strict=False):
        yield [*([line.name] if several else []), k, value, *(pair or [None, None])]
