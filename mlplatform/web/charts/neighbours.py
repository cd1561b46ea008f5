"""How an answer changes with k: the votes of the nearest neighbours as a strip. Pure: votes in, Plotly figure out."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.utils.translation import gettext as _

from endpoints.neighbours import Vote
from mlplatform.web.charts.k_lines import N_COLOURS, SYMBOLS, colour_token

PATTERNS: Final = ("", "/", "x", "-", "|", "+", "\\", ".")
"""Of the bars, so that labels are told apart without colour."""


def votes_figure(
    votes: Sequence[Vote], names: Mapping[float, str], *, k: int, true_label: str | None = None
) -> dict[str, Any]:
    """The winning label and its share of the votes for every k, and the share of the true label where it is known.

    Args:
        names: words of the codes; their order gives each its colour and pattern.
        k: the one that is marked.
    """
    winners = sorted({vote.value for vote in votes})
    bars = [_bars(votes, code, names.get(code, f"{code:g}"), place) for place, code in enumerate(winners)]
    line = _true_line(votes, true_label) if true_label is not None and votes[0].n_true is not None else None
    return {
        "data": [*bars, *([line] if line else [])],
        "layout": {
            "barmode": "overlay",
            "bargap": 0,
            "xaxis": _axis(len(votes)),
            "yaxis": {
                "title": {"text": _("share of the votes")},
                "range": [0, 1.04],
                "tickformat": ".0%",
                "dtick": 0.25,
            },
            "shapes": [_marked(k)],
            "showlegend": True,
            "legend": {"traceorder": "normal"},
        },
        "table": {
            "columns": [
                "k",
                _("winning label"),
                _("votes"),
                _("share"),
                *([_("votes for the true label")] if line else []),
            ],
            "rows": [
                [vote.k, names.get(vote.value, f"{vote.value:g}"), vote.n_votes, vote.share]
                + ([vote.n_true] if line else [])
                for vote in votes
            ],
        },
    }


def means_figure(votes: Sequence[Vote], *, k: int, true: float | None = None) -> dict[str, Any]:
    """The mean label of the nearest k for every k, and the true one as a level line where it is known."""
    ks = [vote.k for vote in votes]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(votes) <= 40 else "lines",
            "name": _("mean of the nearest k"),
            "x": ks,
            "y": [vote.value for vote in votes],
            "line": {"color": colour_token(0), "width": 2},
            "marker": {"color": colour_token(0), "size": 6},
        }
    ]
    if true is not None:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": _("true value"),
                "x": [0.5, len(votes) + 0.5],
                "y": [true, true],
                "line": {"color": "var(--text)", "width": 1.5, "dash": "dash"},
            }
        )
    return {
        "data": traces,
        "layout": {
            "xaxis": _axis(len(votes)),
            "yaxis": {"title": {"text": _("prediction")}},
            "shapes": [_marked(k)],
            "showlegend": true is not None,
        },
        "table": {"columns": ["k", _("prediction")], "rows": [[vote.k, vote.value] for vote in votes]},
    }


def _bars(votes: Sequence[Vote], code: float, name: str, place: int) -> dict[str, Any]:
    won = [vote for vote in votes if vote.value == code]
    return {
        "type": "bar",
        "name": html.escape(name),
        "x": [vote.k for vote in won],
        "y": [vote.share for vote in won],
        "width": 1,
        "marker": {
            "color": colour_token(place),
            "line": {"color": "var(--surface)", "width": 0.5 if len(votes) <= 120 else 0},
            "pattern": {
                "shape": PATTERNS[(place // N_COLOURS + place) % len(PATTERNS)],
                "size": 6,
                "solidity": 0.25,
            },
        },
        "customdata": [vote.n_votes for vote in won],
        "hovertemplate": "k = %{x}: %{y:.1%} (%{customdata})",
    }


def _true_line(votes: Sequence[Vote], true_label: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": _("true label: %(label)s") % {"label": html.escape(true_label)},
        "x": [vote.k for vote in votes],
        "y": [vote.true_share for vote in votes],
        "line": {"color": "var(--text)", "width": 2, "dash": "dot", "shape": "hvh"},
        "marker": {"symbol": SYMBOLS[1]},
        "hovertemplate": "k = %{x}: %{y:.1%}",
    }


def _axis(n: int) -> dict[str, Any]:
    return {"title": {"text": "k"}, "range": [0.5, n + 0.5], **({"dtick": 1} if n <= 12 else {})}


def _marked(k: int) -> dict[str, Any]:
    """A frame around the k that is looked at."""
    line = {"color": "var(--text)", "width": 1.5}
    return {"type": "rect", "x0": k - 0.5, "x1": k + 0.5, "yref": "paper", "y0": 0, "y1": 1, "line": line}
