"""Template tags of experiments and comparisons: the mark of a series, how far cells are, new figures for charts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from django import template
from django.template.context import RequestContext
from django.urls import reverse
from django.utils.html import format_html, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import ngettext

from endpoints.selectors.evaluation_tables import ERRORS
from mlplatform.web.charts.k_lines import N_COLOURS, SYMBOLS, dash
from mlplatform.web.experiment_cells import CellView, Counts
from mlplatform.web.state_bar import state_bar
from mlplatform.web.templatetags.figures import MISSING, count, fixed, score

register = template.Library()
_DASHES: Final = {
    "solid": "",
    "dash": "5 3",
    "dot": "1.5 2.5",
    "dashdot": "5 2.5 1.5 2.5",
    "longdash": "8 3",
    "longdashdot": "8 2.5 1.5 2.5",
}
_SHAPES: Final = {
    "circle": "M11 2.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 1 1 0-7z",
    "diamond": "M11 1.5l4.5 4.5l-4.5 4.5l-4.5-4.5z",
    "square": "M7.8 2.8h6.4v6.4h-6.4z",
    "triangle-up": "M11 1.8l4.3 7.4h-8.6z",
    "cross": "M9.6 2h2.8v2.6h2.6v2.8h-2.6v2.6h-2.8v-2.6h-2.6v-2.8h2.6z",
    "x": "M8.4 2l2.6 2.6l2.6-2.6l1.6 1.6l-2.6 2.4l2.6 2.4l-1.6 1.6l-2.6-2.6l-2.6 2.6l-1.6-1.6l2.6-2.4l-2.6-2.4z",
    "triangle-down": "M11 10.2l-4.3-7.4h8.6z",
    "pentagon": "M11 1.6l4.3 3.2l-1.6 5h-5.4l-1.6-5z",
}


@register.simple_tag
def series_mark(place: int) -> SafeString:
    """The colour, dash and marker that a series has in every chart, for its name in a table."""
    return format_html(
        '<svg class="series-mark series-{}" viewBox="0 0 22 12" width="22" height="12" aria-hidden="true">'
        '<path d="M0 6h22" fill="none" stroke="currentColor" stroke-width="2" stroke-dasharray="{}"/>'
        '<path d="{}" fill="currentColor"/></svg>',
        place % N_COLOURS + 1, _DASHES[dash(place)], _SHAPES[SYMBOLS[place % len(SYMBOLS)]],
    )  # fmt: skip


@register.simple_tag
def cell_bar(counts: Counts) -> SafeString:
    """How many of an experiment's cells are done, failed, waiting: a compact bar, and the same in words."""
    words = ngettext("%(done)s of %(n)s cell", "%(done)s of %(n)s cells", counts.n) % {
        "done": count(counts.done),
        "n": count(counts.n),
    }
    return state_bar(counts.parts, whole=counts.n, words=words)


@register.simple_tag(takes_context=True)
def deploy_url(context: RequestContext, view: CellView) -> str:
    """The form that deploys a cell's training job on its instance type, which says what was measured of it and leads
    back here. Only of a cell that has its job.
    """
    job, evaluation = view.cell.training_job, view.cell.evaluation
    assert job is not None, "a cell without its job is deployed from its model"
    url = reverse(
        "web:training-job-deploy", kwargs={"project": context["actor"].project.name, "name": job.name}
    )
    query = {
        "instance_type": view.cell.instance_type,
        "evaluation": evaluation.name if evaluation is not None else "",
        "next": context["request"].get_full_path(),
    }
    return f"{url}?{urlencode({name: value for name, value in query.items() if value})}"


@register.simple_tag
def figure_script(figure: Mapping[str, Any]) -> SafeString:
    """A figure as JSON, for a chart that is on the page already."""
    return json_script(figure)


@register.filter
def quality(value: float | None, metric: str) -> SafeString | str:
    """A score to four places, an error to four digits."""
    if value is None:
        return mark_safe(f'<span class="faint">{MISSING}</span>')
    if metric not in ERRORS:
        return score(value)
    return format_html('<span title="{}">{}</span>', repr(value), fixed(value))
