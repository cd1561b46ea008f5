"""The life of a platform of its own: first start, Ctrl-C, second start, crash of a part, sudden death."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.live import LivePlatform, command_line, platform_running
from tests.polling import wait_until
from tests.rest_client import Client
from tests.services import is_on

pytestmark = [pytest.mark.live]

IDLE_LIMIT_MB = 500
PROCESSES = ("web", "gateway", "worker", "host", "scheduler", *(() if is_on() else ("redis",)))
"""On a Redis that is there already it starts none."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivePlatform]:
    """A platform that these tests may kill; each test finds it running, after its first run in an empty folder."""
    with platform_running(tmp_path_factory.mktemp("own"), from_nothing=True) as running:
        yield running


def process_of(platform: LivePlatform, word: str) -> psutil.Process:
    """The process whose command line has the word."""
    [found] = [process for process in platform.processes() if word in command_line(process)]
    return found


def proportional_mb(process: psutil.Process) -> float:
    """Its memory, pages shared with others counted by their share."""
    match = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{process.pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert match
    return int(match.group(1)) / 1024


def test_the_first_start_says_where_it_is_and_how_to_sign_in_once(own: LivePlatform) -> None:
    """The frame is shown once more where making the first user took longer than all the rest."""
    if not is_on():  # what a database elsewhere holds is not known before it is asked
        assert f"starting for the first time in {own.data_dir}" in own.log
    frames = re.findall("╭.*?╰", own.log, re.DOTALL)
    assert f"mlplatform is running: {own.base_url}" in frames[0]
    assert own.username in frames[-1]
    assert own.log.count(own.password) == 1


def test_every_process_is_under_the_one_that_was_started(own: LivePlatform) -> None:
    below = {process.pid for process in psutil.Process(own.pid).children(recursive=True)}
    assert {process.pid for process in own.processes()} <= below | {own.pid}
    assert len(below) >= len(PROCESSES)


def test_nothing_listens_but_the_one_port(own: LivePlatform) -> None:
    listening = {
        connection.laddr.port
        for process in own.processes()
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {own.port}


def test_the_idle_platform_is_small(own: LivePlatform) -> None:
    used = {" ".join(command_line(process))[-60:]: proportional_mb(process) for process in own.processes()}
    assert sum(used.values()) < IDLE_LIMIT_MB, used


@pytest.mark.parametrize("word", ["gateway", "web", "worker", "host", "scheduler"])
def test_a_part_that_dies_comes_back(own: LivePlatform, word: str) -> None:
    before = process_of(own, word)
    before.kill()
    wait_until(
        lambda: any(
            word in command_line(process) and process.pid != before.pid for process in own.processes()
        ),
        what=f"another {word}",
    )
    wait_until(lambda: is_healthy(own), timeout_s=40, what=f"health after the death of {word}")


def is_healthy(platform: LivePlatform) -> bool:
    try:
        answer = Client(platform.base_url).get("health/")
    except OSError:
        return False
    return answer.status == 200 and answer.json["status"] == "ok"


def test_ctrl_c_ends_everything_and_the_next_start_goes_on_where_it_was(own: LivePlatform) -> None:
    before = own.client.get("projects/default/endpoints/").json
    own.stop(signal.SIGINT)
    started = time.monotonic()
    own.start()
    assert time.monotonic() - started < 30
    after = own.client.get("projects/default/endpoints/").json
    assert [item["name"] for item in after["items"]] == [item["name"] for item in before["items"]]
    assert after["items"], "the first run deployed nothing"
    assert own.log.count(own.password) == 1


def test_the_sudden_death_of_the_first_process_ends_all_others(own: LivePlatform) -> None:
    own.kill()
    wait_until(lambda: not own.processes(), timeout_s=15, what=lambda: f"the end of {own.processes()}")
    own.start()
