"""Looks at pages as a reviewer would: serious accessibility faults by axe-core, and what is wider than its window."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, ViewportSize, expect

BLOCKING: Final = ("serious", "critical")
NARROW: Final[ViewportSize] = {"width": 320, "height": 640}
WIDE: Final[ViewportSize] = {"width": 1280, "height": 800}
LANGUAGES_AND_THEMES: Final = pytest.mark.parametrize(
    ("language", "theme"), [("en", "light"), ("ja", "dark")]
)
_AXE: Final = Axe()


def choose(page: Page, language: str, theme: str) -> None:
    """Sets language and theme as their cookies carry them."""
    chosen = {"django_language": language, "theme": theme}
    page.context.add_cookies(
        [{"name": name, "value": value, "domain": "127.0.0.1", "path": "/"} for name, value in chosen.items()]
    )


def walk(
    page: Page,
    paths: Iterable[str],
    language: str,
    theme: str,
    *,
    has_chart: Callable[[str], bool] = lambda path: False,
) -> list[str]:
    """What is wrong with the pages, one line each. Nothing may be wider than a narrow window in which it is opened, nor
    than the wide one in which all is looked through, with the chart that the page is to have drawn for it.
    """
    choose(page, language, theme)
    found = []
    for path in paths:
        page.set_viewport_size(NARROW)
        page.goto(path)
        found += _too_wide(page)
        page.set_viewport_size(WIDE)
        if has_chart(path):
            page.reload()  # what a chart shows depends on the room that it has when it is drawn
            page.locator("x-chart").first.scroll_into_view_if_needed()
            expect(page.locator("x-chart[data-drawn]").first).to_be_visible(timeout=30_000)
        found += _too_wide(page)
        found += faults(page)
    return found


def faults(page: Page) -> list[str]:
    """Serious and critical faults of the page as it stands, one line each."""
    found = _AXE.run(page).response["violations"]
    return [
        f"{page.url}: {violation['id']}: {node['html'][:160]}"
        for violation in found
        if violation["impact"] in BLOCKING
        for node in violation["nodes"]
    ]


def _too_wide(page: Page) -> list[str]:
    pixels, size = overflow(page), page.viewport_size
    return [f"{page.url}: {pixels} pixels wider than a window of {size}"] if pixels > 0 else []


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(width)
