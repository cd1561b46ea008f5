"""An endpoint is evaluated, its result read, one wrong answer explained by its neighbours: as a person does it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.walk import LANGUAGES_AND_THEMES, faults, walk
from tests.live import LivePlatform
from tests.polling import wait_until

HOME = "/projects/default/"
ENDPOINT = f"{HOME}endpoints/iris-k9/"
EVALUATION = f"{HOME}evaluations/measured/"
ROW = f"{ENDPOINT}neighbours/?dataset=iris-test&row=38&k=4"
PATHS = [
    f"{HOME}evaluations/",
    f"{HOME}evaluations/?search=nothing",
    f"{HOME}evaluations/+new/?endpoint=iris-k9",
    EVALUATION,
    f"{EVALUATION}?metric=f1_macro&scale=log&k=2&ks=all",
    f"{EVALUATION}?tab=rows",
    f"{EVALUATION}?tab=api",
    f"{EVALUATION}delete/",
    f"{ENDPOINT}neighbours/",
    ROW,
    f"{ENDPOINT}neighbours/?values=1,2,3",
]


@pytest.fixture(scope="module", autouse=True)
def measured(platform: LivePlatform) -> None:
    """Iris with k = 9 behind an endpoint, and an evaluation of it that is done."""
    post, project = platform.client.post, "projects/default"
    values = {"k": 9, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112}
    job = {
        "name": "iris-k9",
        "algorithm": "knn",
        "hyperparameters": values,
        "channels": {"train": {"dataset": "iris-train"}},
    }
    assert post(f"{project}/training-jobs/", job).status == 201
    _until(platform, "training-jobs/iris-k9", "Completed")
    post(f"{project}/models/", {"name": "iris-k9", "training_job": "iris-k9"})
    post(f"{project}/endpoints/", {"name": "iris-k9", "variants": [{"model": "iris-k9"}]})
    _until(platform, "endpoints/iris-k9", "InService")
    asked = {"name": "measured", "endpoint": "iris-k9", "dataset": "iris-test", "single_requests": 50}
    assert post(f"{project}/evaluations/", asked).status == 201
    _until(platform, "evaluations/measured", "Completed")


def _until(platform: LivePlatform, path: str, status: str) -> None:
    def reached() -> bool:
        return bool(platform.client.get(f"projects/default/{path}/").json["status"] == status)

    wait_until(reached, timeout_s=60, every_s=0.2, what=f"{path} is {status}")


def test_from_an_endpoint_to_the_reason_of_its_one_mistake(signed_in_page: Page) -> None:
    page = signed_in_page
    page.set_default_timeout(30_000)
    page.goto(ENDPOINT)
    page.get_by_role("link", name="Evaluate", exact=True).click()
    expect(page.get_by_label("Endpoint", exact=True)).to_have_value("iris-k9")
    expect(page.get_by_label("Largest k")).to_have_attribute("placeholder", "9")
    page.get_by_label("Name").fill("by-hand")
    page.get_by_label("Dataset").select_option("iris-test")
    page.get_by_label("Largest k").fill("10")
    page.get_by_label("Batches").fill("５")
    expect(page.locator("aside code")).to_contain_text('"batches": 5')
    page.get_by_role("button", name="Start the evaluation").click()
    expect(page.locator("#k_max-error")).to_contain_text("use 1 to 9")
    page.get_by_label("Largest k").fill("")
    page.get_by_label("Single requests").fill("300")
    page.get_by_role("button", name="Start the evaluation").dblclick()
    page.wait_for_url(f"**{HOME}evaluations/by-hand/")
    expect(page.locator("#evaluation-status")).to_have_text("Completed", timeout=60_000)
    expect(page.locator(".tiles")).to_contain_text("0.9737")
    expect(page.locator("#scores tbody tr")).to_have_count(9)
    page.goto(f"{HOME}evaluations/?search=by-hand")
    expect(page.locator("tbody tr")).to_have_count(1)  # the second click made no second one

    page.goto(f"{HOME}evaluations/by-hand/")
    chart = page.locator("x-chart[name='scores-by-k'][data-drawn]")
    expect(chart).to_be_visible()
    expect(chart.locator(".legendtext")).to_have_text(
        ["Accuracy", "F1 (weighted)", "F1 (macro)", "F1 (micro)"]
    )
    page.get_by_role("link", name="F1 (macro)").click()
    expect(page).to_have_url(re.compile("metric=f1_macro"))
    expect(page.locator("x-chart[name='scores-by-k'][data-drawn] .ytitle")).to_have_text("F1 (macro)")
    chart.get_by_role("button", name="Show as table").click()
    expect(chart.locator("tbody tr")).to_have_count(9)
    for kind in ("CSV", "JSON"):
        with page.expect_download() as download:
            page.locator("#scores").get_by_role("link", name=kind).click()
        assert download.value.suggested_filename == f"by-hand-accuracy.{kind.lower()}"

    page.locator(".confusion a[title^='versicolor predicted as virginica']").click()
    expect(page.locator("tr.is-wrong")).to_have_count(1)
    page.get_by_role("link", name="Neighbours of row 38").click()
    expect(page.locator(".tiles")).to_contain_text("versicolor")
    expect(page.locator(".tiles")).to_contain_text("wrong")
    rows = page.locator(".neighbours-table tbody tr:not(.is-query)")
    expect(rows).to_have_count(9)
    assert faults(page) == []


def test_how_an_answer_changes_with_k_is_seen_without_leaving_the_page(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(ROW)
    rows = page.locator(".neighbours-table tbody tr:not(.is-query)")
    expect(rows).to_have_count(4)
    page.evaluate("window.stays = true")
    number = page.get_by_role("spinbutton", name="Neighbours, k")
    page.get_by_role("slider").press("ArrowRight")
    expect(number).to_have_value("5")
    expect(rows).to_have_count(5)
    expect(page).to_have_url(re.compile("k=5"))
    number.fill("2")
    number.press("Enter")
    expect(rows).to_have_count(2)
    expect(page.get_by_role("slider")).to_have_value("2")
    expect(page.locator(".tiles")).to_contain_text("Answer with k = 2")
    expect(page.locator("x-chart[name='votes-by-k'][data-drawn] .bars path").first).to_be_visible()
    assert page.evaluate("window.stays")
    page.get_by_role("link", name="Previous row").click()
    expect(page.get_by_label("Row number")).to_have_value("37")
    expect(page).to_have_url(re.compile("k=2"))
    rows.first.get_by_role("link").click()  # its own neighbours
    expect(page.get_by_label("Dataset", exact=True)).to_have_value("iris-train@1")
    expect(rows.first.locator("td").first).to_have_text("0")
    page.get_by_label("Features, without the label").fill("5.1\t3.5\t1.4\t0.2")
    page.get_by_role("button", name="Find neighbours").last.click()
    expect(page.locator(".tiles")).to_contain_text("setosa")


def test_a_page_that_is_open_while_it_runs_follows_and_stops_on_demand(
    signed_in_page: Page, platform: LivePlatform
) -> None:
    page = signed_in_page
    asked = {"name": "long", "endpoint": "iris-k9", "dataset": "iris-test", "single_requests": 100_000}
    assert platform.client.post("projects/default/evaluations/", asked).status == 201
    page.goto(f"{HOME}evaluations/long/")
    expect(page.locator(".stages")).to_contain_text("/ 100,000", timeout=30_000)
    expect(page.locator("#evaluation-state")).to_contain_text("left")
    assert faults(page) == []
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#evaluation-status")).to_have_text("Stopped", timeout=30_000)
    expect(page.locator("#evaluation-state")).to_contain_text("Run it again")
    page.get_by_role("link", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    page.wait_for_url(f"**{HOME}evaluations/")
    expect(page.locator("#messages")).to_contain_text("long")


@LANGUAGES_AND_THEMES
def test_no_page_of_evaluations_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    has_chart = (EVALUATION, ROW).__contains__
    assert walk(signed_in_page, PATHS, language, theme, has_chart=has_chart) == []
