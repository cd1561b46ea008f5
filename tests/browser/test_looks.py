"""Dates of charts in the page's language, and the page of operations in the person's theme, in a real browser."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.live import LivePlatform

FIGURE = {
    "data": [{"type": "scatter", "x": ["2026-12-01 02:00:00", "2026-12-01 05:00:00"], "y": [1, 2]}],
    "layout": {"xaxis": {"type": "date"}},
}
CHART = "x-chart[data-drawn]"


def ticks(page: Page, language: str) -> str:
    """What stands below the time axis of a chart on a page of the language."""
    page.goto("/")
    page.locator(f"form button[name=language][value={language}]").first.click()
    page.goto("/styleguide/")
    expect(page.locator("html")).to_have_attribute("lang", language)
    page.locator("x-chart").first.scroll_into_view_if_needed()
    expect(page.locator(CHART).first).to_be_visible()
    page.locator(CHART).first.evaluate(f"chart => {{ chart.figure = {json.dumps(FIGURE)}; }}")
    expect(page.locator(f"{CHART} .xtick text").first).to_contain_text(":00")
    return " ".join(page.locator(f"{CHART} .xtick text").all_text_contents())


def test_the_dates_of_charts_are_in_the_language_of_the_page(signed_in_page: Page) -> None:
    assert "2026年12月1日" in ticks(signed_in_page, "ja")
    with signed_in_page.expect_download() as download:
        signed_in_page.locator(f"{CHART} .chart-tools button", has_text="SVG").first.click()
    assert "2026年12月1日" in download.value.path().read_text(encoding="utf-8")
    english = ticks(signed_in_page, "en")
    assert "Dec 1, 2026" in english and "年" not in english


@pytest.mark.parametrize(
    ("theme", "system", "dark"),
    [("system", "dark", True), ("system", "light", False), ("light", "dark", False), ("dark", "light", True)],
)
def test_the_page_of_operations_has_the_theme(
    signed_in_page: Page, platform: LivePlatform, theme: str, system: str, dark: bool
) -> None:
    page = signed_in_page
    page.context.add_cookies([{"name": "theme", "value": theme, "url": platform.base_url}])
    page.emulate_media(color_scheme=system)  # type: ignore[arg-type]
    page.goto("/api/v1/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    ground = page.locator("html").evaluate("root => getComputedStyle(root).backgroundColor")
    assert (sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(",")) < 200) is dark
