"""The objective over two parameters: the trials as points, and between them a surface where they support one. Pure.

The surface is the mean of the trials near a place, weighted with the inverse square of the distance in the axes' own
scales (Shepard 1968). Outside of the hull of the trials, and of fewer than `SURFACE_MIN` of them, there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mlplatform.web.charts.tuning import best_of, measured
from mlplatform.web.charts.tuning_trials import Dimension, Objective, TrialPoint, plain
from mlplatform.web.templatetags.figures import significant

GRID: Final = 28
SURFACE_MIN: Final = 6
SUPPORT_MAX: Final = 250
"""So many of the latest trials bear the surface; its cost is the grid times these."""
_SCALE: Final = [[0, "var(--chart-high)"], [1, "var(--chart-low)"]]
"""Better is bluer, for an objective of which less is better; turned over for the others."""
Point = tuple[float, float]


def contour_figure(
    trials: Sequence[TrialPoint], x: Dimension, y: Dimension, objective: Objective
) -> dict[str, Any]:
    """Points for all trials that have a value and both parameters, above their surface."""
    shown = [trial for trial in measured(trials) if x.name in trial.parameters and y.name in trial.parameters]
    surface = _surface(shown, x, y)
    title = plain(objective.name)
    return {
        "data": [_points(shown, x, y, title), *([_contour(surface, objective)] if surface else [])],
        "layout": {
            "xaxis": x.axis() | {"zeroline": False},
            "yaxis": y.axis() | {"zeroline": False},
            "hovermode": "closest",
            "showlegend": False,
        },
        "table": {
            "columns": [_("trial"), x.name, y.name, objective.name],
            "rows": [
                [trial.number, trial.parameters[x.name], trial.parameters[y.name], trial.value]
                for trial in shown
            ],
        },
    }


def contour_summary(trials: Sequence[TrialPoint], x: Dimension, y: Dimension, objective: Objective) -> str:
    shown = [trial for trial in measured(trials) if x.name in trial.parameters and y.name in trial.parameters]
    if not shown:
        return _("No trial has a value yet.")
    top = best_of(shown, objective)
    return ngettext(
        "%(metric)s of %(n)s trial over %(x)s and %(y)s; best %(value)s at %(at_x)s, %(at_y)s.",
        "%(metric)s of %(n)s trials over %(x)s and %(y)s; best %(value)s at %(at_x)s, %(at_y)s.",
        len(shown),
    ) % {
        "metric": objective.name,
        "n": len(shown),
        "x": x.name,
        "y": y.name,
        "value": significant(top.value or 0.0),
        "at_x": top.parameters[x.name],
        "at_y": top.parameters[y.name],
    }


def has_surface(trials: Sequence[TrialPoint], x: Dimension, y: Dimension) -> bool:
    """Whether the trials support one."""
    return _surface(measured(trials), x, y) is not None


def hull_of(points: Sequence[Point]) -> list[Point]:
    """The corners of the convex hull, counter-clockwise (Andrew's monotone chain). Points on a line give two."""
    ordered = sorted(set(points))
    if len(ordered) < 3:
        return ordered
    return _half(ordered)[:-1] + _half(ordered[::-1])[:-1]


def within(hull: Sequence[Point], point: Point) -> bool:
    """Whether a point lies in a convex hull or on its edge; of less than three corners nothing lies within."""
    if len(hull) < 3:
        return False
    pairs = zip(hull, [*hull[1:], hull[0]], strict=True)
    return all(_turn(one, other, point) >= -1e-9 for one, other in pairs)


def _surface(
    shown: Sequence[TrialPoint], x: Dimension, y: Dimension
) -> tuple[list[float], list[float], list[list[float | None]]] | None:
    """The places of the grid on both axes and the value at each, None where the trials do not reach."""
    if "category" in (x.kind, y.kind):
        return None
    known = [(x.place(at_x), y.place(at_y), value) for at_x, at_y, value in _known(shown, x, y)][
        -SUPPORT_MAX:
    ]
    hull = hull_of([(at_x, at_y) for at_x, at_y, _value in known])
    if len({(at_x, at_y) for at_x, at_y, _value in known}) < SURFACE_MIN or len(hull) < 3:
        return None
    places = [step / (GRID - 1) for step in range(GRID)]
    z = [
        [_weighted(known, (at_x, at_y)) if within(hull, (at_x, at_y)) else None for at_x in places]
        for at_y in places
    ]
    return [x.at(place) for place in places], [y.at(place) for place in places], z


def _known(shown: Sequence[TrialPoint], x: Dimension, y: Dimension) -> list[tuple[float, float, float]]:
    found = []
    for trial in shown:
        at_x, at_y = x.number(trial.parameters.get(x.name)), y.number(trial.parameters.get(y.name))
        if at_x is not None and at_y is not None and trial.value is not None:
            found.append((at_x, at_y, trial.value))
    return found


def _weighted(known: Sequence[tuple[float, float, float]], at: Point) -> float:
    total = weights = 0.0
    for x, y, value in known:
        weight = 1.0 / ((x - at[0]) ** 2 + (y - at[1]) ** 2 + 1e-6)
        total += weight * value
        weights += weight
    return total / weights


def _half(ordered: Sequence[Point]) -> list[Point]:
    chain: list[Point] = []
    for point in ordered:
        while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
            chain.pop()
        chain.append(point)
    return chain


def _turn(one: Point, other: Point, third: Point) -> float:
    """Positive where the way from one over the other to the third turns left."""
    return (other[0] - one[0]) * (third[1] - one[1]) - (other[1] - one[1]) * (third[0] - one[0])


def _contour(
    surface: tuple[list[float], list[float], list[list[float | None]]], objective: Objective
) -> dict[str, Any]:
    x, y, z = surface
    return {
        "type": "contour",
        "x": x,
        "y": y,
        "z": z,
        "colorscale": _SCALE,
        "reversescale": not objective.smallest,
        "opacity": 0.65,
        "connectgaps": False,
        "ncontours": 12,
        "line": {"width": 0.5, "color": "var(--line-control)"},
        "contours": {"showlabels": True, "labelfont": {"size": 10, "color": "var(--text)"}},
        "showscale": False,  # its style attributes are refused by the pages' policy
        "hoverinfo": "skip",
    }


def _points(shown: Sequence[TrialPoint], x: Dimension, y: Dimension, title: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": _("trial"),
        "x": [x.shown(trial.parameters[x.name]) for trial in shown],
        "y": [y.shown(trial.parameters[y.name]) for trial in shown],
        "text": [f"{trial.number}: {significant(trial.value or 0.0)}" for trial in shown],
        "marker": {
            "color": ["var(--chart-3)" if trial.is_best else "var(--chart-2)" for trial in shown],
            "symbol": ["star" if trial.is_best else "circle" for trial in shown],
            "size": [15 if trial.is_best else 7 for trial in shown],
            "line": {"color": "var(--surface)", "width": 1},
        },
        "hovertemplate": f"{plain(_('trial'))} %{{text}}<br>{plain(x.name)}: %{{x}}<br>{plain(y.name)}: %{{y}}"
        "<extra></extra>",
    }
