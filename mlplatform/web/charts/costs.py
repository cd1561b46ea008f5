"""Figures of costs. Pure: data in, Plotly figure (a plain dict) out."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from endpoints.selectors.cost_table import SPENDERS
from endpoints.selectors.costs import ProjectCosts
from mlplatform.core.translation import translated
from mlplatform.web.charts.k_lines import colour_token


def costs_figure(costs: ProjectCosts) -> dict[str, Any]:
    """The amount of each day as stacked bars, a colour for each kind of spending that there was."""
    days = list(costs.days)
    shown = [kind for kind in SPENDERS if any(amounts[kind] for amounts in costs.days.values())]
    return {
        "data": [
            {
                "type": "bar",
                "name": translated(SPENDERS[kind]),
                "x": days,
                "y": [float(amounts[kind]) for amounts in costs.days.values()],
                "marker": {"color": colour_token(list(SPENDERS).index(kind))},
                "hovertemplate": f"%{{x}}: %{{y:.4g}} {costs.currency}",
            }
            for kind in shown
        ],
        "layout": {
            "barmode": "stack",
            "showlegend": True,
            "legend": {"traceorder": "normal"},
            "xaxis": {"title": {"text": "UTC"}, "type": "date"},
            "yaxis": {
                "title": {"text": costs.currency or _("cost")},
                "rangemode": "tozero",
                "exponentformat": "none",
                "tickformat": ".4~g",
            },
        },
    }
