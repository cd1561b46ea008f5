"""Figures of a tuning job: history, distribution, importance, the objective against each parameter. Pure.

Trials in, Plotly figure (a plain dict) out; each figure has the rows of its table, and words for who cannot see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from mlplatform.core.status import TrialStatus
from mlplatform.web.charts.tuning_trials import Dimension, Objective, TrialPoint, plain
from mlplatform.web.statuses import status_word
from mlplatform.web.templatetags.figures import significant

POINTS_MAX: Final = 5000
SHADES: Final = [[0, "var(--scale-low)"], [1, "var(--scale-high)"]]
"""From the first trial to the last."""


def history_figure(
    trials: Sequence[TrialPoint], objective: Objective, *, log_scale: bool = False
) -> dict[str, Any]:
    """A point per trial that has a value and the line of the best so far; those stopped early are hollow."""
    shown = measured(trials)[-POINTS_MAX:]
    whole = [trial for trial in shown if trial.status != TrialStatus.EARLY_STOPPED]
    early = [trial for trial in shown if trial.status == TrialStatus.EARLY_STOPPED]
    best = best_so_far(shown, objective)
    star = [trial for trial in shown if trial.is_best]
    title = plain(objective.name)
    data = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": _("best so far"),
            "x": [trial.number for trial in shown],
            "y": best,
            "line": {"shape": "hv", "color": "var(--chart-1)", "width": 2},
            "hovertemplate": "%{y:.4g}<extra></extra>",
        },
        _points(whole, _("trial"), "circle"),
        *([_points(early, status_word(TrialStatus.EARLY_STOPPED), "circle-open")] if early else []),
        *([_star(star[0])] if star else []),
    ]
    return {
        "data": data,
        "layout": {
            "xaxis": {"title": {"text": _("trial")}, "tickformat": "d", "hoverformat": "d", **_few(shown)},
            "yaxis": {"title": {"text": title}, "type": "log" if log_scale else "linear"},
            "hovermode": "closest",
            "showlegend": True,
        },
        "table": {
            "columns": [_("trial"), _("Status"), objective.name, _("best so far")],
            "rows": [
                [trial.number, status_word(trial.status), trial.value, value]
                for trial, value in zip(shown, best, strict=True)
            ],
        },
    }


def history_summary(trials: Sequence[TrialPoint], objective: Objective) -> str:
    shown = measured(trials)
    if not shown:
        return _("No trial has a value yet.")
    top = best_of(shown, objective)
    n_improved = len(set(best_so_far(shown, objective))) - 1
    said = ngettext(
        "%(metric)s of %(n)s trial: from %(first)s in the first to %(best)s in trial %(number)s, the best.",
        "%(metric)s of %(n)s trials: from %(first)s in the first to %(best)s in trial %(number)s, the best.",
        len(shown),
    ) % {
        "metric": objective.name,
        "n": len(shown),
        "first": significant(shown[0].value or 0.0),
        "best": significant(top.value or 0.0),
        "number": top.number,
    }
    if not n_improved:
        return said
    times = ngettext("It improved %(times)s time.", "It improved %(times)s times.", n_improved)
    return f"{said} {times % {'times': n_improved}}"


def edf_figure(trials: Sequence[TrialPoint], objective: Objective) -> dict[str, Any]:
    """The share of trials whose value is at most so large."""
    values = sorted(trial.value for trial in measured(trials) if trial.value is not None)
    shares = [(place + 1) / len(values) for place in range(len(values))]
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": _("share of the trials"),
                "x": values,
                "y": shares,
                "line": {"shape": "hv", "color": "var(--chart-1)", "width": 2},
                "hovertemplate": "%{y:.0%} ≤ %{x:.4g}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {"title": {"text": plain(objective.name)}},
            "yaxis": {"title": {"text": _("share of the trials")}, "range": [0, 1.02], "tickformat": ".0%"},
            "showlegend": False,
        },
        "table": {
            "columns": [objective.name, _("share of the trials")],
            "rows": [list(pair) for pair in zip(values, shares, strict=True)],
        },
    }


def edf_summary(trials: Sequence[TrialPoint], objective: Objective) -> str:
    values = sorted(trial.value for trial in measured(trials) if trial.value is not None)
    if not values:
        return _("No trial has a value yet.")
    return ngettext(
        "%(metric)s: %(n)s trial at most %(median)s; from %(low)s to %(high)s.",
        "%(metric)s: half of %(n)s trials are at most %(median)s; from %(low)s to %(high)s.",
        len(values),
    ) % {
        "metric": objective.name,
        "n": len(values),
        "median": significant(values[(len(values) - 1) // 2]),
        "low": significant(values[0]),
        "high": significant(values[-1]),
    }


def importance_figure(importance: Mapping[str, float], *, reason: str = "") -> dict[str, Any]:
    """A bar per parameter, the most important at the top. Shares add up to 1.

    Args:
        reason: Why there are none, to be said in their place.
    """
    if not importance:
        return _said(reason)
    ordered = sorted(importance.items(), key=lambda pair: (pair[1], pair[0]))
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": [value for _name, value in ordered],
                "y": [plain(name) for name, _value in ordered],
                "text": [f"{value:.0%}" for _name, value in ordered],
                "textposition": "auto",
                "marker": {"color": "var(--chart-1)"},
                "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
            }
        ],
        "layout": {
            "xaxis": {
                "title": {"text": _("share of the importance")},
                "rangemode": "tozero",
                "tickformat": ".0%",
            },
            "yaxis": {"type": "category"},
            "showlegend": False,
            "height": max(160, 70 + 34 * len(ordered)),
        },
        "table": {
            "columns": [_("Hyperparameter"), _("share of the importance")],
            "rows": [list(pair) for pair in reversed(ordered)],
        },
    }


def _said(reason: str) -> dict[str, Any]:
    """An empty figure with a sentence in it."""
    words = {"text": plain(reason), "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    hidden = {"visible": False}
    return {
        "data": [],
        "layout": {"xaxis": hidden, "yaxis": hidden, "annotations": [words], "height": 160},
        "table": {"columns": [_("Hyperparameter"), _("share of the importance")], "rows": []},
    }


def slice_figure(trials: Sequence[TrialPoint], dimension: Dimension, objective: Objective) -> dict[str, Any]:
    """The objective against one parameter: a point per trial, coloured from the first to the last, the best a star."""
    shown = [trial for trial in measured(trials) if dimension.name in trial.parameters][-POINTS_MAX:]
    title = plain(objective.name)
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": _("trial"),
        "x": [dimension.shown(trial.parameters[dimension.name]) for trial in shown],
        "y": [trial.value for trial in shown],
        "text": [str(trial.number) for trial in shown],
        "marker": {
            "color": [trial.number for trial in shown],
            "colorscale": SHADES,
            "showscale": False,
            "symbol": ["star" if trial.is_best else "circle" for trial in shown],
            "size": [13 if trial.is_best else 8 for trial in shown],
            "opacity": 0.85,
        },
        "hovertemplate": f"{plain(_('trial'))} %{{text}}<br>{plain(dimension.name)}: %{{x}}<br>{title}: %{{y:.4g}}"
        "<extra></extra>",
    }
    return {
        "data": [trace],
        "layout": {
            "xaxis": dimension.axis(),
            "yaxis": {"title": {"text": title}},
            "hovermode": "closest",
            "showlegend": False,
        },
        "table": {
            "columns": [_("trial"), dimension.name, objective.name],
            "rows": [[trial.number, trial.parameters[dimension.name], trial.value] for trial in shown],
        },
    }


def slice_summary(trials: Sequence[TrialPoint], dimension: Dimension, objective: Objective) -> str:
    shown = [trial for trial in measured(trials) if dimension.name in trial.parameters]
    if not shown:
        return _("No trial has a value yet.")
    top = best_of(shown, objective)
    return ngettext(
        "%(metric)s against %(name)s in %(n)s trial; best %(value)s at %(at)s.",
        "%(metric)s against %(name)s in %(n)s trials; best %(value)s at %(at)s.",
        len(shown),
    ) % {
        "metric": objective.name,
        "name": dimension.name,
        "n": len(shown),
        "value": significant(top.value or 0.0),
        "at": top.parameters[dimension.name],
    }


def measured(trials: Sequence[TrialPoint]) -> list[TrialPoint]:
    return [trial for trial in trials if trial.is_measured]


def best_of(trials: Sequence[TrialPoint], objective: Objective) -> TrialPoint:
    """The best of trials that have a value: the one that the tuning job names, else the first of equal ones."""
    marked = next((trial for trial in trials if trial.is_best), None)
    if marked is not None:
        return marked
    sign = 1 if objective.smallest else -1
    return min(trials, key=lambda trial: (sign * (trial.value or 0.0), trial.number))


def best_so_far(trials: Sequence[TrialPoint], objective: Objective) -> list[float]:
    """After each of trials that have a value, the best one until then."""
    found: list[float] = []
    for trial in trials:
        value = trial.value if trial.value is not None else 0.0
        found.append(value if not found or objective.better(value, found[-1]) else found[-1])
    return found


def _points(trials: Sequence[TrialPoint], name: str, symbol: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [trial.number for trial in trials],
        "y": [trial.value for trial in trials],
        "text": [
            plain(", ".join(f"{key}={value}" for key, value in trial.parameters.items())) for trial in trials
        ],
        "marker": {"color": "var(--chart-2)", "symbol": symbol, "size": 7},
        "hovertemplate": f"{plain(_('trial'))} %{{x}}: %{{y:.4g}}<br>%{{text}}<extra></extra>",
    }


def _star(trial: TrialPoint) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": _("the best"),
        "x": [trial.number],
        "y": [trial.value],
        "marker": {
            "symbol": "star",
            "size": 14,
            "color": "var(--chart-3)",
            "line": {"color": "var(--surface)", "width": 1.5},
        },
        "hoverinfo": "skip",
        "cliponaxis": False,
    }


def _few(trials: Sequence[TrialPoint]) -> dict[str, Any]:
    """Numbers of few trials stand each under its own; of its own accord Plotly would write halves of them."""
    return {"dtick": 1} if trials and trials[-1].number - trials[0].number < 12 else {}
