"""Template tags of comparisons: a run's mark, and cells, of which a page may have ten thousand."""

from __future__ import annotations

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from mlplatform.web.charts.k_lines import DASHES, N_COLOURS, dash
from mlplatform.web.comparison_tables import Cell

register = template.Library()


@register.simple_tag
def run_mark(mark: int) -> SafeString:
    """A short line in the colour and dash that the run has in every chart."""
    return format_html(
        '<svg class="run-mark run-colour-{} run-dash-{}" viewBox="0 0 26 8" width="26" height="8" aria-hidden="true">'
        '<line x1="1" y1="4" x2="25" y2="4"/></svg>',
        mark % N_COLOURS + 1,
        DASHES.index(dash(mark)),
    )


@register.simple_tag
def compared_cell(cell: Cell, numeric: bool) -> SafeString:
    """The `td` of one run's value, with what is to be seen of it at once."""
    classes = ["numeric"] if numeric else []
    classes += ["is-best"] if cell.best else []
    classes += ["is-changed"] if cell.changed else []
    star = (
        format_html(
            '<span class="mark" aria-hidden="true">★</span><span class="visually-hidden">{} </span>',
            _("best:"),
        )
        if cell.best
        else ""
    )
    text = format_html('<span title="{}">{}</span>', cell.full, cell.text) if cell.full else cell.text
    return format_html('<td class="{}">{}{}{}</td>', " ".join(classes), star, text, _note(cell))


def _note(cell: Cell) -> SafeString:
    if not cell.note:
        return mark_safe("")
    if cell.better is None:
        return format_html('<span class="sub">{}</span>', cell.note)
    tone, sign, word = ("is-better", "▲", _("better")) if cell.better else ("is-worse", "▼", _("worse"))
    return format_html(
        '<span class="sub {}"><span aria-hidden="true">{}</span> {}<span class="visually-hidden"> {}</span></span>',
        tone,
        sign,
        cell.note,
        word,
    )
