"""Datasets and the frame of every page in a real browser: upload, charts, dialogs, languages, themes, input methods."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.walk import LANGUAGES_AND_THEMES, choose, walk
from tests.live import LivePlatform

HOME = "/projects/default/"
DATASETS = f"{HOME}datasets/"
PATHS = [
    HOME,
    DATASETS,
    f"{DATASETS}+new/",
    f"{DATASETS}+new/?from=uri",
    f"{DATASETS}+new/?from=sample",
    f"{DATASETS}iris/",
    f"{DATASETS}iris/?tab=preview",
    f"{DATASETS}iris/?tab=charts",
    f"{DATASETS}iris/?tab=versions",
    f"{DATASETS}iris/?tab=lineage",
    f"{DATASETS}iris/?tab=split",
    f"{HOME}algorithms/",
    f"{HOME}algorithms/knn/",
    f"{HOME}workers/",
    f"{HOME}access-keys/",
    f"{HOME}access-keys/+new/",
    f"{HOME}members/",
    "/preferences/",
    "/preferences/password/",
    "/styleguide/",
    "/doctor/",
    "/projects/nothing/",
]


@LANGUAGES_AND_THEMES
def test_no_page_is_too_wide_or_has_a_serious_accessibility_fault(
    signed_in_page: Page, language: str, theme: str
) -> None:
    def has_chart(path: str) -> bool:
        return "charts" in path or "styleguide" in path

    assert walk(signed_in_page, PATHS, language, theme, has_chart=has_chart) == []


def test_a_file_is_chosen_named_sent_and_shown(signed_in_page: Page, tmp_path: Path) -> None:
    file = tmp_path / "身体 測定 2026.csv"
    file.write_bytes("身長,体重,性別\n170,60,男\n160,50,女\n155,48,女\n".encode("cp932"))
    signed_in_page.goto(f"{DATASETS}+new/")
    signed_in_page.set_input_files("input[type=file]", file)
    expect(signed_in_page.locator(".dropzone-file")).to_contain_text("身体 測定 2026.csv")
    expect(signed_in_page.get_by_label("Name")).to_have_value("2026")
    signed_in_page.get_by_label("Name").fill("body")
    signed_in_page.get_by_label("Label column").fill("性別")
    signed_in_page.get_by_role("button", name="Upload", exact=True).click()
    signed_in_page.wait_for_url(f"**{DATASETS}body/")
    expect(signed_in_page.get_by_role("rowheader", name="身長")).to_be_visible()
    expect(signed_in_page.locator("main")).to_contain_text("CP932")


def test_a_refused_file_shows_row_and_reason_and_keeps_what_was_typed(
    signed_in_page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "ragged.csv"
    file.write_text("a,b,y\n1,2,x\n3,4\n", encoding="utf-8")
    signed_in_page.goto(f"{DATASETS}+new/")
    signed_in_page.set_input_files("input[type=file]", file)
    signed_in_page.get_by_label("Label column").fill("y")
    signed_in_page.get_by_role("button", name="Upload", exact=True).click()
    expect(signed_in_page.locator("#file_error")).to_contain_text("row 2")
    expect(signed_in_page.get_by_label("Label column")).to_have_value("y")
    expect(signed_in_page.locator(".dropzone-file")).to_contain_text("ragged.csv")
    file.write_text("a,b,y\n1,2,x\n3,4,z\n", encoding="utf-8")
    signed_in_page.set_input_files("input[type=file]", file)
    signed_in_page.get_by_role("button", name="Upload", exact=True).click()
    signed_in_page.wait_for_url(f"**{DATASETS}ragged/")


def test_a_file_can_be_dropped(signed_in_page: Page) -> None:
    signed_in_page.goto(f"{DATASETS}+new/")
    transfer = signed_in_page.evaluate_handle(
        """() => { const data = new DataTransfer();
        data.items.add(new File(["a,b\\n1,2\\n"], "dropped.csv", {type: "text/csv"})); return data; }"""
    )
    signed_in_page.dispatch_event("x-dropzone .dropzone", "dragover", {"dataTransfer": transfer})
    expect(signed_in_page.locator("x-dropzone[dragging]")).to_be_visible()
    signed_in_page.dispatch_event("x-dropzone .dropzone", "drop", {"dataTransfer": transfer})
    expect(signed_in_page.get_by_label("Name")).to_have_value("dropped")
    signed_in_page.get_by_role("button", name="Upload", exact=True).click()
    signed_in_page.wait_for_url(f"**{DATASETS}dropped/")


def test_the_scatter_matrix_is_drawn_has_a_table_and_downloads(signed_in_page: Page) -> None:
    signed_in_page.goto(f"{DATASETS}iris/?tab=charts")
    chart = signed_in_page.locator("x-chart[data-drawn]")
    expect(chart).to_be_visible()
    assert chart.locator(".scatterlayer .points path").count() == 6 * 150
    chart.get_by_role("button", name="Show as table").click()
    expect(chart.locator("tbody tr").first).to_be_visible()
    for kind in ("CSV", "PNG", "SVG"):
        with signed_in_page.expect_download() as download:
            chart.get_by_role("button", name=f"Download as {kind}").click()
        assert Path(download.value.path()).stat().st_size > 1000
        assert download.value.suggested_filename == f"scatter-matrix.{kind.lower()}"


def test_a_chart_changes_its_colours_with_the_theme(signed_in_page: Page) -> None:
    signed_in_page.goto(f"{DATASETS}iris/?tab=charts")
    title = signed_in_page.locator("x-chart[data-drawn] .xtitle").first
    expect(title).to_be_visible()
    light = title.evaluate("element => getComputedStyle(element).fill")
    signed_in_page.get_by_label(re.compile("Account of")).click()
    signed_in_page.get_by_role("button", name="Dark").click()
    expect(signed_in_page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(title).not_to_have_css("fill", light)
    signed_in_page.reload()
    expect(signed_in_page.locator("html")).to_have_attribute("data-theme", "dark")
    signed_in_page.get_by_label(re.compile("Account of")).click()
    signed_in_page.get_by_role("button", name="System").click()
    expect(signed_in_page.locator("html")).not_to_have_attribute("data-theme", "dark")


def test_deleting_asks_in_a_dialog_that_escape_closes(signed_in_page: Page) -> None:
    signed_in_page.goto(f"{DATASETS}+new/?from=sample&sample=wine")
    signed_in_page.get_by_label("Name").fill("to-delete")
    signed_in_page.get_by_role("button", name="Create").click()
    signed_in_page.wait_for_url("**/to-delete/")
    signed_in_page.get_by_label("More actions").click()
    signed_in_page.get_by_role("link", name="Delete").click()
    dialog = signed_in_page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 version")
    signed_in_page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    signed_in_page.get_by_label("More actions").click()
    signed_in_page.get_by_role("link", name="Delete").click()
    dialog.get_by_role("button", name="Delete").click()
    signed_in_page.wait_for_url(f"**{DATASETS}")
    expect(signed_in_page.locator("#messages")).to_contain_text("to-delete")


def test_the_list_filters_while_typing_and_the_address_says_so(signed_in_page: Page) -> None:
    signed_in_page.goto(DATASETS)
    expect(signed_in_page.get_by_role("link", name="iris", exact=True)).to_be_visible()
    signed_in_page.keyboard.press("/")
    signed_in_page.keyboard.type("nothing-like-it")
    expect(signed_in_page.locator("#datasets")).to_contain_text("No dataset matches the search")
    expect(signed_in_page).to_have_url(re.compile("search=nothing-like-it"))
    signed_in_page.get_by_role("link", name="Show all").click()
    expect(signed_in_page.get_by_role("link", name="iris", exact=True)).to_be_visible()


COMPOSE = """input => {
  const fire = (type, options) => input.dispatchEvent(options);
  input.focus();
  fire("compositionstart", new CompositionEvent("compositionstart", {bubbles: true}));
  input.value = "い";
  fire("input", new InputEvent("input", {bubbles: true, isComposing: true, data: "い"}));
}"""
ENTER = """input => {
  const key = new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true, isComposing: true});
  return input.dispatchEvent(key);
}"""


def test_the_search_waits_for_the_end_of_a_conversion_and_enter_in_it_sends_nothing(
    signed_in_page: Page,
) -> None:
    signed_in_page.goto(DATASETS)
    search = signed_in_page.locator("x-search input")
    sent: list[str] = []
    signed_in_page.on(
        "request", lambda request: sent.append(request.url) if "search=" in request.url else None
    )
    search.evaluate(COMPOSE)
    signed_in_page.wait_for_function("() => new Promise(done => setTimeout(() => done(true), 500))")
    assert search.evaluate(ENTER) is False  # the key's default, sending the form, is prevented
    assert sent == []
    search.evaluate("input => input.dispatchEvent(new CompositionEvent('compositionend', {bubbles: true}))")
    expect(signed_in_page.locator("#datasets")).to_contain_text("No dataset matches the search")
    assert len(sent) == 1


def test_the_language_switch_changes_every_word_and_stays(signed_in_page: Page) -> None:
    signed_in_page.goto(DATASETS)
    signed_in_page.get_by_role("button", name="日本語").click()
    expect(signed_in_page.get_by_role("heading", level=1)).to_have_text("データセット")
    expect(signed_in_page.locator("html")).to_have_attribute("lang", "ja")
    signed_in_page.goto(f"{HOME}workers/")
    expect(signed_in_page.get_by_role("heading", level=1)).to_have_text("ワーカー")
    signed_in_page.get_by_role("button", name="English").click()
    expect(signed_in_page.get_by_role("heading", level=1)).to_have_text("Workers")


def test_a_new_key_is_shown_once_copied_and_works(signed_in_page: Page, platform: LivePlatform) -> None:
    signed_in_page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    signed_in_page.goto(f"{HOME}access-keys/+new/")
    signed_in_page.get_by_label("Description").fill("from the browser test")
    signed_in_page.get_by_role("button", name="Create").click()
    token = signed_in_page.locator("[data-copied]").first.inner_text()
    signed_in_page.get_by_role("button", name="Copy").first.click()
    expect(signed_in_page.locator("#announcer")).to_have_text("Copied")
    assert signed_in_page.evaluate("navigator.clipboard.readText()") == token
    answer = signed_in_page.request.get(
        "/api/v1/projects/default/datasets/", headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status == 200
    signed_in_page.get_by_role("link", name="I have copied it").click()
    expect(signed_in_page.locator("main")).to_contain_text("from the browser test")
    assert token.partition(".")[2] not in signed_in_page.content()


def test_the_navigation_opens_on_a_narrow_window_and_escape_closes_it(signed_in_page: Page) -> None:
    signed_in_page.set_viewport_size({"width": 360, "height": 640})
    signed_in_page.goto(DATASETS)
    navigation = signed_in_page.locator("#sidebar")
    expect(navigation).to_be_hidden()
    signed_in_page.get_by_label("Open the navigation").click()
    expect(navigation.get_by_role("link", name="Workers")).to_be_visible()
    signed_in_page.keyboard.press("Escape")
    expect(navigation).to_be_hidden()


def test_the_first_tab_stop_skips_to_the_content(signed_in_page: Page) -> None:
    signed_in_page.goto(DATASETS)
    signed_in_page.keyboard.press("Tab")
    skip = signed_in_page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    signed_in_page.keyboard.press("Enter")
    expect(signed_in_page.locator("main")).to_be_focused()


def test_times_are_told_in_the_readers_language_and_exactly_on_hover(signed_in_page: Page) -> None:
    signed_in_page.goto(DATASETS)
    time = signed_in_page.locator("x-time time").first
    expect(time).to_contain_text("ago")
    assert "UTC" in (time.get_attribute("title") or "")
    choose(signed_in_page, "ja", "light")
    signed_in_page.goto(DATASETS)
    expect(signed_in_page.locator("x-time time").first).to_contain_text("前")


def test_a_lost_connection_is_said_and_its_return_too(signed_in_page: Page) -> None:
    signed_in_page.goto(HOME)
    signed_in_page.context.set_offline(True)
    expect(signed_in_page.locator(".connection")).to_contain_text("reconnecting", timeout=15_000)
    signed_in_page.context.set_offline(False)
    expect(signed_in_page.locator(".connection")).to_have_count(0, timeout=15_000)


def test_a_page_that_refreshes_itself_leaves_focus_and_selection_where_they_are(signed_in_page: Page) -> None:
    signed_in_page.goto(HOME)
    link = signed_in_page.get_by_role("link", name="All training jobs")
    link.focus()
    old = link.element_handle()
    with signed_in_page.expect_response(lambda response: response.url.endswith(HOME)):
        pass
    signed_in_page.wait_for_function("element => !element.isConnected", arg=old)
    expect(signed_in_page.get_by_role("link", name="All training jobs")).to_be_focused()
    heading = signed_in_page.get_by_role("heading", name="Waiting or running")
    heading.evaluate("element => getSelection().selectAllChildren(element)")
    with signed_in_page.expect_response(lambda response: response.url.endswith(HOME)):
        pass
    assert signed_in_page.evaluate("getSelection().toString()") == "Waiting or running"
