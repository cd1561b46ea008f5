"""Real Postgres and Redis for a whole test run: `TEST_ON=postgres python -m pytest ...`.

One private cluster and one private Redis on loopback, started by the first process of the run and ended with it; test
processes below it find them by variables. Every test process has a database of its own there (pytest-django makes it)
and a port of its own where its tests may start a Redis; every live platform has a database and a Redis database.

Django-free: the settings of the test run ask first.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from mlplatform.core.startup.options import StartRefused
from mlplatform.core.startup.redis import redis_program
from tests.migrated import migrated_ensure, migrated_template
from tests.polling import wait_until
from tests.postgres import postgres_programs, postgres_running

ON: Final = "TEST_ON"
"""`postgres`, or nothing: SQLite, and a Redis on a unix socket."""
DATABASE: Final = "TEST_DATABASE_URL"
BROKER: Final = "TEST_BROKER_URL"
MISSING: Final = "TEST_SERVICES_MISSING"
_REDIS_DATABASES: Final = 2000
_NEEDED_BY: Final = frozenset(
    {"db", "transactional_db", "django_db_setup", "database", "platform", "own", "redis"}
)
"""Fixtures of whoever asks a database or a broker: Django's, the platforms' and Redis'."""


def is_on() -> bool:
    """Whether this run is on real services."""
    return os.environ.get(ON) == "postgres"


def services_ensure() -> None:
    """Starts both, unless a process above did; they end with this process. What is missing is said by `missing`.

    Raises:
        pytest.UsageError: A program is missing, and CI=true says that nothing may be skipped.
    """
    asked = os.environ.get(ON, "")
    if asked not in {"", "sqlite", "postgres"}:
        raise pytest.UsageError(f"{ON}={asked}: it is sqlite or postgres")
    migrated_ensure()
    if not is_on() or os.environ.get(DATABASE) or missing():
        return
    lacking = _lacking()
    if lacking and os.environ.get("CI") == "true":
        raise pytest.UsageError(f"{lacking}; with CI=true no test may be skipped")
    if lacking:
        os.environ[MISSING] = lacking
        return
    running = contextlib.ExitStack()
    atexit.register(running.close)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that they end then too
    cluster = running.enter_context(postgres_running())
    os.environ[DATABASE] = cluster.database_new("tests")
    os.environ[BROKER] = running.enter_context(_redis_running())


def missing() -> str:
    """What this machine lacks, so that everything is skipped; empty when the services run or nobody asked for them."""
    return os.environ.get(MISSING, "")


def platform_services(*, from_nothing: bool = False) -> dict[str, str]:
    """Variables of one live platform more: a database with all tables, or with nothing, and a part of the Redis.
    None on SQLite.
    """
    if not is_on():
        return {}
    name = f"platform_{uuid.uuid4().hex[:12]}"
    server = os.environ[DATABASE].rpartition("/")[0]
    _database_new(name, template="template1" if from_nothing else migrated_template(_database_new))
    broker = os.environ[BROKER]
    with Redis.from_url(f"{broker}/0") as redis:
        number = int(redis.incr("platforms"))
    return {"DATABASE_URL": f"{server}/{name}", "CELERY_BROKER_URL": f"{broker}/{number}"}


def _database_new(name: str, template: str = "template1") -> str:
    """Its address; what has its name goes."""
    server = os.environ[DATABASE].rpartition("/")[0]
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}"')
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return f"{server}/{name}"


def asks_services(item: pytest.Item) -> bool:
    """Whether what a test proves can depend on the database or the broker: it uses one, or a whole platform.

    What is seen in a browser does not, how pages look and what their scripts do: what pages say, and what becomes of a
    form, is proved on both without one, and the ways over a whole platform are walked on both by REST. Neither does
    what is marked `once`: how files are read, how libraries and processes behave, what is refused at every door.
    """
    fixtures = set(getattr(item, "fixturenames", ()))
    if item.get_closest_marker("once") is not None or "chromium" in fixtures:
        return False
    return bool(_NEEDED_BY & fixtures) or item.get_closest_marker("django_db") is not None


def select(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of all tests, those to run on the services; the others need not run twice."""
    asking = [item for item in items if asks_services(item)]
    config.hook.pytest_deselected(items=[item for item in items if not asks_services(item)])
    items[:] = asking
    if missing():
        for item in items:
            item.add_marker(pytest.mark.skip(reason=missing()))


def summary(stats: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """What a run on services says at its end."""
    if missing():
        yield f"on Postgres and Redis: skipped, {missing()}"
    elif is_on():
        n_run = sum(len(stats.get(outcome, ())) for outcome in ("passed", "failed", "xfailed", "xpassed"))
        yield f"on Postgres and Redis: {n_run} tests that use a database, a broker or a whole platform"


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _lacking() -> str:
    if postgres_programs() is None:
        return "no Postgres on this machine (as root on Debian: apt-get install postgresql)"
    try:
        redis_program()
    except StartRefused as error:
        return str(error)
    return ""


@contextlib.contextmanager
def _redis_running() -> Iterator[str]:
    """A Redis on a free loopback port that keeps nothing; gives its address without the number of a database."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="mlp-redis-"))
    options = {"port": port, "bind": "127.0.0.1", "save": "", "dir": folder, "databases": _REDIS_DATABASES}
    argv = [
        str(redis_program()),
        *(part for name, value in options.items() for part in (f"--{name}", str(value))),
    ]
    popen = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        with Redis(port=port) as redis:
            wait_until(lambda: _answers(redis), timeout_s=20, what="an answer of Redis")
        yield f"redis://127.0.0.1:{port}"
    finally:
        popen.kill()
        popen.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except RedisAway:
        return False
