"""The whole platform as its users see it: `manage.py up` on a free port.

Used by the fixture `platform`; nothing of it runs in the test's own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg

from jobs.runner.launch import MARKER
from tests.environment import clean_environment
from tests.migrated import migrated_file
from tests.polling import wait_until
from tests.rest_client import Client
from tests.services import free_port, platform_services

ROOT = Path(__file__).resolve().parent.parent
START_WITHIN_S = 90.0
FIRST_RUN_WITHIN_S = 180.0
END_WITHIN_S = 60.0


class LivePlatform:
    """A running platform in a data directory of its own; `start` it, and `stop` it again.

    Args:
        from_nothing: Its first start is one in an empty folder; else its database has its tables already.

    Attributes:
        base_url: Where it answers.
        client: Requests as `admin` in the project `default`, after `start`.
    """

    username = "admin"

    def __init__(self, folder: Path, *, from_nothing: bool = False) -> None:
        self.data_dir = folder / "data"
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.client = Client(self.base_url)
        self.password = ""
        self.services = platform_services(from_nothing=from_nothing)
        if not self.services and not from_nothing:
            migrated_file(self.data_dir / "db.sqlite3")
        self._log_path = folder / "up.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace") if self._log_path.exists() else ""

    @property
    def pid(self) -> int:
        assert self._popen is not None
        return self._popen.pid

    def start(self) -> None:
        """Starts it and waits until it answers, and on a first start until the sample is deployed."""
        with self._log_path.open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--data-dir", self.data_dir, "--port", str(self.port)],
                cwd=ROOT,
                env={
                    **self.environment(),
                    "MLPLATFORM_ENDS_WITH_PARENT": str(os.getpid()),
                    "MLPLATFORM_QUEUES": "cpu",  # tests of types that nobody serves hold on a machine with a GPU too
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self._wait_until("health answers", self._is_healthy, START_WITHIN_S)
        except BaseException:
            self.kill()
            raise

    def sign_up(self) -> None:
        """Waits for the end of the first run, reads the password it printed and makes an access key."""
        self._wait_until("the first run is over", self._is_set_up, FIRST_RUN_WITHIN_S)
        printed = re.search(r"first password (\S+)", self.log)
        assert printed, f"no password was printed:\n{self.log}"
        self.password = printed.group(1)
        self.client = self.client_of(user=self.username, project="default")

    def client_of(self, *, user: str, project: str) -> Client:
        """A client with a new access key of the user in the project."""
        key = self.manage("access_key", "create", "--user", user, "--project", project, "--json")
        return Client(self.base_url, token=json.loads(key)["token"])

    def manage(self, *arguments: str, input_text: str = "") -> str:
        """The output of a `manage.py` command on the platform's data."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env={**self.environment(), "MLPLATFORM_DATA_DIR": str(self.data_dir)},
            input=input_text,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The environment of its processes, with where its database and its broker are when they are not its own."""
        return clean_environment() | self.services

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows that its database answers."""
        if self.services:
            with psycopg.connect(self.services["DATABASE_URL"]) as server:
                return server.execute(sql.encode()).fetchall()
        path = self.data_dir / "db.sqlite3"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
            return file.execute(sql).fetchall()

    def processes(self) -> list[psutil.Process]:
        """Every process of this platform, found by the data directory in its arguments or environment."""
        found = [process for process in psutil.process_iter() if self._is_ours(process)]
        return [process for process in found if process.pid != os.getpid()]

    def job_processes(self) -> list[psutil.Process]:
        """The first process of every job at work, without those that wait for one."""
        found = []
        for process in self.processes():
            module = command_line(process)[1:3]
            if module == ["-m", "jobs.runner"] or (
                module == ["-m", "jobs.runner.warm"] and _has_begun(process)
            ):
                found.append(process)
        return found

    def waiting_processes(self, kind: str) -> list[psutil.Process]:
        """Those that were started ahead for jobs of the kind and have none yet."""
        return [
            process
            for process in self.processes()
            if command_line(process)[1:4] == ["-m", "jobs.runner.warm", kind] and not _has_begun(process)
        ]

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Ends it as Ctrl-C does, and fails if it does not end in order or leaves a process behind."""
        assert self._popen is not None
        self._popen.send_signal(number)
        try:
            code = self._popen.wait(timeout=END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(
                f"still running {END_WITHIN_S:g} s after {number.name}:\n{self.log}"
            ) from None
        left = self.processes()
        assert not left, f"left running: {[process.cmdline() for process in left]}"
        assert code == 0, f"ended with exit code {code}:\n{self.log}"

    def kill(self) -> None:
        """The sudden death of the process that started everything."""
        assert self._popen is not None
        self._popen.kill()
        self._popen.wait()

    def kill_everything(self) -> None:
        """The sudden death of all of it, at one moment: the first process first, so that it starts none again."""
        processes = self.processes()
        self.kill()
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def _is_healthy(self) -> bool:
        try:
            answer = Client(self.base_url).get("health/")
        except OSError:
            return False
        return answer.status == 200 and answer.json["status"] == "ok"

    def _is_set_up(self) -> bool:
        """The first run is a process of its own and ends when all is deployed."""
        return "mlplatform is running" in self.log and not any(
            "first_run" in command_line(process) for process in self.processes()
        )

    def _wait_until(self, what: str, condition: Any, timeout_s: float) -> None:
        popen = self._popen
        assert popen is not None
        wait_until(
            lambda: popen.poll() is not None or condition(),
            timeout_s=timeout_s,
            every_s=0.1,
            what=lambda: f"{what}:\n{self.log}",
        )
        assert popen.poll() is None, f"ended with exit code {popen.returncode} before {what}:\n{self.log}"

    def _is_ours(self, process: psutil.Process) -> bool:
        folder = str(self.data_dir)
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return False
            return any(folder in text for text in (*process.cmdline(), *process.environ().values()))
        except psutil.Error:
            return False


def command_line(process: psutil.Process) -> list[str]:
    """Its arguments; none of a process that has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def _has_begun(process: psutil.Process) -> bool:
    """Whether a process that was started ahead has its job: its first folder is a link to the job's then."""
    try:
        return Path(process.environ().get(MARKER, "")).is_symlink()
    except psutil.Error:
        return False


def deploy_environment() -> dict[str, str]:
    """`clean_environment` without an object store's variables."""
    return {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}


@contextlib.contextmanager
def platform_running(folder: Path, *, from_nothing: bool = False) -> Iterator[LivePlatform]:
    """A platform after its first run; at the end it is ended as a person does, and nothing may be left."""
    running = LivePlatform(folder, from_nothing=from_nothing)
    running.start()
    try:
        running.sign_up()
    except BaseException:
        running.kill()
        raise
    yield running
    running.stop()
