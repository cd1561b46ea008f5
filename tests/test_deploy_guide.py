"""`docs/deploy.md` is followed as it stands, once, on several "machines" of this computer that share nothing but
Postgres, Redis and an S3 store.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import yaml

from mlplatform.core.startup.redis import redis_program
from tests.live import ROOT, deploy_environment
from tests.object_stores import child_running, store_running
from tests.polling import wait_until
from tests.postgres import postgres_running
from tests.test_deployment import COMPOSE, GUIDE

PROGRAMS = ("psql", "pg_dump", "pg_restore", "curl")


def blocks_of(heading: str) -> list[str]:
    """The shell commands below a heading of the guide, block by block, as they stand."""
    text = GUIDE.read_text(encoding="utf-8")
    [chapter] = re.findall(rf"^##+ {re.escape(heading)}$(.*?)(?=^##|\Z)", text, re.M | re.S)
    found = re.findall(r"^```sh$(.*?)^```$", chapter, re.M | re.S)
    assert found, heading
    return found


class Reader:
    """Somebody who follows the guide: runs its blocks, and leaves those that wait running."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.variables = variables
        self._running: list[subprocess.Popen[bytes]] = []

    def run(self, block: str, **more: str) -> str:
        done = subprocess.run(
            ["sh", "-euc", block],
            cwd=ROOT,
            env=deploy_environment() | self.variables | more,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}\n{self.log()}"
        return done.stdout + done.stderr

    def leave_running(self, block: str, **more: str) -> None:
        with (self.folder / f"{len(self._running)}.log").open("wb") as log:
            self._running.append(
                subprocess.Popen(
                    ["sh", "-euc", block],
                    cwd=ROOT,
                    env=deploy_environment() | self.variables | more,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            )

    def log(self) -> str:
        return "\n".join(
            path.read_text(errors="replace")[-4000:] for path in sorted(self.folder.glob("*.log"))
        )

    def end(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            for popen in self._running:
                try:
                    os.killpg(popen.pid, number)
                except ProcessLookupError:
                    continue
            if number == signal.SIGTERM:
                deadline = time.monotonic() + 20
                while any(_has_group(popen) for popen in self._running) and time.monotonic() < deadline:
                    time.sleep(0.1)
        for popen in self._running:
            popen.wait(10)


def _has_group(popen: subprocess.Popen[bytes]) -> bool:
    popen.poll()
    try:
        os.killpg(popen.pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """The services that a reader has, and addresses for three machines."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        assert os.environ.get("CI") != "true", (
            f"not on this machine: {lacking}; with CI=true nothing may be skipped"
        )
        pytest.skip(f"the guide's programs are not on this machine: {', '.join(lacking)}")
    net = f"127.78.{os.getpid() % 250}"
    front, redis = f"{net}.1", f"redis://:word@{net}.1:6379/0"
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres_running(address=front))
        options = {"bind": front, "port": "6379", "requirepass": "word", "save": ""}
        argv = [
            str(redis_program()),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]
        stack.enter_context(child_running(argv, tmp_path / "redis"))
        buckets = "mlplatform", "restored"
        store = stack.enter_context(store_running(front, tmp_path / "store", buckets=buckets))
        admin = cluster.url()
        made = Reader(
            tmp_path,
            {
                "ETC": str(tmp_path / "etc"),
                "DATA": str(tmp_path / "machines"),
                "BACKUP": str(tmp_path / "backup"),
                "ADMIN_URL": admin,
                "POSTGRES": admin.rpartition("@")[2].rpartition("/")[0],
                "REDIS_URL": redis,
                "S3_URL": store,
                "S3_KEY_ID": "key",
                "S3_KEY": "secret",
                "FRONT": front,
            },
        )
        try:
            yield made
        finally:
            made.end()


@pytest.mark.slow
def test_the_guide_leads_to_a_platform_on_several_machines_and_back_from_a_backup(reader: Reader) -> None:
    prepare, run = blocks_of("The first machine")
    [settings] = blocks_of("The settings that all machines share")
    [join] = blocks_of("A worker or a host on another machine")
    [look] = blocks_of("Is it well?")
    backup, restore = blocks_of("Back up and restore")
    front = reader.variables["FRONT"]

    reader.run(settings)
    said = reader.run(prepare)
    assert "Sign in as admin with the first password" in said
    reader.leave_running(run)
    for number, machine in enumerate(("east", "west"), start=2):
        reader.leave_running(join, MACHINE=machine, ADDRESS=front[: -len("1")] + str(number))
    wait_until(lambda: _workers(reader) == 2, timeout_s=60, every_s=0.5, what=reader.log)

    told = reader.run(look)
    assert "the Iris sample is ready" in told and "it predicts" in told, told
    assert 'mlplatform_queue_workers{queue="cpu"} 2.0' in told, told
    assert '"status":"ok"' in told, told

    reader.run(backup)
    assert "objects, 0 copied" in reader.run(backup), "a second backup copies what is new"
    with psycopg.connect(reader.variables["ADMIN_URL"], autocommit=True) as connection:
        connection.execute("CREATE DATABASE restored OWNER platform")
    password_and_place = _setting(reader, "DATABASE_URL").rpartition("/")[0]
    restored = reader.run(
        restore, RESTORED_URL=f"{password_and_place}/restored", RESTORED_STORE="s3://restored"
    )
    assert "\n0 rows refer to an object that is not there" in restored, restored


def _setting(reader: Reader, name: str) -> str:
    text = Path(reader.variables["ETC"], "platform.env").read_text(encoding="utf-8")
    [value] = re.findall(rf"^{name}=(.*)$", text, re.M)
    return str(value)


def _workers(reader: Reader) -> int:
    """Machines with both a worker and a host, in a platform that answers."""
    front = reader.variables["FRONT"]
    try:
        with urllib.request.urlopen(f"http://{front}:8000/api/v1/health/", timeout=5) as answer:
            assert answer.status == 200
    except OSError:
        return 0
    with psycopg.connect(_setting(reader, "DATABASE_URL"), autocommit=True) as connection:
        rows = connection.execute("SELECT kind, count(*) FROM core_node GROUP BY kind").fetchall()
    found = dict(rows)
    return int(min(found.get("worker", 0), found.get("host", 0)))


@pytest.mark.slow
def test_the_secrets_of_the_stack_are_made_once(tmp_path: Path) -> None:
    [block] = blocks_of("With Docker Compose")
    seen = []
    for _ in range(2):
        done = subprocess.run(["sh", "-euc", block], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        seen.append({path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()})
    assert seen[0] == seen[1]
    assert set(seen[0]) == set(COMPOSE["secrets"])
    assert f":{seen[0]['postgres_password']}@postgres:5432/mlplatform" in seen[0]["database_url"]
    assert yaml.safe_load(seen[0]["store_identities"])["identities"][0]["credentials"] == [
        {"accessKey": seen[0]["store_key_id"], "secretKey": seen[0]["store_key"]}
    ]
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
