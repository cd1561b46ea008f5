"""The doctor at a platform that really is ill: what it says on the page, by REST and by the command, and that all is
well again afterwards. One platform, on a small disk of its own, serves all of them.
"""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.disks import Disk, disk_mounted
from tests.environment import clean_environment
from tests.live import ROOT, LivePlatform, command_line, platform_running
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]
DISK_BYTES = 1024 * 1024**2
SEEN_WITHIN_S = 90.0


class Patient:
    """A platform, and the doctor's three ways of speaking of it."""

    def __init__(self, platform: LivePlatform, disk: Disk) -> None:
        self.platform = platform
        self.disk = disk
        jar = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._browser = urllib.request.build_opener(jar)
        form = self._page("/login/")
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token
        fields = {"username": "admin", "password": platform.password, "csrfmiddlewaretoken": token.group(1)}
        self._page("/login/", urllib.parse.urlencode(fields).encode())

    def command(self) -> tuple[int, dict[str, Any]]:
        """Exit code and report of `manage.py doctor --json`."""
        return doctor_command(self.platform.data_dir, self.platform.environment())

    def rest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.platform.client.get("doctor/").json
        return found

    def page(self) -> str:
        return self._page("/doctor/?now")

    def process(self, *words: str) -> psutil.Process:
        """The one process of the platform with these words in its command line."""
        found = [
            each
            for each in self.platform.processes()
            if all(word in " ".join(command_line(each)) for word in words)
        ]
        return min(found, key=lambda each: float(each.create_time()))

    def until(self, level: str, check: str, words: str) -> dict[str, Any]:
        """Waits until it is found."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            report = self.rest()
            found[:] = [
                each
                for each in report["findings"]
                if (each["check"], each["level"]) == (check, level) and words in each["summary"]
            ]
            return bool(found)

        wait_until(seen, timeout_s=SEEN_WITHIN_S, every_s=1.0, what=lambda: f"{check} {level}: {self.rest()}")
        return found[0]

    def until_well(self) -> None:
        wait_until(
            lambda: self.rest()["level"] == "ok",
            timeout_s=SEEN_WITHIN_S,
            every_s=1.0,
            what=lambda: f"everything in order: {self.rest()}",
        )

    def _page(self, path: str, body: bytes | None = None) -> str:
        with self._browser.open(self.platform.base_url + path, body, timeout=60) as answer:
            return str(answer.read().decode())


def doctor_command(data_dir: Path, environment: dict[str, str]) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor", "--json"],
        cwd=ROOT,
        env={**environment, "MLPLATFORM_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@contextlib.contextmanager
def held(process: psutil.Process) -> Iterator[None]:
    """The process does nothing meanwhile, as one that hangs; nobody starts another, because it has not ended."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Patient]:
    folder = tmp_path_factory.mktemp("doctor")
    with disk_mounted(folder / "disk", size_bytes=DISK_BYTES) as disk, platform_running(disk.path) as running:
        patient = Patient(running, disk)
        patient.until_well()
        yield patient


def test_a_healthy_platform_is_in_order_in_every_part(patient: Patient) -> None:
    code, report = patient.command()
    assert code == 0, report
    assert {each["level"] for each in report["findings"]} == {"ok"}
    assert {each["check"] for each in report["findings"]} >= {
        *("disk", "database", "broker", "store", "clock", "gateway", "scheduler", "settings", "exposure"),
        *("workers", "jobs", "hosts", "endpoints", "table_runs", "evaluations", "data_capture"),
    }
    assert patient.rest()["level"] == "ok"
    assert "Everything is in order" in patient.page()


def test_a_redis_that_is_stopped_is_told_and_the_remedy_mends_it(patient: Patient) -> None:
    redis = patient.process("redis-server")
    with held(redis):
        code, report = patient.command()
        [found] = [each for each in report["findings"] if each["level"] == "failed"]
        page = patient.page()
        assert f"`kill -KILL {redis.pid}`" in found["remedy"]
        redis.kill()
    assert code == 1
    assert found["check"] == "broker" and "does not answer" in found["summary"]
    assert "manage.py up" in found["remedy"]
    assert "1 thing does not work" in page and "Jobs and table runs wait until it is back" in page
    assert "<code>manage.py up</code>" in page
    wait_until(lambda: not redis.is_running(), what="the end of Redis", timeout_s=SEEN_WITHIN_S)
    patient.until_well()


