"""The whole street as a person walks it: a file, a split, a job, its log, an endpoint, predictions; and its pages as a
reviewer looks at them.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sklearn.datasets import load_iris

from tests.browser.walk import LANGUAGES_AND_THEMES, faults, walk

HOME = "/projects/default/"
JOB = f"{HOME}training-jobs/iris-knn/"
ENDPOINT = f"{HOME}endpoints/iris-knn/"
PATHS = [
    f"{HOME}training-jobs/",
    f"{HOME}training-jobs/?search=nothing",
    f"{HOME}training-jobs/+new/?train=iris-train&test=iris-test",
    JOB,
    f"{JOB}?tab=metrics",
    f"{JOB}?tab=logs",
    f"{JOB}?tab=events",
    f"{JOB}?tab=api",
    f"{JOB}delete/",
    f"{HOME}models/",
    f"{HOME}models/+new/?job=iris-knn",
    f"{HOME}training-jobs/iris-knn/deploy/",
    f"{HOME}models/iris-knn/",
    f"{HOME}endpoints/",
    f"{HOME}endpoints/+new/?model=iris-knn",
    ENDPOINT,
    f"{ENDPOINT}?tab=try",
    f"{ENDPOINT}?tab=logs",
    f"{ENDPOINT}?tab=api",
    f"{ENDPOINT}edit/",
    f"{ENDPOINT}table/",
    f"{ENDPOINT}delete/",
]


@pytest.fixture
def iris_csv(tmp_path: Path) -> Path:
    """Fisher's Iris with a header and text labels."""
    iris = load_iris()
    path = tmp_path / "street.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["sepal_length", "sepal_width", "petal_length", "petal_width", "species"])
        for features, label in zip(iris.data.tolist(), iris.target, strict=True):
            writer.writerow([*features, iris.target_names[label]])
    return path


def test_from_a_file_to_predictions(signed_in_page: Page, iris_csv: Path) -> None:
    page = signed_in_page
    page.set_default_timeout(30_000)

    page.goto(f"{HOME}datasets/+new/")
    page.set_input_files("input[type=file]", iris_csv)
    page.get_by_label("Label column").fill("species")
    page.get_by_role("button", name="Upload", exact=True).click()
    page.wait_for_url(f"**{HOME}datasets/street/")
    page.get_by_role("link", name="Split").first.click()
    page.get_by_role("button", name="Split").click()
    page.wait_for_url(re.compile(r"/datasets/street(-train)?/"))

    page.goto(f"{HOME}datasets/street-train/")
    page.get_by_role("link", name="Train on this").click()
    expect(page.locator("#hp-sample_size")).to_have_value("112")
    page.get_by_label("Name", exact=True).fill("street")
    page.locator("#hp-k").fill("１")  # full-width, as a Japanese keyboard types it
    page.locator("#channel-test").select_option("street-test")
    page.get_by_role("button", name="Start training").dblclick()
    page.wait_for_url(f"**{HOME}training-jobs/street/")

    page.get_by_role("link", name="Log", exact=True).click()
    expect(page.locator("#job-status")).to_have_text("Completed", timeout=30_000)
    expect(page.locator(".log-text", has_text="#quality_metric: host=algo-1, test accuracy")).to_contain_text(
        "<score>=0.9736842105263158"
    )
    expect(page.locator(".log-line").last).to_be_in_viewport()
    page.get_by_role("link", name="Overview").click()
    expect(page.locator("#job-tab")).to_contain_text("0.9737")
    page.goto(f"{HOME}training-jobs/?search=street")
    expect(page.locator("tbody tr")).to_have_count(1)  # the second click made no second job

    page.goto(f"{HOME}training-jobs/street/")
    page.get_by_role("link", name="Deploy").click()
    expect(page.get_by_label("Name of the endpoint")).to_have_value("street")
    page.locator("#dialog").get_by_role("button", name="Deploy").click()
    page.wait_for_url(f"**{HOME}endpoints/street/")
    expect(page.locator("#endpoint-status")).to_have_text("InService", timeout=30_000)

    page.get_by_role("link", name="Try it").click()
    expect(page.get_by_label("Body")).to_have_value(re.compile(r"^[\d.]+,[\d.]+,[\d.]+,[\d.]+$"))
    page.get_by_label("Body").fill("5.1,3.5,1.4,0.2")
    page.get_by_label("Accept").select_option("application/json; verbose=true")
    page.get_by_role("button", name="Invoke").click()
    expect(page.locator("#answer tbody tr")).to_contain_text("setosa")
    expect(page.locator("#answer .neighbours li")).to_have_count(1)
    page.get_by_label("Body").fill("5.1,3.5,1.4,0.2\n5.1,wide,1.4,0.2")
    page.get_by_role("button", name="Invoke").click()
    expect(page.locator("#answer [role=alert]")).to_contain_text("'wide' is not a number")
    expect(page.locator("#answer [role=alert]")).to_contain_text("sepal_width")

    page.get_by_role("link", name="Predict a dataset").click()
    page.get_by_label("Dataset").select_option("street-test")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".tiles")).to_contain_text("37 / 38", timeout=30_000)
    expect(page.locator(".tiles")).to_contain_text("0.9737")
    expect(page.locator(".confusion td.right")).to_have_text(["13", "15", "9"])
    page.get_by_role("link", name="Only wrong").click()
    expect(page.locator("tr.is-wrong")).to_have_count(1)
    assert faults(page) == []


