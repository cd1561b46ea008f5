"""Comparing jobs in a real browser: ticked in the list, looked at in parallel coordinates, kept in the address."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.walk import LANGUAGES_AND_THEMES, faults, walk
from tests.live import LivePlatform

JOBS = "/projects/default/training-jobs/"
COMPARE = "/projects/default/compare/"
LIST = f"{JOBS}?search=compared"
MADE = """
from tests.compared import *
project, user = Project.objects.get(name="default"), User.objects.get(username="admin")
jobs_made(project, user, 9, prefix="compared", n_points=30)
"""
ALL = f"{COMPARE}?kind=training-jobs&search=compared"
TWO = f"{COMPARE}?kind=training-jobs&name=compared-1&name=compared-2&base=compared-1&show=all"


@pytest.fixture(scope="module", autouse=True)
def jobs(platform: LivePlatform) -> None:
    platform.manage("shell", "-c", MADE)


def parameters(page: Page) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(page.url).query)


def kept(page: Page) -> Locator:
    """The lines that are not brushed out."""
    return page.locator(".parallel-line:not(.is-out)")


def titles(page: Page) -> list[str]:
    return page.locator(".parallel-title title").evaluate_all("found => found.map(one => one.textContent)")


def axes_opened(page: Page) -> Locator:
    page.get_by_text("Axes and ranges").click()
    return page.locator(".parallel-list")


def test_two_jobs_are_ticked_by_keyboard_compared_brushed_and_found_again(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(LIST)
    bar = page.locator("#selection")
    expect(bar).to_be_hidden()
    page.locator("#select-compared-9").focus()
    page.keyboard.press("x")
    expect(bar.get_by_role("button", name="Compare")).to_be_disabled()
    expect(bar).to_contain_text("tick at least one more")
    page.keyboard.press("j")
    expect(page.locator("#select-compared-8")).to_be_focused()
    page.keyboard.press("x")
    expect(bar).to_contain_text("2 selected")
    page.keyboard.press("c")
    page.wait_for_url(f"**{COMPARE}**")
    assert [value for name, value in parameters(page) if name == "name"] == ["compared-9", "compared-8"]
    expect(page.get_by_role("columnheader", name=re.compile("^compared-9"))).to_be_visible()
    expect(kept(page)).to_have_count(2)

    axes_opened(page)
    most = page.get_by_label("sample_size: at most")
    most.focus()
    page.keyboard.type("１００，０００")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="1 of 2 runs")).to_be_visible()
    expect(kept(page)).to_have_count(1)
    page.get_by_role("button", name="Move k to the right").press("Enter")
    expect(page.get_by_role("button", name="Move k to the right")).to_be_focused()
    before = titles(page)
    assert before[1] == "k"
    assert ("brush", "~100000~hyperparameters.sample_size") in parameters(page)

    page.reload()
    expect(kept(page)).to_have_count(1)
    assert titles(page) == before
    expect(page.locator(".parallel-brush")).to_have_count(1)
    axes_opened(page)
    expect(page.get_by_label("sample_size: at most")).to_have_value("100000")


def test_what_is_ticked_survives_the_refresh_other_filters_and_other_pages(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(LIST)
    page.locator("#select-compared-2").check()
    search = page.locator("x-search input")
    search.fill("compared-3")
    expect(page.locator("#select-compared-2")).to_have_count(0)
    page.locator("#select-compared-3").check()
    bar = page.locator("#selection")
    expect(bar).to_contain_text("2 selected, 1 of them not shown here")
    page.goto(LIST)
    expect(page.locator("#select-compared-2")).to_be_checked()
    everything = page.get_by_label("Select all that are shown")
    expect(everything).to_have_js_property("indeterminate", True)
    everything.check()
    expect(bar).to_contain_text("9 selected")
    bar.get_by_role("button", name="Clear").click()
    expect(bar).to_be_hidden()
    expect(page.locator("#select-compared-2")).not_to_be_checked()


def test_keys_mean_nothing_outside_of_the_list_or_while_typing(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(LIST)
    page.locator("#select-compared-2").check()
    page.locator("#select-compared-3").check()
    page.get_by_role("link", name="New training job").focus()
    page.keyboard.press("c")
    page.locator("x-search input").focus()
    page.keyboard.press("End")
    page.keyboard.type("cx")
    expect(page.locator("x-search input")).to_have_value("comparedcx")
    assert COMPARE not in page.url


def test_an_axis_is_brushed_and_moved_with_the_pointer(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(ALL)
    expect(kept(page)).to_have_count(9)
    page.locator("x-parallel").scroll_into_view_if_needed()
    box = page.locator(".parallel-axis", has_text="sample_size").locator(".parallel-hit").bounding_box()
    assert box
    x, top, height = box["x"] + box["width"] / 2, box["y"], box["height"]
    page.mouse.move(x, top + 1)
    page.mouse.down()
    page.mouse.move(x, top + height * 0.4, steps=4)
    page.mouse.up()
    expect(page.locator(".parallel-brush")).to_have_count(1)
    expect(page.get_by_role("status").filter(has_text="of 9 runs")).to_be_visible()
    n = kept(page).count()
    assert 0 < n < 9
    expect(page.locator("[data-run]:visible")).to_have_count(n)
    page.get_by_role("button", name="Compare only these").click()
    page.wait_for_url(lambda url: "search" not in url)
    assert len([1 for name, _value in parameters(page) if name == "name"]) == n
    assert "brush" not in dict(parameters(page))

    page.goto(ALL)
    expect(kept(page)).to_have_count(9)
    order = titles(page)
    page.locator("x-parallel").scroll_into_view_if_needed()
    first, last = page.locator(".parallel-title").nth(0), page.locator(".parallel-title").nth(2)
    first.drag_to(last, force=True)
    expect(page.locator(".parallel-title title").nth(2)).to_have_text(order[0])
    assert [value for name, value in parameters(page) if name == "axis"][2] == "hyperparameters.k"


def test_categories_colours_and_hidden_axes_are_kept_in_the_address(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(ALL)
    expect(kept(page)).to_have_count(9)
    axes_opened(page)
    page.get_by_label("index_type: keep faiss.Flat").uncheck()
    page.get_by_label("Duration (s)", exact=True).uncheck()
    page.get_by_label("Colour").select_option("hyperparameters.index_type")
    expect(page.locator(".parallel-swatch")).to_have_count(3)
    expect(kept(page)).to_have_count(6)
    chosen = parameters(page)
    assert ("pick", "faiss.IVFPQ~hyperparameters.index_type") in chosen
    assert ("colour", "hyperparameters.index_type") in chosen
    page.reload()
    expect(kept(page)).to_have_count(6)
    assert "Duration (s)" not in titles(page)
    expect(page.get_by_label("Colour")).to_have_value("hyperparameters.index_type")
    page.get_by_role("button", name="Keep all").click()
    expect(kept(page)).to_have_count(9)


def test_arrow_keys_read_one_run_after_the_other(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(ALL)
    expect(kept(page)).to_have_count(9)
    runs = page.get_by_role("listbox")
    runs.focus()
    page.keyboard.press("ArrowDown")
    readout = page.locator(".parallel-readout")
    expect(readout.get_by_role("link")).to_have_text("compared-9")
    expect(page.locator("#announcer")).to_have_text("compared-9")
    page.keyboard.press("ArrowDown")
    expect(readout.get_by_role("link")).to_have_text("compared-8")
    expect(readout).to_contain_text("test:accuracy")
    assert runs.get_attribute("aria-activedescendant")
    page.keyboard.press("Escape")
    expect(readout).to_contain_text("Point at a line")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{JOBS}compared-9/")


def test_parts_of_the_page_change_in_place_and_say_so_in_the_address(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{COMPARE}?kind=training-jobs&name=compared-1&name=compared-2")
    page.get_by_label("Vertical axis").select_option(label="Duration (s)")
    expect(page.locator("#comparison-scatter .chart-title")).to_have_text("Duration (s) × k")
    assert dict(parameters(page))["y"] == "metrics.duration_s"
    page.get_by_role("button", name="Hold the others against compared-2").click()
    expect(page.get_by_role("columnheader").nth(1)).to_contain_text("compared-2")
    assert dict(parameters(page))["base"] == "compared-2"
    page.get_by_role("group", name="Parameters").get_by_role("button", name="All").click()
    expect(page.get_by_role("rowheader", name="predictor_type")).to_be_visible()
    page.locator("summary", has_text="Add").click()
    page.locator(".menu-panel input[type=search]").fill("compared-7")
    page.get_by_role("button", name="compared-7").click()
    expect(page.get_by_role("columnheader", name=re.compile("^compared-7"))).to_be_visible()
    page.get_by_role("button", name="Take compared-1 out").click()
    expect(page.get_by_role("columnheader", name=re.compile("^compared-1"))).to_have_count(0)
    shown = [value for name, value in parameters(page) if name == "name"]
    assert shown == ["compared-2", "compared-7"]
    page.go_back()
    expect(page.get_by_role("columnheader", name=re.compile("^compared-1"))).to_be_visible()


def test_charts_are_drawn_and_everything_can_be_taken_away_as_a_file(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(ALL)
    page.locator("#comparison-curves").scroll_into_view_if_needed()
    expect(page.locator("#comparison-curves x-chart[data-drawn] .scatterlayer .trace")).to_have_count(9)
    expect(page.locator("#comparison-scatter x-chart[data-drawn]")).to_be_visible()
    for name, filename in {
        "CSV": "comparison-of-9-training-jobs.csv",
        "JSON": "comparison-of-9-training-jobs.json",
    }.items():
        with page.expect_download() as download:
            page.get_by_role("link", name=name, exact=True).click()
        assert download.value.suggested_filename == filename
        content = Path(download.value.path()).read_text(encoding="utf-8-sig")
        assert "compared-9" in content
        assert name != "JSON" or len(json.loads(content)["rows"]) == 9
    with page.expect_download() as download:
        page.locator("x-parallel").get_by_role("button", name="SVG").click()
    assert Path(download.value.path()).read_text(encoding="utf-8").count("<path") > 9


@LANGUAGES_AND_THEMES
def test_nothing_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    def has_chart(path: str) -> bool:
        return path in (ALL, TWO)

    page = signed_in_page
    assert (
        walk(page, (COMPARE, f"{COMPARE}?name=ghost", TWO, ALL), language, theme, has_chart=has_chart) == []
    )
    expect(kept(page)).to_have_count(9)
    page.locator("details:has(.parallel-list) > summary").click()
    assert faults(page) == []
    assert walk(page, (LIST,), language, theme) == []
    page.locator("#select-compared-2").check()
    assert faults(page) == []