def test_worker_host_and_scheduler_that_hang_are_told_with_their_numbers(patient: Patient) -> None:
    with (
        held(patient.process("manage.py", "worker")) as _,
        held(patient.process("manage.py", "host")) as _,
        held(patient.process("manage.py", "scheduler")) as _,
    ):
        pids = {name: patient.process("manage.py", name).pid for name in ("worker", "host", "scheduler")}
        found = {
            "worker": patient.until("failed", "workers", "No worker is alive"),
            "host": patient.until("failed", "hosts", "No host is alive"),
            "scheduler": patient.until("failed", "scheduler", "No scheduler is alive"),
        }
        page = patient.page()
    for name, finding in found.items():
        assert f"kill -CONT {pids[name]}" in finding["remedy"]
        assert f"<code>kill -CONT {pids[name]}</code>" in page
    patient.until_well()


def test_a_worker_that_was_killed_is_started_again_and_nobody_is_alarmed(patient: Patient) -> None:
    worker = patient.process("manage.py", "worker")
    worker.kill()
    wait_until(lambda: not worker.is_running(), what="the end of the worker", timeout_s=SEEN_WITHIN_S)
    patient.until_well()


def test_a_full_disk_is_told_and_the_page_still_opens(patient: Patient) -> None:
    patient.disk.fill()
    try:
        code, report = patient.command()
        failed = [each for each in report["findings"] if each["level"] == "failed"]
        found = {each["check"]: each for each in reversed(failed)}
        page = patient.page()
        rest = patient.rest()
    finally:
        patient.disk.free()
    assert code == 1
    assert "0 bytes of 1 GiB free" in found["disk"]["summary"]
    assert "First enlarge that disk" in found["disk"]["remedy"]
    assert "takes no writes" in found["database"]["summary"]
    assert "First enlarge that disk" in found["database"]["remedy"]
    assert found["store"]["summary"] == "The object store is full"
    assert "First enlarge that disk" in found["store"]["remedy"]
    assert "0 bytes of 1 GiB free" in page and "The object store is full" in page
    assert rest["level"] == "failed"
    assert "kill " not in json.dumps(report)  # nobody is to end what only cannot write down that it lives
    patient.until_well()


