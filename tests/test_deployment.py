"""The files that deploy the platform: what they name exists, and `docs/deploy.md` is followed as it stands, once, on
several "machines" of this computer that share nothing but Postgres, Redis and an S3 store.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from django.core.management import get_commands, load_command_class

from mlplatform.core.startup.redis import redis_program
from tests.live import ROOT, clean_environment
from tests.polling import wait_until
from tests.postgres import postgres_running

GUIDE = ROOT / "docs" / "deploy.md"
PROGRAMS = ("psql", "pg_dump", "pg_restore", "curl")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("mlplatform")}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
KEYS = {
    *(
        "image",
        "build",
        "command",
        "entrypoint",
        "environment",
        "secrets",
        "depends_on",
        "restart",
        "volumes",
    ),
    *(
        "ports",
        "hostname",
        "healthcheck",
        "security_opt",
        "cap_drop",
        "shm_size",
        "stop_grace_period",
        "user",
    ),
    *("profiles", "deploy", "logging"),
}


# ---- what the files name


def test_every_service_says_only_what_compose_knows() -> None:
    assert set(COMPOSE) - {key for key in COMPOSE if key.startswith("x-")} == {
        "services",
        "secrets",
        "volumes",
    }
    for name, service in SERVICES.items():
        assert not set(service) - KEYS, name
        assert service["restart"] in {"unless-stopped", "on-failure", "no"}, name


def test_every_process_is_there_with_a_command_that_exists() -> None:
    commands = {service["command"][0] for service in OURS.values()}
    assert commands == {"migrate", "first_run", "web", "gateway", "worker", "host", "scheduler"}
    assert not commands - set(get_commands())
    for service in OURS.values():
        name = service["command"][0]
        command = load_command_class(get_commands()[name], name)
        known = command.create_parser("manage.py", name).format_help()
        options = [word for word in service["command"] if word.startswith("--")]
        assert not [option for option in options if option not in known], service["command"]


def test_every_variable_of_ours_is_documented() -> None:
    documented = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    for name, service in OURS.items():
        for variable in service["environment"]:
            if not variable.startswith("AWS_"):
                assert f"`{variable.removesuffix('_FILE')}`" in documented, f"{name}: {variable}"


def test_secrets_volumes_and_dependencies_are_declared_and_used() -> None:
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])
    mounted = {
        volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])
    }
    assert mounted == set(COMPOSE["volumes"])
    for name, service in SERVICES.items():
        for variable, value in (service.get("environment") or {}).items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
        for other, how in service.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert (
                "healthcheck" in SERVICES[other]
                if healthy
                else SERVICES[other]["restart"] != "unless-stopped"
            )


def test_no_service_of_ours_is_root_or_has_a_capability_and_none_comes_from_a_named_registry() -> None:
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.M) == ["mlplatform"]
    for name, service in OURS.items():
        assert "user" not in service and "privileged" not in service, name
        assert ("security_opt" in service) == (service.get("cap_drop") == ["ALL"]), name
    images = [service["image"] for service in SERVICES.values()] + re.findall(
        r"^FROM (\S+)", DOCKERFILE, re.M
    )
    for image in images:
        owner, tag = image.partition("/")[0] if "/" in image else "", image.rpartition(":")[2]
        assert "." not in owner and tag not in {image, "latest"}, image


def test_health_checks_ask_sockets_that_there_are() -> None:
    asked = [service["healthcheck"]["test"] for service in OURS.values() if "healthcheck" in service]
    assert sorted(each[-1] for each in asked) == ["gateway.sock", "web.sock"]
    done = subprocess.run([sys.executable, *asked[0][2:]], cwd=ROOT, env=_environment(), capture_output=True)
    assert done.returncode == 1, "nobody answers where nothing runs"


def test_the_image_has_what_the_processes_need() -> None:
    allowed = {line[1:].rstrip("/") for line in _lines(".dockerignore") if line.startswith("!")}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    assert packages | {"manage.py", "templates", "static", "requirements"} <= allowed
    assert all((ROOT / name).exists() for name in allowed)
    for name in re.findall(r"requirements/(\w+)\.txt", DOCKERFILE):
        assert (ROOT / "requirements" / f"{name}.txt").exists()
    frameworks = {
        service["build"]["args"]["FRAMEWORKS"] for service in OURS.values() if "args" in service["build"]
    }
    for name in {*frameworks, *re.findall(r"^ARG FRAMEWORKS=(\w+)$", DOCKERFILE, re.M)}:
        pinned = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
        assert "--hash=sha256:" in pinned, name
    assert DOCKERFILE.count("--require-hashes") == 2


def _lines(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_the_unit_starts_commands_with_the_settings_of_the_guide() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(ROOT / "docs" / "deploy" / "mlplatform@.service")
    service = unit["Service"]
    assert service["ExecStart"].endswith("manage.py %i $ARGS")
    assert service["RestartPreventExitStatus"] == "78"
    named = re.findall(r"mlplatform@(\w+)", GUIDE.read_text(encoding="utf-8"))
    assert {"web", "gateway", "scheduler", "worker", "host"} <= set(named)


# ---- the guide, followed


def blocks_of(heading: str) -> list[str]:
    """The shell commands below a heading of the guide, block by block, as they stand."""
    text = GUIDE.read_text(encoding="utf-8")
    [chapter] = re.findall(rf"^##+ {re.escape(heading)}$(.*?)(?=^##|\Z)", text, re.M | re.S)
    found = re.findall(r"^```sh$(.*?)^```$", chapter, re.M | re.S)
    assert found, heading
    return found


def _environment() -> dict[str, str]:
    return {name: value for name, value in clean_environment().items() if not name.startswith("AWS_")}


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
            env=_environment() | self.variables | more,
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
                    env=_environment() | self.variables | more,
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


@contextmanager
def _child(argv: list[str], folder: Path) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(argv, cwd=folder, **quiet) as popen:  # type: ignore[call-overload]
        try:
            yield
        finally:
            popen.kill()


def _put(url: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="PUT"), timeout=5):
            return True
    except OSError:
        return False


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
    front, redis, store = f"{net}.1", f"redis://:word@{net}.1:6379/0", f"http://{net}.1:9000"
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres_running(address=front))
        options = {"bind": front, "port": "6379", "requirepass": "word", "save": ""}
        argv = [
            str(redis_program()),
            *(part for name, value in options.items() for part in (f"--{name}", value)),
        ]
        stack.enter_context(_child(argv, tmp_path / "redis"))
        moto = [sys.executable, "-m", "moto.server", "-H", front, "-p", "9000"]
        stack.enter_context(_child(moto, tmp_path / "store"))
        wait_until(lambda: _put(f"{store}/mlplatform"), timeout_s=30, every_s=0.2, what="the S3 store")
        assert _put(f"{store}/restored")
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
