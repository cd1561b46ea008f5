"""Fixtures for everybody: the running platform, a browser, the shared data.

Tests that need the running platform share one per test process; tests/schedule.py says which process runs what.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pytest
from django.utils import translation
from playwright.sync_api import (
    Browser,
    BrowserContext,
    BrowserType,
    Page,
    StorageState,
    expect,
    sync_playwright,
)

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
        if "chromium" in fixtures:
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


@dataclass(frozen=True)
class Chromium:
    kind: BrowserType
    program: str

    def browser(self) -> Browser:
        return self.kind.launch(executable_path=self.program, args=CHROMIUM_ARGUMENTS)

    def profile(self, folder: Path, base_url: str) -> BrowserContext:
        """A browser with one profile, which is in the folder."""
        return self.kind.launch_persistent_context(
            folder,
            executable_path=self.program,
            args=CHROMIUM_ARGUMENTS,
            base_url=base_url,
            locale="en-GB",
            viewport={"width": 1280, "height": 800},
            reduced_motion="reduce",  # without a graphics processor a turning wheel takes a whole core
        )


@pytest.fixture(scope="module")
def chromium() -> Iterator[Chromium]:
    """The system's Chromium; per module, since Playwright's event loop would be in the way of other tests."""
    program = next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)
    if program is None:
        reason = "no chromium on this machine (as root on Debian, `make test` installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}; with CI=true no browser test may be skipped")
        pytest.skip(reason)
    expect.set_options(timeout=EXPECT_WITHIN_MS)
    with sync_playwright() as playwright:
        yield Chromium(playwright.chromium, program)


@pytest.fixture(scope="module")
def browser(chromium: Chromium) -> Iterator[Browser]:
    """For profiles of a test's own."""
    running = chromium.browser()
    yield running
    running.close()


@pytest.fixture(scope="session")
def profile_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("chromium")


@pytest.fixture(scope="module")
def profile(chromium: Chromium, profile_folder: Path, platform: LivePlatform) -> Iterator[BrowserContext]:
    """One for all tests, so that the browser compiles our libraries once: the first chart of a new profile takes two
    seconds of a processor, later ones half of one.
    """
    context = chromium.profile(profile_folder, platform.base_url)
    yield context
    context.close()


@pytest.fixture(scope="module")
def session(profile: BrowserContext, platform: LivePlatform) -> StorageState:
    """What the browser keeps after `admin` has signed in with the form."""
    with _page(profile, platform) as page:
        sign_in(page, platform.username, platform.password)
        return profile.storage_state()


@pytest.fixture
def browser_page(profile: BrowserContext, platform: LivePlatform) -> Iterator[Page]:
    """A page at the platform in a profile that remembers nothing of other tests. Uncaught errors and refused resources
    fail the test.
    """
    with _page(profile, platform) as page:
        yield page


@pytest.fixture
def signed_in_page(browser_page: Page, platform: LivePlatform, session: StorageState) -> Iterator[Page]:
    """The browser page of `admin`, who signs in once for a module and never out: whoever tests signing out does it in a
    session of their own. What a test sets for that person goes with it.
    """
    browser_page.context.add_cookies([{**cookie} for cookie in session["cookies"]])
    yield browser_page
    _preferences_reset(browser_page, platform)


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


@contextlib.contextmanager
def _page(profile: BrowserContext, platform: LivePlatform) -> Iterator[Page]:
    page = profile.new_page()
    page.set_default_timeout(EXPECT_WITHIN_MS)
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if _is_refusal(message.text) else None)
    try:
        yield page
    finally:
        _forget(profile, platform)
    assert not faults, f"errors in the browser: {faults}"


def _forget(profile: BrowserContext, platform: LivePlatform) -> None:
    """All that a test may have left, but for what the browser has compiled. The first page keeps it running."""
    first, *others = profile.pages
    for page in others:
        page.close()
    profile.unroute_all()
    profile.set_offline(False)
    profile.clear_permissions()
    profile.clear_cookies()
    tools = profile.new_cdp_session(first)
    stores = "local_storage,indexeddb,cache_storage,service_workers"
    tools.send("Storage.clearDataForOrigin", {"origin": platform.base_url, "storageTypes": stores})
    tools.detach()


def _preferences_reset(page: Page, platform: LivePlatform) -> None:
    if platform.query("SELECT 1 FROM web_preferences WHERE language <> '' OR theme <> 'system'"):
        cookies = {cookie.get("name"): cookie.get("value", "") for cookie in page.context.cookies()}
        answer = page.context.request.post(
            "/preferences/",
            form={"language": "", "theme": "system", "time_zone": ""},
            headers={"X-CSRFToken": cookies["csrftoken"]},
            max_redirects=0,
        )
        assert answer.headers.get("location") == "/preferences/", (answer.status, answer.headers)


def _is_refusal(text: str) -> bool:
    """Whether the console says that the Content-Security-Policy refused something."""
    return "Content Security Policy" in text