def test_jobs_for_a_queue_that_nobody_serves_are_told_with_the_command(patient: Patient) -> None:
    client = patient.platform.client
    request = {
        "name": "waits-for-a-gpu",
        "algorithm": "knn",
        "hyperparameters": {"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 100},
        "channels": {"train": {"dataset": "iris-train"}},
        "instance_type": "local.gpu",
    }
    answer = client.post("projects/default/training-jobs/", request)
    assert answer.status == 201, answer.text
    found = patient.until("failed", "workers", "jobs wait on the queue gpu")
    assert "manage.py worker --queues gpu" in found["remedy"]
    assert "waits-for-a-gpu" not in json.dumps(patient.rest())
    client.post("projects/default/training-jobs/waits-for-a-gpu/stop/")
    patient.until_well()


GUIDE = ROOT / "docs" / "operations.md"


def commands_of(heading: str) -> str:
    """The shell commands of a chapter of the operators' guide, as they stand."""
    [chapter] = re.findall(rf"^## {heading}$(.*?)(?=^## )", GUIDE.read_text(encoding="utf-8"), re.M | re.S)
    return "\n".join(re.findall(r"^```sh$(.*?)^```$", chapter, re.M | re.S))


def test_a_backup_as_the_operators_guide_says_is_whole(patient: Patient, tmp_path: Path) -> None:
    """Taken while the platform runs, restored elsewhere: nothing that a row refers to is missing there."""

    def told(commands: str, data: Path) -> str:
        done = subprocess.run(
            ["sh", "-euc", commands],
            cwd=ROOT,
            env={**patient.platform.environment(), "DATA": str(data), "BACKUP": str(tmp_path / "backup")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for _time in range(2):  # the second backup goes over the first
        told(commands_of("Backup"), patient.platform.data_dir)
    restored = tmp_path / "restored"
    orphans = told(commands_of("Restore"), restored)
    assert "\n0 rows refer to an object that is not there" in orphans
    with contextlib.closing(sqlite3.connect(restored / "db.sqlite3")) as database:
        uris = [
            uri
            for (uri,) in database.execute(
                "SELECT artifact_uri FROM jobs_trainingjob WHERE artifact_uri != ''"
            )
        ]
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert uris
    for uri in uris:
        assert (restored / "store" / uri.removeprefix("s3://")).is_file()
    assert (restored / "secret_key").read_bytes() == (patient.platform.data_dir / "secret_key").read_bytes()
    report = doctor_command(restored, patient.platform.environment())[1]
    assert [each["level"] for each in findings_of(report, "database")] == ["ok"]


# ---- without any process


def findings_of(report: dict[str, Any], check: str) -> list[dict[str, Any]]:
    return [each for each in report["findings"] if each["check"] == check]


@pytest.fixture
def environment() -> dict[str, str]:
    return clean_environment()


def test_the_command_works_where_nothing_is_and_makes_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    folder = tmp_path / "none"
    code, report = doctor_command(folder, environment)
    assert code == 1
    assert "There is no folder" in findings_of(report, "disk")[0]["summary"]
    assert "There is no database" in findings_of(report, "database")[0]["summary"]
    assert "Not looked at" in findings_of(report, "database")[1]["summary"]
    assert not folder.exists()


def test_the_command_works_on_a_read_only_disk(tmp_path: Path, environment: dict[str, str]) -> None:
    with disk_mounted(tmp_path / "disk", size_bytes=8 * 1024**2) as disk:
        (disk.path / "secret_key").write_text("k" * 60)
        disk.read_only()
        code, report = doctor_command(disk.path, environment)
    assert code == 1
    assert any("read-only" in each["summary"] for each in findings_of(report, "disk"))


def test_a_database_server_that_is_away_is_told_without_its_password(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    away = {**environment, "DATABASE_URL": "postgres://me:hidden-password@127.0.0.1:1/platform"}
    code, report = doctor_command(tmp_path, away)
    assert code == 1
    found = findings_of(report, "database")[0]
    assert found["level"] == "failed" and "127.0.0.1 does not answer" in found["summary"]
    assert "systemctl start postgresql" in found["remedy"]
    assert "hidden-password" not in json.dumps(report)


def test_a_database_server_that_hangs_does_not_make_the_doctor_hang(
    tmp_path: Path, environment: dict[str, str], mute_server: Callable[[], int]
) -> None:
    hanging = {**environment, "DATABASE_URL": f"postgres://me@127.0.0.1:{mute_server()}/platform"}
    code, report = doctor_command(tmp_path, hanging)
    assert code == 1
    told = [each["summary"] for each in findings_of(report, "database")]
    assert any("no answer within" in each or "does not answer (" in each for each in told), told
    assert any("Not looked at" in each for each in told), told
    assert findings_of(report, "disk") and findings_of(report, "store")


@pytest.fixture
def mute_server() -> Iterator[Callable[[], int]]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield lambda: int(server.getsockname()[1])


def test_settings_that_cannot_be_read_are_told_in_a_line(tmp_path: Path, environment: dict[str, str]) -> None:
    wrong = {**environment, "MLPLATFORM_UPLOAD_LIMIT_BYTES": "a lot", "MLPLATFORM_DATA_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env=wrong,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == os.EX_CONFIG
    assert "MLPLATFORM_UPLOAD_LIMIT_BYTES='a lot' is not a whole number" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
