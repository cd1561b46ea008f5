"""Fixtures for everybody: the running platform, a browser, the shared data.

Tests that need the running platform share one per test process; tests/schedule.py says which process runs what.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.utils import translation
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.dataset_processes import dataset_processes_fork
from tests.live import ROOT, LivePlatform, platform_running
from tests.schedule import PERHAPS_LATE, arrange, is_live, perhaps_late, scheduler_of
from tests.services import is_on, select, summary

SHARED_DATA = ROOT.parent / "shared" / "data"
EXPECT_WITHIN_MS = 20_000
"""How long a page may take to become as expected: a machine under test has more processes than cores."""
CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The first opens a page with a fifth of the processor time: it has no windows."""
CHROMIUM_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# An example takes as long as the machine lets it: a deadline tells only how busy it is.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")


def pytest_sessionstart() -> None:
    dataset_processes_fork()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    if is_on():
        select(config, items)
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "platform" in fixtures:
            item.add_marker(pytest.mark.live)
            if not is_live(item.nodeid):
                raise pytest.UsageError(
                    f"{item.nodeid} needs the running platform: name its place in tests/schedule.py"
                )
        if "browser" in fixtures:
            item.add_marker(pytest.mark.browser)
    yield
    if hasattr(config, "workerinput"):  # one of several test processes
        arrange(items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in summary(terminalreporter.stats):
        terminalreporter.write_line(line)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        reporter is None
        or exitstatus != pytest.ExitCode.TESTS_FAILED
        or not session.config.getoption("numprocesses")
    ):
        return
    failed = [report.nodeid for how in ("failed", "error") for report in reporter.stats.get(how, ())]
    if perhaps_late(failed):
        session.exitstatus = PERHAPS_LATE


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return scheduler_of(config, log)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Django leaves the language of the last request active in the thread, and whoever comes next would read it."""
    translation.deactivate()


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    """The whole platform after its first run, ended like a person ends it; no process may be left."""
    with platform_running(tmp_path_factory.mktemp("platform")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; per module, since Playwright's event loop would be in the way of other tests."""
    program = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if program is None:
        reason = "no chromium on this machine (as root on Debian, `make test` installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; with CI=true no browser test may be skipped")
        pytest.skip(reason)
    expect.set_options(timeout=EXPECT_WITHIN_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def browser_page(browser: Browser, platform: LivePlatform) -> Iterator[Page]:
    """A page of a new, empty profile at the platform. Uncaught errors and refused resources fail the test."""
    context = browser.new_context(
        base_url=platform.base_url,
        locale="en-GB",
        viewport={"width": 1280, "height": 800},
        reduced_motion="reduce",  # without a graphics processor a turning wheel takes a whole core
    )
    page = context.new_page()
    page.set_default_timeout(EXPECT_WITHIN_MS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if _is_refusal(message.text) else None)
    yield page
    context.close()
    assert not faults, f"errors in the browser: {faults}"


@pytest.fixture
def signed_in_page(browser_page: Page, platform: LivePlatform) -> Iterator[Page]:
    """The browser page after `admin` has signed in with the form; what a test sets for that person goes with it."""
    sign_in(browser_page, platform.username, platform.password)
    yield browser_page
    if platform.query("SELECT 1 FROM web_preferences WHERE language <> '' OR theme <> 'system'"):
        cookies = {cookie.get("name"): cookie.get("value", "") for cookie in browser_page.context.cookies()}
        answer = browser_page.context.request.post(
            "/preferences/",
            form={"language": "", "theme": "system", "time_zone": ""},
            headers={"X-CSRFToken": cookies["csrftoken"]},
            max_redirects=0,
        )
        assert answer.headers.get("location") == "/preferences/", (answer.status, answer.headers)


def sign_in(page: Page, username: str, password: str) -> None:
    """Signs in with the form."""
    page.goto("/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "login" not in url)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the project, where there is one."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data on this machine ({SHARED_DATA})")
    return SHARED_DATA


def _is_refusal(text: str) -> bool:
    """Whether the console says that the Content-Security-Policy refused something."""
    return "Content Security Policy" in text
