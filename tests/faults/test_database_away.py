"""The database locked or away for more than 30 s while everything runs: nothing is lost and nothing hangs.

The whole platform as `manage.py up` starts it; SQLite locked by another process, and Postgres stopped as after a fault
with every connection cut. On the way, the disk under SQLite is full for a while.
"""

from __future__ import annotations

import contextlib
import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.disks import MIB, Disk, disk_mounted
from tests.faults.stage import HeldData
from tests.journeys.street import Street, unique
from tests.live import LivePlatform, command_line
from tests.polling import wait_until
from tests.postgres import Postgres, postgres_running
from tests.rest_client import Answer, Client

pytestmark = [pytest.mark.slow]

AWAY_S = 35.0
"""Longer than anybody waits for a lock: 30 s."""
TABLE = "a,b,flag\n" + "".join(f"{n},{n % 7},{n % 2}\n" for n in range(1500))


class TunedPlatform(LivePlatform):
    """A platform with variables of the test's own."""

    def __init__(self, folder: Path, **variables: str) -> None:
        super().__init__(folder)
        self._variables = variables

    def environment(self) -> dict[str, str]:
        return super().environment() | {"MLPLATFORM_DISK_FLOOR_BYTES": "0"} | self._variables


@contextlib.contextmanager
def _running(folder: Path, **variables: str) -> Iterator[TunedPlatform]:
    platform = TunedPlatform(folder, **variables)
    platform.start()
    try:
        platform.sign_up()
        yield platform
    except BaseException:
        platform.kill()
        raise
    platform.stop()


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disk]:
    folder = tmp_path_factory.mktemp("sqlite")
    with disk_mounted(folder / "data", size_bytes=192 * MIB) as mounted:
        yield mounted


@pytest.fixture(scope="module")
def on_sqlite(disk: Disk) -> Iterator[Street]:
    """A platform all of whose data lies on a small disk."""
    with _running(disk.path.parent) as platform:
        yield Street(platform)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_running() as cluster:
        yield cluster


class Held:
    """A job that reads its data from a pipe, which gives it none before `release`."""

    def __init__(self, street: Street) -> None:
        self.street = street
        self.name = unique("held")
        uid_folders = set(self._folders())
        street.dataset(self.name, TABLE.encode(), label="flag")
        [new] = set(self._folders()) - uid_folders
        self._data = HeldData(new / "data.csv")
        street.dataset(f"{self.name}-test", TABLE.encode(), label="flag")
        request = street.job_request(self.name, train=self.name, test=f"{self.name}-test")
        request["channels"]["train"]["input_mode"] = "Pipe"
        answer = street.post("training-jobs/", request)
        assert answer.status == 201, answer.text
        wait_until(
            lambda: street.job(self.name)["secondary_status"] == "Training",
            timeout_s=60,
            every_s=0.1,
            what=lambda: str(street.job(self.name)),
        )

    def release(self) -> None:
        self._data.release()

    def assert_completed_once_and_whole(self) -> None:
        """Within its one attempt, with every line of its log in order and all its metrics."""
        street = self.street
        wait_until(
            lambda: street.job(self.name)["status"] != "InProgress",
            timeout_s=90,
            every_s=0.2,
            what=lambda: f"{street.job(self.name)}\n{street.platform.log[-4000:]}",
        )
        job = street.job(self.name)
        assert (job["status"], job["attempt"]) == ("Completed", 1), job
        events = [passed["status"] for passed in job["secondary_status_transitions"]]
        assert [events.count(status) for status in ("Starting", "Uploading", "Completed")] == [1, 1, 1], (
            events
        )
        lines = street.log(self.name).splitlines()
        assert "Training job held" in lines[0] and lines[-1].endswith("Training job finished"), lines
        stamps = [line.split(" INFO ")[0] for line in lines if " INFO " in line]
        assert stamps == sorted(stamps), "in order"
        assert len([line for line in lines if "Final configuration" in line]) == 1, "none twice"
        assert job["final_metrics"]["test:accuracy"] > 0.5, job["final_metrics"]
        model = street.post("models/", {"name": self.name, "training_job": self.name})
        assert model.status == 201, model.text

    def _folders(self) -> list[Path]:
        return list((self.street.platform.data_dir / "store").glob("*/datasets/*"))


def _processes(platform: LivePlatform) -> dict[str, int]:
    """The long-running processes by what they are."""
    found = {}
    for process in platform.processes():
        arguments = command_line(process)
        for name in ("web", "gateway", "worker", "host", "scheduler"):
            if name in arguments and any(argument.endswith("manage.py") for argument in arguments):
                found[name] = process.pid
    assert len(found) == 5, found
    return found


def _in_parallel(*calls: Callable[[], Answer]) -> list[Future[Answer]]:
    pool = ThreadPoolExecutor(max_workers=len(calls))
    futures = [pool.submit(call) for call in calls]
    pool.shutdown(wait=False)
    return futures


def _invoke(street: Street) -> Answer:
    """A prediction of the endpoint that the first run has deployed."""
    return street.invoke("iris-knn", "5.1,3.5,1.4,0.2")


