"""Template tags of the design system: icons, status badges, times, small charts and links that keep the query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from django import template
from django.forms import BoundField
from django.http import QueryDict
from django.template.context import RequestContext
from django.utils.html import format_html, format_html_join, json_script
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_noop

from mlplatform.core.status import TONES
from mlplatform.core.translation import translated
from mlplatform.web.charts.bars import count_bars
from mlplatform.web.charts.sparkline import sparkline_path
from mlplatform.web.icons import icon_svg
from mlplatform.web.statuses import STATUS_ICONS, status_word
from mlplatform.web.texts import script_texts

register = template.Library()
register.filter("translated", translated)
_COLUMN_TYPES = {
    "boolean": gettext_noop("boolean"),
    "integral": gettext_noop("integral"),
    "fractional": gettext_noop("fractional"),
    "text": gettext_noop("text"),
}


@register.filter
def pairs(mapping: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """Names and values. `mapping.items` in a template is the value of a name `items` where there is one, and names of
    hyperparameters, metrics, tags, variables and queries are anybody's.
    """
    return list(mapping.items()) if mapping else []


@register.simple_tag
def icon(name: str, size: int = 16, label: str = "", extra: str = "") -> SafeString:
    """An inline SVG icon; hidden from screen readers unless it has a label."""
    classes = f"icon {extra}".strip()
    return _icon(name, size, label, classes)


@lru_cache(maxsize=1024)
def _icon(name: str, size: int, label: str, classes: str) -> SafeString:
    spoken = {"role": "img", "aria-label": label} if label else {"aria-hidden": "true"}
    return mark_safe(icon_svg(name, size=size, **{"class": classes}, **spoken))


@register.simple_tag
def status(value: str, tone: str = "") -> SafeString:
    """A status as icon and word, never colour alone; the service's own word on hover where the language differs."""
    word = status_word(value)
    colour = tone or TONES.get(value, "neutral")
    title = format_html(' title="{}"', value) if word != value else ""
    return format_html(
        '<span class="status status-{}"{}>{}<span>{}</span></span>',
        colour,
        title,
        icon(STATUS_ICONS.get(colour, "circle"), 14),
        word,
    )


@register.simple_tag
def when(value: datetime | None, mode: str = "relative") -> SafeString | str:
    """An instant: relative with the full time on hover, or the other way round (`mode="absolute"`)."""
    if value is None:
        return "–"
    iso = value.isoformat(timespec="milliseconds")
    return format_html(
        '<x-time mode="{}"><time datetime="{}">{}</time></x-time>',
        mode,
        iso,
        f"{localtime(value):%Y-%m-%d %H:%M:%S %Z}",
    )


@register.simple_tag
def sparkline(values: Sequence[float], label: str, width: int = 120, height: int = 28) -> SafeString:
    """A line without axes. `label` says in words what it shows."""
    line, area = sparkline_path(values, width=width, height=height)
    return format_html(
        '<svg class="sparkline" viewBox="0 0 {} {}" width="{}" height="{}" role="img" aria-label="{}" '
        'preserveAspectRatio="none"><path class="sparkline-area" d="{}"/><path class="sparkline-line" d="{}"/></svg>',
        width, height, width, height, label, area, line,
    )  # fmt: skip


@register.simple_tag
def bars(
    histogram: Mapping[str, Any] | None, label: str, width: int = 128, height: int = 24
) -> SafeString | str:
    """The histogram of a column (`counts` with `edges` or `values`); `label` says in words what it shows."""
    if not histogram or not histogram.get("counts"):
        return "–"
    drawn = count_bars(histogram["counts"], width=width, height=height)
    rects = format_html_join(
        "",
        '<rect x="{}" y="{}" width="{}" height="{}"/>',
        ((bar.x, bar.y, bar.width, bar.height) for bar in drawn),
    )
    return format_html(
        '<svg class="bars" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}"><title>{}</title>'
        "{}</svg>",
        width, height, label, label, rects,
    )  # fmt: skip


@register.simple_tag
def meter(fraction: float | str | None, label: str, state: str = "") -> SafeString:
    """A progress bar; indeterminate where the fraction is not known (a template passes "" for what is missing).

    Its `state` is "full" or "low", which colour it as a warning or as a fault.
    """
    if not isinstance(fraction, int | float):
        return format_html('<progress class="meter" aria-label="{}"></progress>', label)
    shown = max(0.0, min(1.0, fraction))
    return format_html(
        '<progress class="{}" max="1" value="{}" aria-label="{}">{}%</progress>',
        f"meter {state}".strip(),
        f"{shown:.4f}",
        label,
        round(100 * shown),
    )


