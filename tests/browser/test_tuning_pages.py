"""A whole tuning job in a real browser, from the form to the endpoint of the best; its pages as a reviewer looks."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_job_pages import prepare
from tests.browser.walk import LANGUAGES_AND_THEMES, walk
from tests.live import LivePlatform

HOME = "/projects/default/"
TUNING = f"{HOME}tuning-jobs/"
TUNED = f"{TUNING}tuned/"
PATHS = [
    TUNING,
    f"{TUNING}?search=nothing",
    f"{TUNING}+new/?sample=1",
    f"{TUNING}+new/?clone=tuned",
    TUNED,
    f"{TUNED}?tab=trials",
    f"{TUNED}?tab=charts",
    f"{TUNED}?tab=api",
    f"{TUNED}delete/",
    f"{TUNING}no-metric/",
]
WITHIN_MS = 240_000


@pytest.fixture(scope="module", autouse=True)
def rows(platform: LivePlatform) -> None:
    prepare(platform, "tuning_jobs()")


def test_from_the_form_to_the_endpoint_of_the_best(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{TUNING}+new/?sample=1")
    expect(page.locator(".grid-size")).to_have_text("4 training jobs, 2 at a time")
    page.get_by_label("Name", exact=True).fill("walk")
    row = page.locator(".parameter-row").first
    row.get_by_label("from").fill("０.5")
    page.get_by_role("button", name="Start tuning").click()
    expect(row).to_contain_text("0.3")
    expect(row.locator(".error")).to_be_visible()
    row.get_by_label("from").fill("0.2")
    page.get_by_role("button", name="Add a hyperparameter").click()
    last = page.locator(".parameter-row").last
    last.get_by_label("Hyperparameter", exact=True).fill("subsample")
    last.get_by_label("Hyperparameter", exact=True).blur()
    expect(last.get_by_label("to", exact=True)).to_have_value("1")
    expect(page.locator("#s-size + .card-body, [aria-labelledby=s-size]").first).to_contain_text("subsample")
    page.get_by_role("button", name="Start tuning").dblclick()
    page.wait_for_url(f"**{TUNING}walk/")
    page.evaluate("window.stays = true")

    expect(page.locator("#tuning-state")).to_contain_text("4 of 4 trials", timeout=WITHIN_MS)
    expect(page.locator("#tuning-status")).to_have_text("Completed", timeout=WITHIN_MS)
    expect(page.locator("#best-trial")).to_contain_text("in trial")
    page.get_by_role("link", name="Trials").click()
    expect(page.locator(".trials-table tbody tr")).to_have_count(4)
    expect(page.locator(".trials-table .steps-line")).to_have_count(4)
    expect(page.locator(".is-best")).to_have_count(1)

    page.get_by_role("link", name="Charts").click()
    expect(page.locator("x-chart[name=history][data-drawn]")).to_be_visible()
    page.locator("select[name=x]").select_option("subsample")
    expect(page).to_have_url(re.compile("x=subsample"))
    expect(page.locator("x-parallel .parallel-lines")).to_be_visible()

    page.get_by_role("link", name="Deploy the best").click()
    page.get_by_label("Name of the endpoint").fill("best-of-walk")
    page.locator("#dialog").get_by_role("button", name="Deploy").click()
    page.wait_for_url(f"**{HOME}endpoints/best-of-walk/")


def test_what_is_chosen_stands_in_the_address(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{TUNED}?tab=charts&x=booster&y=eta")
    expect(page.locator("select[name=x]")).to_have_value("booster")
    page.locator("x-parallel select").first.select_option("eta")
    expect(page).to_have_url(re.compile("colour=eta"))
    page.locator("select[name=y]").select_option("max_depth")
    expect(page).to_have_url(re.compile("y=max_depth"))
    expect(page).to_have_url(re.compile("colour=eta"))
    page.reload()
    expect(page.locator("select[name=y]")).to_have_value("max_depth")
    expect(page.locator("x-parallel select").first).to_have_value("eta")


@LANGUAGES_AND_THEMES
def test_no_page_of_tuning_jobs_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    def has_chart(path: str) -> bool:
        return "tab=charts" in path or path == TUNED

    assert walk(signed_in_page, PATHS, language, theme, has_chart=has_chart) == []
