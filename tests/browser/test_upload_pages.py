"""Large files in a browser: what is told before sending, what an interruption leaves, two tabs at one file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import CDPSession, Page, Request, Route, expect

from tests.browser.walk import choose, faults
from tests.conftest import sign_in
from tests.live import LivePlatform

NEW: Final = "/projects/default/datasets/+new/"
UPLOADS: Final = "/api/v1/projects/default/uploads/"
MIB: Final = 1024 * 1024
LONG: Final = b"x" * 100_000
DANA: Final = """
from django.contrib.auth.models import User
from mlplatform.core.models import Membership, Project
Membership.objects.create(
    user=User.objects.create_user("dana", password="a long password"),
    project=Project.objects.get(name="default"),
    role="editor",
)
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A file that is sent in pieces, with few rows that are quickly read."""
    path = tmp_path / "large.csv"
    path.write_bytes(b"text,kind\n" + b"".join(b"%b,%d\n" % (LONG, n % 3) for n in range(200)))
    assert path.stat().st_size > 18 * MIB
    return path


@pytest.fixture
def page(signed_in_page: Page) -> Iterator[Page]:
    """At the form of a new dataset; uploads that are left go with their test."""
    choose(signed_in_page, "en", "light")
    signed_in_page.goto(NEW)
    yield signed_in_page
    token = "document.querySelector('[name=csrfmiddlewaretoken]').value"
    signed_in_page.goto(NEW)
    signed_in_page.evaluate(
        f"""async (uploads) => {{
        const all = await (await fetch(uploads)).json();
        for (const {{ id }} of all.items) {{
          await fetch(`${{uploads}}${{id}}/`, {{ method: "DELETE", headers: {{ "X-CSRFToken": {token} }} }});
        }}
        }}""",
        UPLOADS,
    )


def network(
    page: Page, *, bytes_a_second: int = -1, offline: bool = False, of: CDPSession | None = None
) -> CDPSession:
    session = of or page.context.new_cdp_session(page)
    session.send("Network.enable")
    how = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_a_second}
    session.send("Network.emulateNetworkConditions", how)
    return session


def sends(page: Page) -> None:
    page.get_by_role("button", name="Upload", exact=True).click()


def begun(page: Page, table: Path, name: str) -> None:
    """Chooses the table and has sent some of it, slowly."""
    page.set_input_files("input[type=file]", table)
    page.get_by_label("Name").fill(name)
    sends(page)
    expect(page.locator(".upload-text")).to_contain_text("a second", timeout=30_000)


def n_unfinished(page: Page) -> int:
    return len(page.request.get(UPLOADS).json()["items"])


def test_a_taken_name_and_a_label_that_is_no_column_are_told_before_anything_is_sent(
    page: Page, table: Path
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    page.set_input_files("input[type=file]", table)
    page.get_by_label("Name").fill("IRIS")
    page.get_by_label("Label column").fill("sort")
    expect(page.locator("#id_name_error")).to_contain_text("exists already")
    page.get_by_label("Name").focus()
    expect(page.locator("#id_label_error")).to_contain_text("use one of text, kind")
    assert faults(page) == []
    sends(page)
    expect(page.get_by_label("Name")).to_be_focused()
    page.get_by_label("Name").fill("told-before")
    expect(page.locator("#id_name_error")).to_have_count(0)
    sends(page)
    expect(page.get_by_label("Label column")).to_be_focused()
    assert sent == []
    page.get_by_label("Label column").fill("kind")
    sends(page)
    page.wait_for_url("**/datasets/told-before/")


def test_a_missing_name_is_told_before_sending_and_not_while_the_form_is_filled_in(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "表.csv"  # proposes no name
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    posted: list[str] = []
    page.on("request", lambda request: posted.append(request.url) if request.method != "GET" else None)
    page.set_input_files("input[type=file]", file)
    page.get_by_label("Name").focus()
    page.get_by_label("Label column").fill("no such column")
    page.get_by_label("Name").focus()
    expect(page.locator("#id_label_error")).to_be_visible()
    expect(page.locator("#id_name_error")).to_have_count(0)
    sends(page)
    expect(page.locator("#id_name_error")).to_contain_text("required")
    assert posted == []


def test_after_a_reload_the_upload_is_listed_and_goes_on_with_what_was_typed(page: Page, table: Path) -> None:
    slow = network(page, bytes_a_second=2 * MIB)
    page.get_by_text("How to read it, description").click()
    page.get_by_label("Description").fill("kept")
    page.get_by_label("Label column").fill("kind")
    begun(page, table, "went-on")
    page.reload()
    line = page.locator(".unfinished li")
    expect(line).to_contain_text("Choose the same file again")
    assert page.get_by_label("Name").input_value() == ""
    network(page, of=slow)
    page.set_input_files("input[type=file]", table)
    expect(line).to_contain_text("Upload goes on from there")
    for label, value in {"Name": "went-on", "Label column": "kind", "Description": "kept"}.items():
        expect(page.get_by_label(label)).to_have_value(value)
    with page.expect_request(lambda request: request.method == "PATCH") as piece:
        sends(page)
    assert int(piece.value.headers["upload-offset"]) > 0
    page.wait_for_url("**/datasets/went-on/")
    page.goto(NEW)
    expect(line).to_have_count(0)


def test_a_name_that_is_typed_stays_when_the_file_of_an_unfinished_upload_is_chosen(
    page: Page, table: Path
) -> None:
    network(page, bytes_a_second=2 * MIB)
    begun(page, table, "before")
    page.reload()
    expect(page.locator(".unfinished li")).to_be_visible()
    page.get_by_label("Name").fill("after")
    page.set_input_files("input[type=file]", table)
    expect(page.locator(".unfinished li")).to_contain_text("goes on from there")
    expect(page.get_by_label("Name")).to_have_value("after")


def test_an_unfinished_upload_is_discarded_after_it_was_asked(page: Page, table: Path) -> None:
    network(page, bytes_a_second=2 * MIB)
    begun(page, table, "discarded")
    page.reload()
    discard = page.locator(".unfinished").get_by_role("button", name="Discard")
    dialog = page.get_by_role("dialog", name="Discard this upload?")
    discard.click()
    expect(dialog).to_contain_text("large.csv")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    discard.click()
    assert faults(page) == []
    dialog.get_by_role("button", name="Cancel").click()
    assert n_unfinished(page) == 1
    discard.click()
    dialog.get_by_role("button", name="Discard").click()
    expect(page.locator(".unfinished-said")).to_contain_text("large.csv is discarded")
    expect(page.locator(".unfinished li")).to_have_count(0)
    assert n_unfinished(page) == 0
    page.reload()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('upload '))") == []


def test_an_upload_that_another_program_left_can_be_discarded_too(page: Page, platform: LivePlatform) -> None:
    key = platform.client.token
    headers = {
        "Authorization": f"Bearer {key}",
        "Upload-Length": "1000",
        "Upload-Metadata": "filename dC5jc3Y=",
    }
    assert page.request.post(UPLOADS, headers=headers).status == 201
    page.reload()
    expect(page.locator(".unfinished li")).to_contain_text("t.csv was sent up to 0 B of 1,000 B by another")
    page.locator(".unfinished").get_by_role("button", name="Discard").click()
    page.get_by_role("dialog").get_by_role("button", name="Discard").click()
    expect(page.locator(".unfinished-said")).to_contain_text("t.csv is discarded")
    assert n_unfinished(page) == 0


def test_a_connection_that_is_lost_is_told_and_the_upload_goes_on(page: Page, table: Path) -> None:
    session = network(page, bytes_a_second=2 * MIB)
    begun(page, table, "lost-and-found")
    before = n_waiting_for_a_network(session)
    network(page, offline=True, of=session)
    expect(page.locator(".upload-text")).to_contain_text("The connection was lost")
    expect(page.locator(".upload-text")).to_contain_text("in 4 seconds")  # the third wait
    assert n_waiting_for_a_network(session) == before + 1
    network(page, of=session)
    page.wait_for_url("**/datasets/lost-and-found/")


def n_waiting_for_a_network(session: CDPSession) -> int:
    """How many listeners the window has that a network that is back calls."""
    window = session.send("Runtime.evaluate", {"expression": "window"})["result"]["objectId"]
    there = session.send("DOMDebugger.getEventListeners", {"objectId": window})["listeners"]
    return sum(listener["type"] == "online" for listener in there)


def test_a_paused_upload_waits_and_a_cancelled_one_leaves_nothing(page: Page, table: Path) -> None:
    network(page, bytes_a_second=2 * MIB)
    begun(page, table, "cancelled")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator(".upload-text")).to_contain_text("Paused at")
    assert n_unfinished(page) == 1
    page.get_by_role("button", name="Cancel the upload").click()
    expect(page.locator("#messages")).to_contain_text("Cancelled")
    expect(page.locator("button[type=submit]", has_text="Upload")).to_be_enabled()
    page.wait_for_function(
        "async (uploads) => (await (await fetch(uploads)).json()).items.length === 0", arg=UPLOADS
    )


def test_a_second_tab_waits_for_the_first_and_says_how_it_ended(page: Page, table: Path) -> None:
    network(page, bytes_a_second=MIB)
    begun(page, table, "in-one-tab")
    other = page.context.new_page()
    other.goto(NEW)
    expect(other.locator(".unfinished li")).to_have_count(0)  # it is being sent
    other.set_input_files("input[type=file]", table)
    other.get_by_label("Name").fill("in-one-tab")
    sends(other)
    expect(other.locator(".upload-text")).to_contain_text("Another tab is sending this file")
    other.get_by_role("button", name="Cancel the upload").click()
    expect(other.locator("#messages")).to_contain_text("The other tab goes on")
    assert n_unfinished(page) == 1
    sends(other)
    expect(other.locator(".upload-text")).to_contain_text("Another tab is sending this file")
    page.get_by_role("button", name="Cancel the upload").click()
    expect(other.locator("#messages")).to_contain_text("in another tab")
    expect(other.locator(".upload-progress")).to_be_hidden()
    other.close()


def test_a_file_that_cannot_be_read_for_a_while_is_told_and_what_was_sent_is_kept(
    page: Page, table: Path
) -> None:
    slow = network(page, bytes_a_second=6 * MIB)
    begun(page, table, "away")
    whole = table.stat()
    with table.open("ab") as file:
        file.write(b"y,1\n")
    expect(page.locator("#messages")).to_contain_text("changed, moved or deleted")
    expect(page.locator(".dropzone-file")).to_be_empty()
    line = page.locator(".unfinished li")
    expect(line).to_contain_text("Choose the same file again")
    expect(line.get_by_role("button", name="Discard")).to_be_visible()
    page.set_input_files("input[type=file]", table)
    expect(line).to_contain_text("Choose the same file again")  # changed, it is another one
    os.truncate(table, whole.st_size)
    os.utime(table, ns=(whole.st_atime_ns, whole.st_mtime_ns))
    network(page, of=slow)
    page.set_input_files("input[type=file]", [])  # the same path again would be no choice
    page.set_input_files("input[type=file]", table)
    expect(line).to_contain_text("Upload goes on from there")
    sends(page)
    page.wait_for_url("**/datasets/away/")
    assert n_unfinished(page) == 0


def test_a_file_that_is_exchanged_while_its_name_is_checked_is_not_sent_as_the_other(
    page: Page, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.csv", tmp_path / "other.csv"
    one.write_text("a,b\n1,2\n", encoding="utf-8")
    other.write_text("c,d\n3,4\n", encoding="utf-8")
    page.set_input_files("input[type=file]", one)
    page.get_by_label("Name").fill("exchanged")
    page.get_by_label("Label column").focus()
    held: list[Route] = []
    posted: list[Request] = []
    page.on("request", lambda request: posted.append(request) if request.method != "GET" else None)
    page.evaluate("AbortSignal.timeout = () => new AbortController().signal")
    page.route("**/datasets/+name/*", lambda route: held.append(route))
    with page.expect_request("**/datasets/+name/*"):
        sends(page)
    page.set_input_files("input[type=file]", other)
    page.wait_for_function("() => document.querySelector('.dropzone-file').textContent.includes('other')")
    page.route("**/datasets/+name/*", lambda route: route.continue_())  # the last one decides
    for route in held:
        route.continue_()
        assert route.request.response() is not None
    with page.expect_response("**/datasets/+name/*"):
        page.get_by_label("Name").fill("exchanged-2")
        page.get_by_label("Label column").focus()
    assert posted == []
    expect(page.get_by_role("button", name="Upload", exact=True)).to_be_enabled()
    sends(page)
    page.wait_for_url("**/datasets/exchanged-2/")
    assert page.request.get("/api/v1/projects/default/datasets/exchanged/").status == 404
    expect(page.locator("main")).to_contain_text("other.csv")


def test_what_breaks_before_the_sending_is_told_and_the_form_can_be_sent_again(
    page: Page, tmp_path: Path
) -> None:
    file = tmp_path / "t.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    page.set_input_files("input[type=file]", file)
    with page.expect_response("**/datasets/+name/*name=broke*"):
        page.get_by_label("Name").fill("broke")
        page.get_by_label("Label column").focus()
    page.evaluate("window.kept = AbortSignal.timeout; delete AbortSignal.timeout")  # as in an old browser
    sends(page)
    expect(page.locator("#messages")).to_contain_text("The upload did not begin")
    page.evaluate("AbortSignal.timeout = window.kept")
    sends(page)
    page.wait_for_url("**/datasets/broke/")


def test_another_person_at_the_same_browser_takes_nothing_of_an_upload_away(
    page: Page, platform: LivePlatform, table: Path
) -> None:
    platform.manage("shell", "-c", DANA)
    slow = network(page, bytes_a_second=2 * MIB)
    begun(page, table, "still-there")
    page.goto("/doctor/")  # and it is left
    network(page, of=slow)
    page.context.clear_cookies()
    sign_in(page, "dana", "a long password")
    page.goto(NEW)
    with page.expect_response(f"**{UPLOADS}"):
        page.set_input_files("input[type=file]", table)
    expect(page.locator(".unfinished li")).to_have_count(0)
    page.context.clear_cookies()
    sign_in(page, platform.username, platform.password)
    page.goto(NEW)
    page.set_input_files("input[type=file]", table)
    expect(page.locator(".unfinished li")).to_contain_text("Upload goes on from there")
    expect(page.get_by_label("Name")).to_have_value("still-there")


def test_a_file_that_is_gone_before_it_is_sent_is_told_as_that(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "gone.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    page.set_input_files("input[type=file]", file)
    file.unlink()
    sends(page)
    expect(page.locator("#messages")).to_contain_text("changed, moved or deleted")


def test_several_files_at_once_are_refused(page: Page) -> None:
    transfer = page.evaluate_handle(
        """() => { const data = new DataTransfer();
        for (const name of ["a.csv", "b.csv"]) data.items.add(new File(["a,b\\n1,2\\n"], name));
        return data; }"""
    )
    page.dispatch_event("x-dropzone .dropzone", "drop", {"dataTransfer": transfer})
    expect(page.locator("#messages")).to_contain_text("Drop one file")
    assert page.locator("input[type=file]").evaluate("input => input.files.length") == 0
