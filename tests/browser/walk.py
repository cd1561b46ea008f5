"""Looks at a page as a reviewer would: serious accessibility faults by axe-core, and text wider than the window."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

BLOCKING = ("serious", "critical")


def faults(page: Page) -> list[str]:
    """Serious and critical faults of the page as it stands, one line each."""
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {violation['id']}: {node['html'][:160]}"
        for violation in found
        if violation["impact"] in BLOCKING
        for node in violation["nodes"]
    ]


def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    width = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return int(width)
