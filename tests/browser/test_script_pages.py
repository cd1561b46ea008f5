"""A script's job in a real browser: begun from an example, edited and run again, followed to the line that failed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from sklearn.datasets import load_diabetes

from tests.browser.walk import faults, overflow
from tests.live import LivePlatform

JOBS = "/projects/default/training-jobs/"
NEW = f"{JOBS}+new/?algorithm=script"
WITHIN_MS = 90_000


@pytest.fixture(scope="module", autouse=True)
def diabetes(platform: LivePlatform) -> None:
    """The dataset `diabetes`, the target in its first column."""
    X, y = load_diabetes(return_X_y=True)
    header = ",".join(["target", *(f"x{n}" for n in range(X.shape[1]))])
    rows = (",".join(f"{value:.6g}" for value in (target, *row)) for row, target in zip(X, y, strict=True))
    text = "\n".join([header, *rows]) + "\n"
    answer = platform.client.upload(
        "projects/default/datasets/", file=text.encode(), filename="d.csv", name="diabetes", label="target"
    )
    assert answer.status == 201, answer.text


def ended(page: Page, status: str) -> None:
    expect(page.locator("#job-status")).to_contain_text(re.compile("Completed|Failed"), timeout=WITHIN_MS)
    expect(page.locator("#job-status")).to_have_text(status)


def to_end_of_code(page: Page) -> None:
    page.locator(".code-ace .ace_content").click(position={"x": 200, "y": 100})
    page.keyboard.press("Control+End")


def test_an_example_is_run_edited_run_again_and_its_fault_is_found(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{NEW}&train=diabetes")
    page.get_by_role("button", name="sklearn").click()
    expect(page.locator(".code-ace .ace_keyword").first).to_be_visible()
    expect(page.locator("#api-call")).to_contain_text("files=@train.py")
    page.fill("#name", "own-1")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(f"**{JOBS}own-1/")
    ended(page, "Completed")
    page.goto(f"{JOBS}own-1/?tab=metrics")
    definitions = page.locator("#metric-definitions tbody tr")
    expect(definitions.nth(0)).to_contain_text("train:rmse")
    expect(definitions.nth(0).locator("td").last).to_have_text("1")
    expect(definitions.nth(1).locator("td").last).to_have_text("0 matches")

    page.get_by_role("link", name="Edit and run again").click()
    expect(page.locator(".code-ace .ace_content")).to_be_visible()
    to_end_of_code(page)
    page.keyboard.type("import nonexistent_module\n")
    expect(page.locator(".code-dirty")).to_be_visible()
    page.keyboard.press("Control+s")
    expect(page.locator("[data-code=state]")).to_have_text("Stored")
    expect(page.locator(".code-dirty")).to_be_hidden()
    page.fill("#name", "own-2")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(f"**{JOBS}own-2/")
    ended(page, "Failed")
    expect(page.get_by_text("cloned from")).to_contain_text("own-1")
    assert faults(page) == []
    page.get_by_role("link", name="Open the code here").click()
    expect(page.locator(".source-line:target")).to_have_text("import nonexistent_module")
    expect(page.locator(".source-line:target")).to_be_in_viewport()

    page.goto("/projects/default/compare/?kind=training-jobs&name=own-2&name=own-1")
    expect(page.locator(".diff-line.is-added code")).to_have_text(["import nonexistent_module"])
    assert faults(page) == []

    page.goto(f"{JOBS}+new/?clone=own-1")
    page.get_by_label("On the log of a job").select_option("own-1")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#metric-matches mark")).to_have_count(1)


def test_files_and_a_folder_are_dropped_and_kept_with_their_paths(
    signed_in_page: Page, tmp_path: Path
) -> None:
    page = signed_in_page
    folder = tmp_path / "project"
    for path, text in {
        "train.py": "import src.net\n",
        "src/net.py": "LAYERS = 2\n",
        ".git/config": "x",
        "src/__pycache__/net.pyc": "x",
    }.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    page.goto(NEW)
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a folder").click()
    chooser.value.set_files(folder)
    files = page.locator(".code-files .code-path")
    expect(files).to_have_text(["src/net.py", "train.py"])
    expect(page.locator("#entry_point")).to_have_value("train.py")
    page.get_by_label("Add files from this machine").set_input_files(
        {"name": "requirements.txt", "mimeType": "text/plain", "buffer": b"numpy\n"}
    )
    expect(files).to_have_text(["requirements.txt", "src/net.py", "train.py"])

    page.get_by_label("New file").fill("inference.py")
    page.get_by_label("New file").press("Enter")
    expect(files).to_have_count(4)
    page.keyboard.type("def model_fn(folder): ...")
    page.get_by_role("button", name="requirements.txt").click()
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(files).to_have_text(["src/net.py", "train.py", "inference.py"])
    page.get_by_role("button", name="Save").click()
    expect(page.locator("[data-code=state]")).to_have_text("Stored")
    expect(page.locator("#api-call")).not_to_contain_text("$SOURCE")


def test_the_editor_is_left_by_the_keyboard_and_has_a_plain_text_box(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(NEW)
    page.get_by_role("button", name="sklearn").click()
    expect(page.locator(".code-ace .ace_content")).to_be_visible()
    page.locator(".code-ace .ace_scroller").focus()
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    page.keyboard.press("Tab")  # an indent, as in every editor
    assert page.evaluate("document.activeElement.matches('.ace_text-input')")
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    assert not page.evaluate("!!document.activeElement.closest('.code-ace')")
    page.get_by_role("button", name="Plain").click()
    box = page.get_by_label("train.py", exact=True)
    expect(box).to_be_visible()
    assert box.input_value().startswith("x   ")
    box.press("Control+End")
    box.type("# plain")
    page.get_by_role("button", name="Plain").click()
    expect(page.locator(".code-ace")).to_contain_text("Ridge")
    assert page.locator("textarea.code-text").first.input_value().endswith("# plain")


def test_the_plain_text_box_is_the_only_one_on_the_next_page_too(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}+new/?clone=own-1")
    expect(page.locator("[data-code=help]")).to_be_visible()
    page.get_by_role("button", name="Plain").click()
    expect(page.locator("[data-code=help]")).to_be_hidden()
    page.reload()
    box = page.get_by_label("train.py", exact=True)
    expect(box).to_be_visible()
    page.wait_for_load_state("networkidle")
    expect(page.locator(".code-ace:visible")).to_have_count(0)
    expect(page.locator("[data-code=help]")).to_be_hidden()


def test_enter_in_a_field_starts_nothing_and_what_is_refused_is_listed(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}+new/?clone=own-1")
    expect(page.locator(".code-ace .ace_content")).to_be_visible()
    address = page.url
    page.get_by_label("Name of the hyperparameter").first.press("Enter")
    page.fill("#name", "never")
    page.locator("#name").press("Enter")
    page.wait_for_timeout(200)
    assert page.url == address
    page.locator("[name='metric.regex']").first.fill("no group")
    page.fill("#max_runtime_s", "0")
    page.get_by_role("button", name="Start training").click()
    listed = page.locator(".form-errors a")
    expect(listed).to_have_count(2)
    expect(page.locator(".form-errors")).to_be_focused()
    expect(page.locator(".form-errors")).to_be_in_viewport()
    expect(listed.last).to_contain_text("has no group")
    listed.last.click()
    expect(page.locator("[name='metric.regex']").first).to_be_focused()
    expect(page.locator("#metric-1-error")).to_be_in_viewport()


def test_the_entry_point_is_taken_away_only_where_that_is_meant(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(NEW)
    page.get_by_role("button", name="ensemble").click()
    expect(page.locator("#entry_point")).to_have_value("train.py")
    option = page.locator("[name='channel_row.dataset']").first.locator("option[value=diabetes]")
    assert option.get_attribute("data-label") == "target"
    page.locator(".code-files").get_by_role("button", name="train.py").click()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#entry_point")).to_have_value("train.py")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.locator("#entry_point")).to_have_value("")


def test_a_line_has_an_address_in_the_editor(signed_in_page: Page) -> None:
    page = signed_in_page
    page.goto(f"{JOBS}+new/?clone=own-1#train.py:L21")
    expect(page.locator(".code-ace .ace_gutter-active-line")).to_have_text("21")
    page.locator(".code-ace .ace_gutter-cell", has_text="23").first.click()
    assert page.url.endswith("#train.py:L23")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_fit_a_narrow_window_and_have_no_faults(signed_in_page: Page, theme: str) -> None:
    page = signed_in_page
    page.set_viewport_size({"width": 320, "height": 800})
    page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    for address in (
        NEW,
        f"{JOBS}+new/?clone=own-1",
        f"{JOBS}own-2/",
        f"{JOBS}own-1/?tab=code",
        f"{JOBS}own-1/?tab=metrics",
    ):
        page.goto(address)
        if "clone" in address:
            expect(page.locator(".code-ace .ace_keyword").first).to_be_visible()
        assert faults(page) == []
        assert overflow(page) <= 0
