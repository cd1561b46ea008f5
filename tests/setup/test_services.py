"""A database, broker or store that is wrong or away at the start: one line names the setting and what is wrong, without
its password; what is away is waited for, what is wrong ends the process.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from mlplatform.core.startup.addresses import BROKER, DATABASE, STORE, Trouble, address_shown, addresses_check
from mlplatform.core.startup.redis import redis_program
from mlplatform.core.startup.services import service_ask
from mlplatform.core.startup.services_wait import EXIT_AWAY, EXIT_WRONG, NEEDS, services_wait
from tests.environment import clean_environment
from tests.live import ROOT
from tests.polling import wait_until
from tests.postgres import Postgres, postgres_running
from tests.services import free_port
from tests.setup.wrong_services import amqp_that_closes, s3_that_says

PASSWORD = "s3cret-word"


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)

    def put(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return put


def asked(setting: str, address: str, **options: bool) -> Trouble:
    trouble = service_ask(setting, address, **options)
    assert trouble is not None, "nothing was found wrong"
    assert PASSWORD not in trouble.line and "\n" not in trouble.line
    assert trouble.line.startswith(setting)
    return trouble


# ---- the text of an address


@pytest.mark.parametrize(
    ("setting", "address", "said"),
    [
        (DATABASE, "mysql://user:s3cret-word@host/name", "the scheme 'mysql' is not one of postgres://"),
        (DATABASE, "localhost/name", "this is no address; use postgres://"),
        (DATABASE, "postgres://user:s3cret-word@host:54x/name", "a port is a whole number from 1 to 65535"),
        (DATABASE, "postgres://user:s3cret-word@host:70000/name", "a port is a whole number from 1 to 65535"),
        (DATABASE, "postgres://user:s3cret-word#@host/name", "%40 %2F %23"),
        (DATABASE, "postgres://user:s3cret-word@host", "the name of the database is missing"),
        (DATABASE, "postgres://user:54/s3cret-word@host/name", "%40 %2F %23"),
        (DATABASE, "postgres://user:s3cret-word@host/a/b", "'a/b' is not the name of a database"),
        (BROKER, "http://host", "the scheme 'http' is not one of redis://"),
        (BROKER, "redis://:s3cret-word@host:0/0", "the port 0 is none"),
        (BROKER, "redis://:s3cret-word@host:6379/first", "'first' is not the number of a Redis database"),
        (BROKER, "redis://user:63/s3cret-word@host", "%40 %2F %23"),
        (BROKER, "amqp:///vhost", "the host is missing"),
        (BROKER, "redis+socket://", "the path of the socket is missing"),
        (STORE, "gs://bucket", "the scheme 'gs' is not one of file://, s3://"),
        (STORE, "s3://", "the bucket is missing"),
        (STORE, "/srv/store", "this is no address; use s3://bucket or file:///folder"),
    ],
)
def test_an_address_that_cannot_be_one_is_told_without_its_password(
    setting: str, address: str, said: str, environment: Callable[..., None]
) -> None:
    environment(**{setting: address})
    [trouble] = addresses_check()
    assert trouble.setting == setting and said in trouble.said, trouble.line
    assert PASSWORD not in trouble.line and not trouble.passes


@pytest.mark.parametrize(
    ("endpoint", "allowed", "said"),
    [
        ("http://store:9000", "", "AWS_ALLOW_HTTP=true"),
        ("store:9000", "true", "AWS_ENDPOINT_URL='store:9000' is no address"),
        ("http://store:900000", "true", "no port from 1 to 65535"),
        ("http://store:9000", "true", ""),
    ],
)
def test_the_endpoint_of_a_store_is_checked_with_it(
    endpoint: str, allowed: str, said: str, environment: Callable[..., None]
) -> None:
    environment(OBJECT_STORE_URL="s3://bucket", AWS_ENDPOINT_URL=endpoint, AWS_ALLOW_HTTP=allowed)
    assert [said in trouble.said for trouble in addresses_check()] == ([True] if said else [])


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgres://user:a@b/c#d?e@host:5432/name?sslmode=require", "postgres://user@host:5432/name"),
        ("redis://:word@host/0", "redis://host/0"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("user:word", ""),
    ],
)
def test_what_is_shown_of_an_address_has_no_password(address: str, shown: str) -> None:
    assert address_shown(address) == shown


def test_a_file_of_a_setting_that_cannot_be_read_is_named(environment: Callable[..., None]) -> None:
    environment(DATABASE_URL_FILE="/nowhere/url")
    [trouble] = addresses_check()
    assert (
        trouble.line == "DATABASE_URL_FILE (/nowhere/url): the file cannot be read: No such file or directory"
    )


# ---- services that are away


@pytest.mark.parametrize(
    ("setting", "address"),
    [
        (DATABASE, f"postgres://user:{PASSWORD}@127.0.0.1:{{port}}/name"),
        (BROKER, f"redis://:{PASSWORD}@127.0.0.1:{{port}}/0"),
        (BROKER, f"amqp://user:{PASSWORD}@127.0.0.1:{{port}}//"),
        (STORE, "s3://bucket"),
    ],
)
@pytest.mark.parametrize(
    ("host", "said"), [("127.0.0.1", "connection refused"), ("nowhere.invalid", "no host of that name")]
)
def test_one_that_nobody_serves_may_come_and_is_told(
    setting: str, address: str, host: str, said: str, environment: Callable[..., None]
) -> None:
    port = str(free_port())
    environment(
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY=PASSWORD,
        AWS_ENDPOINT_URL=f"http://{host}:{port}",
        AWS_ALLOW_HTTP="true",
    )
    trouble = asked(setting, address.format(port=port).replace("127.0.0.1", host))
    assert said in trouble.said and trouble.passes, trouble.line


@pytest.mark.parametrize("setting", [DATABASE, BROKER, STORE])
def test_one_that_takes_connections_and_says_nothing_is_told(
    setting: str, environment: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlplatform.core.startup.services.CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        environment(
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY=PASSWORD,
            AWS_ENDPOINT_URL=f"http://{place}",
            AWS_ALLOW_HTTP="true",
        )
        addresses = {DATABASE: f"postgres://u@{place}/n", BROKER: f"redis://{place}/0", STORE: "s3://bucket"}
        trouble = asked(setting, addresses[setting])
    assert "no answer within" in trouble.said and trouble.passes


# ---- services that refuse


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (404, "NoSuchBucket", "there is no bucket 'bucket'"),
        (403, "AccessDenied", "may not write and delete in the bucket 'bucket'"),
        (403, "SignatureDoesNotMatch", "the store refused the key"),
        (403, "InvalidAccessKeyId", "the store refused the key"),
        (403, "RequestTimeTooSkewed", "the clock of this machine"),
        (404, "", "no S3 store answers there"),
    ],
)
def test_a_store_that_refuses_is_wrong(
    status: int, code: str, said: str, environment: Callable[..., None]
) -> None:
    with s3_that_says(status, code) as endpoint:
        environment(
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY=PASSWORD,
            AWS_ENDPOINT_URL=endpoint,
            AWS_ALLOW_HTTP="true",
        )
        trouble = asked(STORE, "s3://bucket")
    assert said in trouble.said and not trouble.passes, trouble.line


def test_without_credentials_what_the_machine_answers_is_not_taken_for_the_stores_answer(
    environment: Callable[..., None],
) -> None:
    with s3_that_says(403) as machine:
        environment(AWS_METADATA_ENDPOINT=machine, AWS_ALLOW_HTTP="true")
        trouble = asked(STORE, "s3://bucket")
    assert "no credentials; set AWS_ACCESS_KEY_ID" in trouble.said and not trouble.passes
    assert "write" not in trouble.said


def test_a_store_that_takes_what_it_is_given_is_well_with_keys_out_of_files(
    tmp_path: Path, environment: Callable[..., None]
) -> None:
    for name in ("id", "secret"):
        (tmp_path / name).write_text(f"{name}\n")
    with s3_that_says(200) as endpoint:
        environment(
            AWS_ACCESS_KEY_ID_FILE=str(tmp_path / "id"),
            AWS_SECRET_ACCESS_KEY_FILE=str(tmp_path / "secret"),
            AWS_ENDPOINT_URL=endpoint,
            AWS_ALLOW_HTTP="true",
        )
        assert service_ask(STORE, "s3://bucket") is None


def test_a_folder_that_cannot_be_made_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    trouble = asked(STORE, f"file://{tmp_path}/file/store")
    assert "the folder cannot be made: Not a directory" in trouble.said and not trouble.passes
    assert service_ask(STORE, f"file://{tmp_path}/store") is None


@pytest.mark.parametrize(
    ("reply", "words", "after_open", "said"),
    [
        (403, "ACCESS_REFUSED - Login was refused", False, "refused user or password"),
        (530, "NOT_ALLOWED - vhost jobs not found", True, "no virtual host 'jobs'"),
    ],
)
def test_a_rabbitmq_that_refuses_is_wrong(reply: int, words: str, after_open: bool, said: str) -> None:
    with amqp_that_closes(reply, words, after_open=after_open) as port:
        trouble = asked(BROKER, f"amqp://user:{PASSWORD}@127.0.0.1:{port}/jobs")
    assert said in trouble.said and not trouble.passes, trouble.line


@pytest.fixture(scope="module")
def redis_port() -> Iterator[int]:
    """A Redis over TCP with a password."""
    port = free_port()
    argv = [str(redis_program()), "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD]
    with subprocess.Popen([*argv, "--save", "", "--databases", "2"], stdout=subprocess.DEVNULL) as popen:
        try:
            wait_until(lambda: _listens(port), timeout_s=10, every_s=0.05, what="Redis")
            yield port
        finally:
            popen.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    ("credentials", "database", "said"),
    [
        ("", 0, "refused user or password"),
        (":wrong@", 0, "refused user or password"),
        (f":{PASSWORD}@", 7, "the Redis has no database 7"),
        (f":{PASSWORD}@", 1, ""),
    ],
)
def test_a_redis_that_refuses_is_wrong(redis_port: int, credentials: str, database: int, said: str) -> None:
    address = f"redis://{credentials}127.0.0.1:{redis_port}/{database}"
    if not said:
        assert service_ask(BROKER, address) is None
        return
    trouble = asked(BROKER, address)
    assert said in trouble.said and not trouble.passes, trouble.line


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with postgres_running() as cluster:
        with psycopg.connect(cluster.url(), autocommit=True) as connection:
            connection.execute(f"CREATE ROLE locked LOGIN PASSWORD '{PASSWORD}'")
            [path] = connection.execute("SHOW hba_file").fetchone() or [""]
            hba = Path(path)
            hba.write_text(f"local all locked scram-sha-256\nlocal closed all reject\n{hba.read_text()}")
            connection.execute("SELECT pg_reload_conf()")
        for name in ("empty", "closed", "old"):
            cluster.database_new(name)
        with psycopg.connect(cluster.url("old"), autocommit=True) as connection:
            connection.execute("CREATE TABLE django_migrations (app text, name text)")
            connection.execute("INSERT INTO django_migrations VALUES ('core', '0001_initial')")
        wait_until(
            lambda: "password" in str(_refusal(cluster.url("empty").replace("mlplatform@", "locked@"))),
            timeout_s=10,
            what="the reload",
        )
        yield cluster


def _refusal(url: str) -> Exception | None:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError as error:
        return error
    return None


@pytest.mark.parametrize(
    ("user", "database", "said", "passes"),
    [
        ("locked", "empty", "refused the password of user 'locked'", False),
        ("locked:wrong", "empty", "refused the password of user 'locked'", False),
        ("nobody", "empty", "the server has no user 'nobody'", False),
        ("mlplatform", "absent", "the server has no database 'absent'", False),
        ("mlplatform", "closed", "does not let user 'mlplatform' from here into 'closed'", False),
        ("mlplatform", "empty", "the database is empty; `manage.py migrate` makes its tables", True),
        ("mlplatform", "old", "changes of its tables are missing, first core.0002", True),
    ],
)
def test_a_postgres_that_cannot_be_used_says_why(
    postgres: Postgres, user: str, database: str, said: str, passes: bool
) -> None:
    trouble = asked(DATABASE, postgres.url(database).replace("mlplatform@", f"{user}@"))
    assert said in trouble.said and trouble.passes == passes, trouble.line


def test_a_user_who_may_not_read_the_tables_is_told(postgres: Postgres) -> None:
    with psycopg.connect(postgres.url("old"), autocommit=True) as connection:
        connection.execute("REVOKE ALL ON django_migrations FROM PUBLIC")
    mine = postgres.url("old").replace("mlplatform@", f"locked:{PASSWORD}@")
    assert "may not read the tables" in asked(DATABASE, mine).said


def test_who_makes_the_tables_does_not_wait_for_them_but_must_be_allowed_to(postgres: Postgres) -> None:
    assert service_ask(DATABASE, postgres.url("empty"), migrates=True) is None
    mine = postgres.url("empty").replace("mlplatform@", f"locked:{PASSWORD}@")
    assert "may not make tables" in asked(DATABASE, mine, migrates=True).said


def test_every_process_ends_with_one_line_on_a_wrong_password(postgres: Postgres, tmp_path: Path) -> None:
    address = postgres.url("empty").replace("mlplatform@", f"locked:{PASSWORD}x@")
    commands = [name for name in NEEDS if name != "up"]
    started = [_start(name, MLPLATFORM_DATA_DIR=str(tmp_path), DATABASE_URL=address) for name in commands]
    for command, popen in zip(commands, started, strict=True):
        printed, said = popen.communicate(timeout=60)
        assert (popen.returncode, printed) == (EXIT_WRONG, "")
        [line] = said.splitlines()
        assert line.startswith(f"mlplatform {command}: cannot start: DATABASE_URL (postgres://locked@")
        assert "refused the password" in line and PASSWORD not in line


def test_up_ends_in_order_on_a_wrong_password(postgres: Postgres, tmp_path: Path) -> None:
    address = postgres.url("empty").replace("mlplatform@", f"locked:{PASSWORD}x@")
    popen = _start("up", "--port", str(free_port()), "--data-dir", str(tmp_path), DATABASE_URL=address)
    printed, said = popen.communicate(timeout=60)
    assert popen.returncode == 1, printed + said
    assert "mlplatform up: cannot start: DATABASE_URL (postgres://locked@" in printed
    assert "Traceback" not in printed + said and PASSWORD not in printed + said


def test_up_refuses_every_address_that_cannot_be_one_before_it_makes_anything(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    popen = _start(
        "up", "--data-dir", str(folder), DATABASE_URL="mysql://h/n", CELERY_BROKER_URL="redis://h:x/0"
    )
    _, said = popen.communicate(timeout=60)
    assert popen.returncode == 1 and not folder.exists()
    assert said.startswith("mlplatform: DATABASE_URL (mysql://h/n): the scheme 'mysql'")
    assert "CELERY_BROKER_URL (redis://h:x/0)" in said


def _start(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**clean_environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# ---- waiting


class Clock:
    """A clock that moves by what is slept."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def waited(command: str, until_s: float, trouble: Trouble) -> Clock:
    """Has the command wait for a service that is in trouble for so long."""
    clock = Clock()

    def ask(setting: str, address: str, *, migrates: bool) -> Trouble | None:
        return trouble if setting == trouble.setting and clock.now < until_s else None

    services_wait(command, ask=ask, sleep=clock.sleep, monotonic=clock.monotonic)
    return clock


