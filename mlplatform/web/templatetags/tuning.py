"""Template tags of tuning jobs: how far their trials are, and how a trial went from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.comparison.runs import number_of
from mlplatform.web.charts.sparkline import steps_path
from mlplatform.web.state_bar import state_bar
from mlplatform.web.templatetags.figures import count, significant
from mlplatform.web.tuning_trials import Counts

register = template.Library()
_POINTS_MAX: Final = 120
_DIGITS_MAX: Final = 8


@register.simple_tag
def trial_bar(counts: Counts) -> SafeString:
    """How many trials are done, failed, waiting: a compact bar, and the same in words."""
    if counts.n is None:
        said = ngettext("%(done)s trial", "%(done)s trials", counts.ended)
    else:
        said = ngettext("%(done)s of %(n)s trial", "%(done)s of %(n)s trials", counts.n)
    words = said % {"done": count(counts.ended), "n": count(counts.n)}
    return state_bar(counts.parts, whole=counts.whole, words=words)


@register.simple_tag
def steps_line(values: Sequence[float], width: int = 96, height: int = 24) -> SafeString:
    """The objective from step to step, between its least and its largest value; the ends in words."""
    if len(values) < 2:
        return mark_safe('<span class="faint">–</span>')
    shown = values if len(values) <= _POINTS_MAX else values[:: -(-len(values) // _POINTS_MAX)]
    words = _("from %(first)s to %(last)s in %(n)s steps") % {
        "first": significant(values[0]),
        "last": significant(values[-1]),
        "n": len(values),
    }
    return format_html(
        '<svg class="sparkline steps-line" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}">'
        '<title>{}</title><path class="sparkline-line" d="{}"/></svg>',
        width, height, width, height, words, words, steps_path(shown, width=width, height=height),
    )  # fmt: skip


@register.filter
def parameter(value: str | None) -> SafeString | str:
    """A hyperparameter's value as its job has it; a number of many digits to six of them, all of them on hover."""
    if value is None:
        return mark_safe('<span class="faint">–</span>')
    found = number_of(str(value))
    if found is None or len(str(value)) <= _DIGITS_MAX:
        return str(value)
    return format_html('<span title="{}">{}</span>', value, f"{found:.6g}")
