"""How many of several things are in which state: a compact bar, and the same in words. For template tags."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from mlplatform.web.statuses import STATUS_ICONS
from mlplatform.web.templatetags.figures import count
from mlplatform.web.templatetags.ui import icon

_WIDTH: Final = 84

Parts = Sequence[tuple[str, int, str]]
"""(tone, how many, in words) of the states that there are."""


def state_bar(parts: Parts, *, whole: int, words: str) -> SafeString:
    """The bar with `words` beside it, then every state but the good one.

    Args:
        whole: How many the bar is as long as.
    """
    rects, x = [], 0.0
    for tone, n, _words in parts:
        width = _WIDTH * n / whole
        rects.append((tone, f"{x:.2f}", f"{max(width - 1, 1):.2f}"))
        x += width
    return format_html(
        '<span class="cell-bar"><svg viewBox="0 0 {} 8" width="{}" height="8" aria-hidden="true" '
        'preserveAspectRatio="none">{}</svg><span class="cell-words">'
        '<span class="number nowrap">{}</span>{}</span></span>',
        _WIDTH,
        _WIDTH,
        format_html_join("", '<rect class="bar-{}" x="{}" y="0" width="{}" height="8" rx="1.5"/>', rects),
        words,
        format_html_join(
            "",
            ' <span class="status status-{} small">{}<span>{} {}</span></span>',
            (
                (tone, icon(STATUS_ICONS[tone], 13), count(n), said)
                for tone, n, said in parts
                if tone != "good"
            ),
        ),
    )
