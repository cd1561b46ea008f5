"""The log viewer and the page of a running job in a real browser."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser import prepared
from tests.browser.walk import faults
from tests.live import LivePlatform

JOBS = "/projects/default/training-jobs/"


@pytest.fixture(scope="module")
def jobs(platform: LivePlatform) -> None:
    prepare(platform, "long_log()", "failed()")


def prepare(platform: LivePlatform, *calls: str) -> None:
    platform.manage("shell", "-c", "\n".join(["from tests.browser.prepared import *", *calls]))


def top_line(page: Page) -> int:
    """The number of the line at the upper edge of the viewer."""
    found = page.evaluate(
        """() => { const box = document.querySelector("[data-log=scroller]").getBoundingClientRect();
        return Number(document.elementFromPoint(box.x + 20, box.y + 12).closest(".log-line")?.dataset.n ?? 0); }"""
    )
    return int(found)


def scroll_to(page: Page, share: float) -> None:
    page.locator("[data-log=scroller]").evaluate(
        "(box, share) => { box.scrollTop = box.scrollHeight * share; }", share
    )


def line_numbers(page: Page) -> list[int]:
    found = page.locator(".log-line").evaluate_all("rows => rows.map(row => Number(row.dataset.n))")
    return [int(n) for n in found]


@pytest.mark.usefixtures("jobs")
def test_a_log_of_200_000_lines_opens_at_its_end_and_is_scrolled_from_end_to_end(
    signed_in_page: Page,
) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs")
    expect(page.locator(f"[data-n='{prepared.LONG_LOG_LINES}']")).to_be_visible()
    for share, near in ((0.5, 100_000), (0.0, 1), (0.25, 50_000)):
        scroll_to(page, share)
        expect(page.locator(f"[data-n='{near}']")).to_be_attached()
        assert abs(top_line(page) - near) < 60
    assert page.locator(".log-line").count() <= 3000
    numbers = line_numbers(page)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))


@pytest.mark.usefixtures("jobs")
def test_scrolling_on_brings_the_lines_that_follow_without_a_jump(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs#L100000")
    expect(page.locator(".is-marked")).to_have_count(1)
    before = top_line(page)
    for _ in range(4):
        page.locator("[data-log=scroller]").evaluate("box => { box.scrollTop -= 2000; }")
        expect(page.locator(f"[data-n='{before - 100}']")).to_be_attached()
        assert abs(top_line(page) - (before - 100)) <= 2  # 2,000 pixels are some 100 lines
        before = top_line(page)


@pytest.mark.usefixtures("jobs")
def test_a_permalink_marks_its_lines_and_a_click_makes_one(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs#L120-L140")
    expect(page.locator(".is-marked")).to_have_count(21)
    expect(page.locator("[data-n='120']")).to_be_in_viewport()
    page.locator("[data-n='125'] .log-number").click()
    assert page.url.endswith("#L125")
    page.locator("[data-n='128'] .log-number").click(modifiers=["Shift"])
    assert page.url.endswith("#L125-L128")
    expect(page.locator(".is-marked")).to_have_count(4)


@pytest.mark.usefixtures("jobs")
def test_find_lists_the_lines_and_leads_to_them(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs")
    find = page.get_by_label("Find in the log")
    find.fill("line 77777 LOSS")
    find.press("Enter")
    expect(page.locator(".log-found-note")).to_have_text("1 line matches:")
    page.locator(".log-found").click()
    expect(page.locator(".is-marked")).to_have_attribute("data-n", "77777")
    page.get_by_label("Regular expression (RE2)").click()
    find.fill(r"^line 19999\d ")
    find.press("Enter")
    expect(page.locator(".log-found")).to_have_count(10)
    find.fill("(")
    find.press("Enter")
    expect(page.locator(".log-found-note")).to_contain_text("not an RE2 regular expression")


@pytest.mark.usefixtures("jobs")
def test_the_first_error_is_found_and_shown_in_its_colours(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs")
    page.get_by_role("button", name="First error").click()
    line = page.locator(f"[data-n='{prepared.ERROR_LINE}']")
    expect(line).to_be_in_viewport()
    expect(line.locator(".log-text")).to_have_text("ValueError: bad row")
    expect(line.locator(".ansi-fg-1.ansi-bold")).to_have_text("ValueError")


@pytest.mark.usefixtures("jobs")
def test_times_wrap_and_overwritten_text(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}long-log/?tab=logs#L5")
    expect(page.locator("[data-n='5'] .log-text")).to_have_text("100% done")
    times = page.locator("[data-log=times]")
    times.click()
    expect(times).to_have_text("Local time")
    times.click()
    expect(times).to_have_text("UTC")
    expect(page.locator("[data-n='5'] .log-time-utc")).to_have_text("14:13:20.125")
    expect(page.locator("[data-n='5'] .log-time-local")).to_be_hidden()
    page.get_by_role("button", name="Wrap").click()
    expect(page.locator("x-log")).to_have_class("is-ended has-wrap")


@pytest.mark.usefixtures("jobs")
def test_the_failure_card_leads_to_its_lines_in_the_log(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}failed/")
    card = page.locator(".failure")
    expect(card).to_contain_text("The data cannot be used")
    expect(card).to_contain_text("n/a")
    expect(card.locator("code").last).to_have_text("DataError: row 17")
    assert faults(page) == []
    card.get_by_role("link", name="Open the log here").click()
    expect(page.locator(".is-marked")).to_have_count(2)
    expect(page.locator("[data-n='299']")).to_be_in_viewport()
    assert faults(page) == []


def test_a_running_job_is_followed_to_its_end_without_a_reload(
    signed_in_page: Page, platform: LivePlatform
) -> None:
    page = signed_in_page
    prepare(platform, "running()")
    page.goto(f"{JOBS}running/?tab=logs")
    page.evaluate("window.stays = true")
    expect(page.locator("[data-n='100']")).to_be_in_viewport()
    expect(page.locator("#job-state progress")).to_be_visible()

    page.locator("[data-log=scroller]").hover()
    page.mouse.wheel(0, -300)
    follow = page.locator("[data-log=follow]")
    expect(follow).to_have_attribute("aria-pressed", "false")
    prepare(platform, "running_prints(40)")
    expect(page.locator("[data-log=missed]")).to_have_text("40 new lines")
    expect(page.locator("[data-n='140']")).not_to_be_in_viewport()

    page.keyboard.press("f")
    expect(follow).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-n='140']")).to_be_in_viewport()
    expect(page.locator("[data-log=missed]")).to_be_hidden()

    page.get_by_label("Find in the log").focus()
    page.keyboard.press("f")  # typed, and no command
    expect(follow).to_have_attribute("aria-pressed", "true")

    prepare(platform, "running_prints(10)", "running_ends()")
    expect(page.locator("[data-n='150']")).to_be_in_viewport()
    expect(page.locator("#job-status")).to_have_text("Completed")
    expect(page.get_by_role("link", name="Deploy")).to_be_visible()
    assert page.evaluate("window.stays")
    assert line_numbers(page) == list(range(1, 151))


def test_a_log_goes_on_after_a_lost_connection(signed_in_page: Page, platform: LivePlatform) -> None:
    page = signed_in_page
    prepare(platform, "TrainingJob.objects.filter(name='running').delete()", "running()")
    page.route("**/log/stream/**", lambda route: route.fulfill(status=503, body="away"))
    page.goto(f"{JOBS}running/?tab=logs")
    expect(page.get_by_text("Connection lost, reconnecting…")).to_be_visible()
    prepare(platform, "running_prints(25)")
    page.unroute("**/log/stream/**")
    expect(page.locator("[data-n='125']")).to_be_in_viewport()
    expect(page.get_by_text("Connection lost, reconnecting…")).to_be_hidden()
    assert line_numbers(page) == list(range(1, 126))
    prepare(platform, "running_ends()")


def test_the_chart_of_a_metric_appears_and_grows_while_the_job_runs(
    signed_in_page: Page, platform: LivePlatform
) -> None:
    page = signed_in_page
    prepare(platform, "TrainingJob.objects.filter(name='running').delete()", "running()")
    page.goto(f"{JOBS}running/?tab=metrics")
    points = page.locator("x-chart[data-drawn] .scatterlayer .point")
    expect(points).to_have_count(1)
    prepare(platform, "running_prints(5)", "running_prints(5)")
    expect(points).to_have_count(3)
    expect(page.locator("#metrics-1")).to_contain_text("3")
    prepare(platform, "running_ends()")
