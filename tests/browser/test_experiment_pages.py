"""A whole experiment in a real browser, from the form to the endpoint of the winner; its pages as a reviewer looks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.test_job_pages import prepare
from tests.browser.walk import LANGUAGES_AND_THEMES, faults, walk
from tests.live import LivePlatform

HOME = "/projects/default/"
EXPERIMENTS = f"{HOME}experiments/"
GRID = f"{EXPERIMENTS}grid/"
FINISHED = f"{EXPERIMENTS}finished/"
PATHS = [
    EXPERIMENTS,
    f"{EXPERIMENTS}?search=nothing",
    f"{EXPERIMENTS}+new/?preset=knn-small",
    f"{EXPERIMENTS}+new/?clone=finished",
    FINISHED,
    f"{FINISHED}?tab=quality",
    f"{FINISHED}?tab=quality&metric=all",
    f"{FINISHED}?tab=latency",
    f"{FINISHED}?tab=tradeoff",
    f"{FINISHED}?tab=api",
    f"{FINISHED}delete/",
]
WITHIN_MS = 240_000


@pytest.fixture(scope="module", autouse=True)
def finished(platform: LivePlatform) -> None:
    prepare(platform, "finished_experiment()")


def drawn(page: Page) -> None:
    expect(page.locator("x-chart[data-drawn]").first).to_be_visible(timeout=30_000)


def test_a_wrong_value_is_said_where_it_is_and_the_rest_is_kept(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{EXPERIMENTS}+new/?preset=knn-small")
    expect(page.locator("#train")).to_have_value("iris-train")
    page.get_by_label("Sample sizes").fill("５０, 1000")
    page.get_by_role("button", name="Add a configuration").click()
    page.locator("[name='configuration.name']").last.fill("IVF")
    page.locator("[name='configuration.index_type']").last.select_option("faiss.IVFFlat")
    page.locator("[name='configuration.more']").last.fill("faiss_index_ivf_nlists")
    expect(page.locator(".grid-size")).to_have_text("8 cells: 8 training jobs, 8 endpoints, 8 evaluations")
    page.get_by_role("button", name="Start the experiment").click()
    expect(page.locator(".configuration-row").last).to_contain_text("is not of the form name=value")
    expect(page.locator("#sample_sizes-error")).to_contain_text("exceeds the 112 rows")
    page.locator("[name='configuration.more']").last.fill("faiss_index_ivf_nlists=4")
    page.get_by_role("button", name="Start the experiment").click()
    expect(page.locator(".configuration-row").last).not_to_contain_text("is not of the form")
    expect(page.locator("#sample_sizes-error")).to_contain_text("exceeds the 112 rows")
    expect(page.get_by_label("Sample sizes")).to_be_focused()
    expect(page.get_by_label("Sample sizes")).to_have_value("50, 1000")
    expect(page.locator("[name='configuration.more']").last).to_have_value("faiss_index_ivf_nlists=4")
    assert faults(page) == []


def test_from_the_form_to_the_finished_page_and_the_endpoint_of_the_winner(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{EXPERIMENTS}+new/")
    page.get_by_label("Name", exact=True).fill("grid")
    page.locator("input[name=preset][value=knn-small]").check()
    expect(page.locator(".grid-size")).to_contain_text("3 cells")
    expect(page.get_by_label("Name", exact=True)).to_have_value("grid")
    page.locator("#train").select_option("iris-train")
    expect(page.locator("#test")).to_have_value("iris-test")
    page.get_by_role("button", name="Start the experiment").dblclick()
    page.wait_for_url(f"**{GRID}")
    page.evaluate("window.stays = true")

    first = page.locator("#experiment-cells tbody tr").first
    expect(first).to_contain_text("Completed", timeout=WITHIN_MS)
    first.get_by_role("link", name="evaluation").focus()
    expect(page.locator("#experiment-state")).to_contain_text("2 of 3 cells", timeout=WITHIN_MS)
    expect(first.get_by_role("link", name="evaluation")).to_be_focused()
    expect(page.locator("#experiment-status")).to_have_text("Completed", timeout=WITHIN_MS)
    expect(page.locator("#experiment-cells tbody")).not_to_contain_text("deleted")
    expect(page.locator(".tile-value").first).to_have_text("0.9737")
    expect(page.get_by_role("link", name="Compare", exact=True).last).to_be_visible()
    assert page.evaluate("window.stays")

    page.get_by_role("link", name="Accuracy by k").click()
    drawn(page)
    expect(page.locator("x-chart .scatterlayer .trace")).to_have_count(
        9
    )  # band, line and star of three cells
    expect(page.locator("#accuracy-box tbody tr")).to_have_count(12)
    page.get_by_role("link", name="All", exact=True).click()
    expect(page.locator("x-chart")).to_have_count(4)

    page.get_by_role("link", name="Trade-off").click()
    expect(page.locator(".verdict-text")).to_contain_text("on local.cpu")
    page.get_by_role("link", name="Deploy this one").click()
    expect(page.get_by_label("Name of the endpoint")).to_have_value(re.compile("^grid-"))
    expect(page.locator("#dialog select[name='variant.instance_type']")).to_have_value("local.cpu")
    page.get_by_label("Name of the endpoint").fill("winner")
    page.locator("#dialog").get_by_role("button", name="Deploy").click()
    page.wait_for_url(f"**{HOME}endpoints/winner/")

    page.goto(f"{GRID}delete/")
    expect(page.locator(".confirm")).to_contain_text("3 evaluations")
    expect(page.locator(".confirm")).to_contain_text("because an endpoint serves it")


def test_the_limits_are_moved_by_keyboard_and_the_address_keeps_them(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{FINISHED}?tab=tradeoff")
    drawn(page)
    page.evaluate("window.stays = true; document.querySelector('x-chart').stays = true")
    slider = page.get_by_role("slider", name="Accuracy at least")
    number = page.get_by_role("spinbutton", name="Accuracy at least")
    slider.focus()
    page.keyboard.press("Home")
    lowest = number.input_value()
    page.keyboard.press("ArrowRight")
    expect(number).not_to_have_value(lowest)
    expect(page).to_have_url(re.compile(rf"quality={re.escape(number.input_value())}&"))
    expect(page.locator(".verdict-text")).to_contain_text(f"at least {number.input_value()} within")
    expect(slider).to_be_focused()

    page.get_by_role("slider", name="Latency at most").focus()
    page.keyboard.press("Home")
    latency = page.get_by_role("spinbutton", name="Latency at most")
    expect(page).to_have_url(re.compile(f"latency={re.escape(latency.input_value())}$"))
    number.fill("0.999")
    expect(page.locator(".verdict-text")).to_contain_text("No cell has accuracy of at least 0.999")
    expect(page.locator(".verdict-text")).to_contain_text("The nearest is")
    assert page.evaluate("window.stays && document.querySelector('x-chart').stays")
    shapes = page.evaluate("document.querySelector('x-chart').plot.layout.shapes.length")
    assert shapes == 3

    page.reload()
    expect(number).to_have_value("0.999")
    expect(page.locator(".verdict-text")).to_contain_text("No cell has accuracy of at least 0.999")


def test_without_scripts_limits_and_form_work_too(
    browser: Browser, signed_in_page: Page, platform: LivePlatform
) -> None:
    state = signed_in_page.context.storage_state()
    context = browser.new_context(
        base_url=platform.base_url, locale="en-GB", java_script_enabled=False, storage_state=state
    )
    page = context.new_page()
    page.goto(f"{FINISHED}?tab=tradeoff")
    expect(page.get_by_role("slider")).to_have_count(0)
    page.locator("#limit-quality").fill("0.999")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".verdict-text")).to_contain_text("No cell has accuracy of at least 0.999")
    page.goto(f"{EXPERIMENTS}+new/")
    page.locator("input[name=preset][value=knn-small]").check(force=True)
    page.get_by_role("button", name="Fill in the form").click()
    expect(page.locator(".grid-size")).to_contain_text("3 cells")
    expect(page.locator(".configuration-row")).to_have_count(5)
    context.close()


@LANGUAGES_AND_THEMES
def test_no_page_of_experiments_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    def has_chart(path: str) -> bool:
        return "quality" in path or "tradeoff" in path

    assert walk(signed_in_page, PATHS, language, theme, has_chart=has_chart) == []