@register.simple_tag
def chart(
    figure: Mapping[str, Any],
    title: str,
    summary: str = "",
    height: int = 320,
    name: str = "chart",
    min_width: int = 0,
) -> SafeString:
    """A Plotly figure (a plain dict): drawn lazily, themed, with a table and downloads; `summary` says it in words.

    With a `min_width` it is scrolled on a window that is narrower.
    """
    width = format_html(' min-width="{}"', min_width) if min_width else ""
    return format_html(
        '<x-chart name="{}" height="{}"{}><figure class="chart"><figcaption class="chart-title">{}</figcaption>'
        '<p class="visually-hidden">{}</p>{}</figure></x-chart>',
        name, height, width, title, summary, json_script(figure),
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def live_chart(
    context: RequestContext,
    url: str,
    title: str,
    summary: str = "",
    height: int = 320,
    name: str = "chart",
    every_s: int = 0,
) -> SafeString:
    """A figure fetched from `url` as JSON, again every `every_s` seconds until an answer says `"final": true`."""
    return format_html(
        '<x-chart name="{}" height="{}" src="{}" every="{}"><figure class="chart"><figcaption class="chart-title">{}'
        '</figcaption><p class="visually-hidden">{}</p></figure></x-chart>',
        name, height, url, every_s, title, summary,
    )  # fmt: skip


@register.simple_tag(takes_context=True)
def query(context: RequestContext, **changes: Any) -> str:
    """The present query string with some parameters changed; None removes one. The cursor never survives a change."""
    params: QueryDict = context["request"].GET.copy()
    params.pop("cursor", None)
    for name, value in changes.items():
        if value is None or value == "":
            params.pop(name, None)
        else:
            params[name] = str(value)
    return f"?{params.urlencode()}" if params else "?"


@register.simple_tag(takes_context=True)
def page_query(context: RequestContext, cursor: str) -> str:
    """The present query string, at another page of the list."""
    params: QueryDict = context["request"].GET.copy()
    params["cursor"] = cursor
    return f"?{params.urlencode()}"


@register.inclusion_tag("inc/sort_header.html", takes_context=True)
def sort_header(
    context: RequestContext, field: str, title: str, default: str = "", numeric: bool = False
) -> dict[str, Any]:
    """A table header that sorts by `field`; `default` is the list's order when none is asked for."""
    present = context["request"].GET.get("order") or default
    sorted_by, descending = present.lstrip("-") == field, present.startswith("-")
    following = (
        field
        if sorted_by and descending
        else f"-{field}"
        if sorted_by
        else (f"-{field}" if numeric else field)
    )
    direction = ("descending" if descending else "ascending") if sorted_by else "none"
    return {
        "title": title,
        "url": query(context, order=following),
        "direction": direction,
        "numeric": numeric,
    }


@register.inclusion_tag("inc/field.html")
def field(bound: BoundField, hint: str = "", wide: bool = False) -> dict[str, Any]:
    """A form field with label, help and its errors, tied together for screen readers."""
    described = [f"{bound.id_for_label}_error"] if bound.errors else []
    if hint or bound.help_text:
        described.append(f"{bound.id_for_label}_hint")
    attributes: dict[str, Any] = {}
    if described:
        attributes["aria-describedby"] = " ".join(described)
    if bound.errors:
        attributes["aria-invalid"] = "true"
    kind = getattr(bound.field.widget, "input_type", bound.field.widget.__class__.__name__.lower())
    return {
        "field": bound,
        "control": bound.as_widget(attrs=attributes),
        "hint": hint or bound.help_text,
        "kind": kind,
        "wide": wide,
    }


@register.filter
def column_type_word(kind: str) -> str:
    """The type of a column in the reader's language."""
    return gettext(_COLUMN_TYPES.get(kind, kind))


@register.filter
def pretty_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


@register.filter
def with_code(text: str) -> SafeString:
    """A sentence whose parts between backticks are commands or settings."""
    parts = enumerate(str(text).split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if n % 2 else part,) for n, part in parts)
    )


@register.filter
def split(text: str) -> list[str]:
    """Words of a literal, to loop over in a template."""
    return text.split()


@register.filter
def item(mapping: Mapping[str, Any], key: str) -> Any:
    """`mapping[key]`, or None."""
    return mapping.get(key) if mapping else None


@register.simple_tag
def page_texts() -> SafeString:
    """The words that scripts show."""
    return json_script(script_texts(), "texts")