def _session(platform: LivePlatform) -> dict[str, str]:
    """The cookies of somebody who has signed in with the form."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", platform.port, timeout=60)) as web:
        web.request("GET", "/login/")
        cookies = _cookies(web.getresponse())
        form = {
            "username": platform.username,
            "password": platform.password,
            "csrfmiddlewaretoken": cookies["csrftoken"],
        }
        sent = _form() | {"Cookie": f"csrftoken={cookies['csrftoken']}"}
        web.request("POST", "/login/", body=urlencode(form), headers=sent)
        answer = web.getresponse()
        assert answer.status == 302, answer.read()
        return {"Cookie": f"sessionid={_cookies(answer)['sessionid']}"}


def _cookies(answer: http.client.HTTPResponse) -> dict[str, str]:
    answer.read()
    found = SimpleCookie()
    for header in answer.headers.get_all("Set-Cookie") or []:
        found.load(header)
    return {name: morsel.value for name, morsel in found.items()}


def test_a_locked_database_is_waited_for_and_reading_goes_on(on_sqlite: Street) -> None:
    street, platform = on_sqlite, on_sqlite.platform
    job, before, cookies = Held(street), _processes(platform), _session(platform)
    browser = Client(platform.base_url)
    with _locked(platform.data_dir / "db.sqlite3", AWAY_S) as lock:
        refused = _in_parallel(
            lambda: street.upload("while-locked", TABLE.encode(), label="flag"),
            lambda: browser.send(
                "POST", "/login/", body=b"username=admin&password=wrong", headers=_form(), timeout_s=60
            ),
        )
        job.release()
        for _ in range(3):
            begun = time.monotonic()
            assert street.get("training-jobs/").status == 200
            assert browser.send("GET", "/projects/default/training-jobs/", headers=cookies).status == 200
            assert _invoke(street).status == 200
            assert time.monotonic() - begun < 10, "reading waits for no writer"
        answer = refused[0].result(60)
        assert (answer.status, answer.json["code"]) == (503, "ServiceUnavailable"), answer.text
        assert answer.headers["Retry-After"] and "The database" in answer.json["detail"]
        assert refused[1].result(60).status in {403, 503}
        assert lock.poll() is None or lock.returncode == 0
    job.assert_completed_once_and_whole()
    after = Held(street)
    after.release()
    after.assert_completed_once_and_whole()
    assert _processes(platform) == before, "nobody had to be started again"


def _form() -> dict[str, str]:
    return {"Content-Type": "application/x-www-form-urlencoded"}


@contextlib.contextmanager
def _locked(path: Path, for_s: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that writes, and goes on writing, for so long."""
    code = (
        "import sqlite3, sys, time\n"
        "database = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)\n"
        "database.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "time.sleep(float(sys.argv[2]))\n"
        "database.execute('ROLLBACK')\n"
    )
    argv = [sys.executable, "-c", code, str(path), str(for_s)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None and popen.stdout.readline() == "locked\n"
        try:
            yield popen
            assert popen.wait(for_s + 30) == 0
        finally:
            popen.kill()


def test_a_full_disk_under_everything_is_told_reading_goes_on_and_so_does_all_the_rest_afterwards(
    on_sqlite: Street, disk: Disk
) -> None:
    street, platform = on_sqlite, on_sqlite.platform
    job, before, cookies = Held(street), _processes(platform), _session(platform)
    browser = Client(platform.base_url)
    disk.fill()
    try:
        wait_until(lambda: _is_refused_for_room(street), timeout_s=60, every_s=0.5, what="a refusal")
        job.release()
        large = TABLE.encode() * 200
        answer = street.upload("no-room", large, label="flag")
        assert answer.status == 507, answer.text
        assert "is full" in answer.json["detail"] and str(disk.path) not in answer.text
        for _ in range(3):
            assert street.get("training-jobs/").status == 200
            page = browser.send("GET", "/projects/default/", headers=cookies)
            assert page.status == 200, platform.log[-6000:]
            assert _invoke(street).status == 200
        assert street.get("datasets/no-room/").status == 404
        assert street.job(job.name)["status"] == "InProgress"
    finally:
        disk.free()
    ended = street.job_ended(job.name)
    # Its own process found no room for the model; or its data could not be handed over, and that is tried again.
    if ended["status"] == "Failed":
        assert (ended["attempt"], ended["failure"]["kind"]) == (1, "StorageFull"), ended
        assert "The disk of the job's folder is full" in street.log(job.name), "what it printed was kept"
    else:
        assert ended["status"] == "Completed" and ended["attempt"] > 1, ended
    after = Held(street)
    after.release()
    after.assert_completed_once_and_whole()
    assert street.upload(unique("room-again"), TABLE.encode(), label="flag").status == 201
    assert _processes(platform) == before


def _is_refused_for_room(street: Street) -> bool:
    """Pages of SQLite's file that are free still take a few rows."""
    answer = street.upload(unique("filling"), TABLE.encode(), label="flag")
    assert answer.status in {201, 507}, answer.text
    return answer.status == 507


def test_a_postgres_that_is_away_is_waited_for_by_everything(postgres: Postgres, tmp_path: Path) -> None:
    database = postgres.database_new("outage")
    with _running(tmp_path, DATABASE_URL=database) as platform:
        street = Street(platform)
        job, before, cookies = Held(street), _processes(platform), _session(platform)
        browser = Client(platform.base_url)
        assert postgres.cut_all("outage") > 4, "every process has a connection"
        assert street.get("training-jobs/").status in {200, 503}
        postgres.stop()
        away_since = time.monotonic()
        job.release()
        for _ in range(5):
            answer = street.get("training-jobs/")
            assert (answer.status, answer.json["code"]) == (503, "ServiceUnavailable"), answer.text
            page = browser.send("GET", "/projects/default/training-jobs/", headers=cookies)
            assert page.status == 503 and "The database does not answer" in page.text
            assert _invoke(street).status == 200, "predictions need no database"
        wait_until(lambda: time.monotonic() - away_since > AWAY_S, timeout_s=AWAY_S + 5, what="the outage")
        postgres.start()
        wait_until(lambda: street.get("training-jobs/").status == 200, timeout_s=30, every_s=0.2)
        job.assert_completed_once_and_whole()
        after = Held(street)
        after.release()
        after.assert_completed_once_and_whole()
        assert _invoke(street).status == 200
        assert _processes(platform) == before, "nobody had to be started again"
