"""Numbers as people read them: sizes, durations, four significant digits with the full value on hover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from django import template
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from mlplatform.core import clock

register = template.Library()

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
MISSING = "–"


@register.filter
def bytes_text(value: float | None) -> str:
    """1536 → `1.5 KiB`."""
    if value is None:
        return MISSING
    size = float(value)
    for unit in _UNITS[:-1]:
        if abs(size) < 1024:
            return (
                f"{size:.0f} {unit}"
                if unit == "B"
                else f"{size:.4g} {unit}"
                if size >= 100
                else f"{size:.3g} {unit}"
            )
        size /= 1024
    return f"{size:.4g} {_UNITS[-1]}"


@register.filter
def duration_text(seconds: float | None) -> str:
    """75.4 → `1 min 15 s`; the two largest units, milliseconds below a second."""
    if seconds is None:
        return MISSING
    if seconds < 0:
        return f"−{duration_text(-seconds)}"
    if seconds < 1:
        return _("%(n)s ms") % {"n": f"{seconds * 1000:.0f}"}
    if seconds < 10:
        return _("%(n)s s") % {"n": f"{seconds:.1f}"}
    whole = round(seconds)
    if whole < 60:
        return _("%(n)s s") % {"n": whole}
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return _("%(m)s min %(s)s s") % {"m": minutes, "s": rest}
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return _("%(h)s h %(m)s min") % {"h": hours, "m": minutes}
    return _("%(d)s d %(h)s h") % {"d": hours // 24, "h": hours % 24}


@register.filter
def seconds_since(start: datetime | None, end: datetime | None = None) -> float | None:
    """Seconds from `start` to `end`, or to now while there is no end."""
    return None if start is None else ((end or clock.now()) - start).total_seconds()


@register.filter
def millis_text(value: float | None) -> str:
    """A latency in milliseconds: `0.84 ms`, `12 ms`, `1.3 s`."""
    if value is None:
        return MISSING
    return f"{significant(value, 3)} ms" if value < 1000 else f"{significant(value / 1000, 3)} s"


@register.filter
def count(value: int | None) -> str:
    """A whole number with the language's thousands separators."""
    return MISSING if value is None else number_format(value, force_grouping=True)


@register.filter
def number(value: object) -> SafeString | str:
    """A number to four significant digits, with the full value on hover where digits were dropped."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    short = significant(value)
    full = repr(value)
    if short.replace(",", "") == full:
        return short
    return format_html('<span title="{}">{}</span>', full, short)


@register.filter
def percent(value: float | None) -> str:
    """A fraction as a percentage: 0.9737 → `97.37 %`."""
    return MISSING if value is None else f"{significant(value * 100)} %"


@register.filter
def score(value: float | None) -> str:
    """A score between 0 and 1 to four decimal places, as scores are compared."""
    return MISSING if value is None else f"{value:.4f}"


def significant(value: float, digits: int = 4) -> str:
    """`value` to so many significant digits, grouped, in scientific form where it is very large or small."""
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return str(value)
    magnitude = abs(value)
    if magnitude != 0 and (magnitude < 1e-4 or magnitude >= 1e12):
        return f"{value:.{digits - 1}e}"
    if magnitude >= 10 ** (digits - 1):
        return (
            f"{value:,.0f}"
            if value == round(value) or magnitude >= 10**digits
            else f"{value:,.1f}".rstrip("0").rstrip(".")
        )
    return f"{value:.{digits}g}"


def fixed(value: float, digits: int = 4) -> str:
    """`value` to exactly so many significant digits, zeros among them, so that values below one another compare; more
    where it has more before the point.
    """
    if not math.isfinite(value) or value == 0:
        return significant(value, digits)
    mantissa, _e, exponent = f"{value:.{digits - 1}e}".partition("e")
    magnitude = int(exponent)
    if not -5 < magnitude < 12:
        return f"{mantissa}e{exponent}"
    return f"{value:,.{max(0, digits - 1 - magnitude)}f}"


@register.filter
def share_of(part: float, whole: float) -> str:
    """`part` of `whole` as a percentage."""
    return percent(part / whole) if whole else MISSING


@register.filter
def is_number_column(columns: Sequence[tuple[str, str]], place: int) -> bool:
    """Whether the column (name, type) at `place` has numbers, which stand at the right."""
    return place < len(columns) and columns[place][1] in ("integral", "fractional")