def test_what_is_away_is_waited_for_with_a_line_every_five_seconds(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(DATABASE_URL="postgres://u@h/n", CELERY_BROKER_URL="redis://h/0")
    clock = waited("worker", 12, Trouble(BROKER, "redis://h/0", "connection refused", passes=True))
    lines = capsys.readouterr().err.splitlines()
    assert clock.now == 12
    assert (
        lines[:3] == ["mlplatform worker: waits for CELERY_BROKER_URL (redis://h/0): connection refused"] * 3
    )
    assert lines[3:] == ["mlplatform worker: CELERY_BROKER_URL answers now, after 12 s"]


def test_waiting_ends_where_patience_does(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    environment(DATABASE_URL="postgres://u@h/n", MLPLATFORM_START_PATIENCE_S="20")
    with pytest.raises(SystemExit) as end:
        waited("web", 1e9, Trouble(DATABASE, "postgres://u@h/n", "connection refused", passes=True))
    assert end.value.code == EXIT_AWAY
    assert "gives up after 20 s: DATABASE_URL (postgres://u@h/n)" in capsys.readouterr().err


def test_what_a_process_can_begin_without_is_told_and_not_waited_for(
    environment: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Predictions need neither broker nor store."""
    environment(CELERY_BROKER_URL="redis://h/0")
    clock = waited("gateway", 1e9, Trouble(BROKER, "redis://h/0", "refused the password", passes=False))
    assert clock.now == 0
    assert capsys.readouterr().err.startswith(
        "mlplatform gateway: goes on without CELERY_BROKER_URL (redis://h/0)"
    )


def test_what_turns_out_to_be_wrong_ends_the_waiting(environment: Callable[..., None]) -> None:
    environment(DATABASE_URL="postgres://u@h/n")
    with pytest.raises(SystemExit) as end:
        waited("host", 1e9, Trouble(DATABASE, "postgres://u@h/n", "no database 'n'", passes=False))
    assert end.value.code == EXIT_WRONG


def test_a_command_of_a_person_does_not_wait(environment: Callable[..., None]) -> None:
    environment(DATABASE_URL="postgres://u@h/n", CELERY_BROKER_URL="redis://h/0")
    with pytest.raises(SystemExit) as end:
        waited("access_key", 1e9, Trouble(DATABASE, "postgres://u@h/n", "connection refused", passes=True))
    assert end.value.code == EXIT_AWAY
    assert waited("access_key", 1e9, Trouble(BROKER, "redis://h/0", "is not asked")).now == 0


def test_without_settings_nothing_is_asked() -> None:
    services_wait("worker", ask=lambda *_, **__: pytest.fail("was asked"))


def test_a_variable_that_cannot_be_read_ends_a_process_as_a_wrong_address_does(tmp_path: Path) -> None:
    wrong = {"MLPLATFORM_DATA_DIR": str(tmp_path), "MLPLATFORM_DISK_FLOOR_BYTES": "abc"}
    popen = _start("web", **wrong)
    _, said = popen.communicate(timeout=60)
    assert popen.returncode == EXIT_WRONG, said
    [line] = said.splitlines()
    assert "MLPLATFORM_DISK_FLOOR_BYTES" in line and "abc" in line