def test_a_second_variant_gets_its_share_and_the_endpoint_answers_throughout(signed_in_page: Page) -> None:
    page = signed_in_page
    page.set_default_timeout(30_000)
    page.goto(f"{HOME}endpoints/+new/?model=iris-knn")
    page.get_by_label("Name", exact=True).fill("shared")
    page.get_by_role("button", name="Add a variant").click()
    page.locator("[name='variant.name']").last.fill("Other")
    page.locator("[name='variant.model']").last.select_option("iris-knn")
    page.locator("[name='variant.weight']").last.fill("３")
    expect(page.locator("details code")).to_contain_text('"weight": 1')
    page.get_by_role("button", name="Create endpoint").click()
    page.wait_for_url(f"**{HOME}endpoints/shared/")
    expect(page.locator("#endpoint-status")).to_have_text("InService", timeout=30_000)
    rows = page.locator("#endpoint-variants tbody tr")
    expect(rows.nth(0)).to_contain_text("25 %")
    expect(rows.nth(1)).to_contain_text("75 %")
    page.get_by_label("Weight of Other").fill("1")
    page.get_by_role("button", name="Apply weights and counts").click()
    expect(page.get_by_text("Weights and counts are changed.")).to_be_visible()
    expect(rows.nth(1)).to_contain_text("50 %")
    page.get_by_label("Weight of Other").fill("much")
    page.get_by_role("button", name="Apply weights and counts").click()
    expect(page.locator("#messages")).to_contain_text("'much' is not a number")


def test_a_conversion_in_an_input_method_does_not_send_the_form(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{HOME}endpoints/+new/")  # Enter sends this form; that of a job is too long for it
    goes_on = page.evaluate(
        """() => { const keys = {key: "Enter", bubbles: true, cancelable: true};
        const name = document.getElementById("name");
        const press = (more) => name.dispatchEvent(new KeyboardEvent("keydown", {...keys, ...more}));
        return {converting: press({isComposing: true}), done: press({})}; }"""
    )
    assert goes_on == {"converting": False, "done": True}


@LANGUAGES_AND_THEMES
def test_no_page_of_the_street_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    def has_chart(path: str) -> bool:
        return path == ENDPOINT or path.endswith("tab=metrics")

    assert walk(signed_in_page, PATHS, language, theme, has_chart=has_chart) == []
