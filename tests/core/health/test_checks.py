"""What the doctor sees on the floor, each from a real state of disk, database, clock, process or setting."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection

from mlplatform.core import clock
from mlplatform.core.env import data_dir
from mlplatform.core.health.checks import clock as clock_checks
from mlplatform.core.health.checks import database as database_checks
from mlplatform.core.health.checks import disk as disk_checks
from mlplatform.core.health.checks import nodes as node_checks
from mlplatform.core.health.checks import sqlite as sqlite_checks
from mlplatform.core.health.checks.broker import broker_check
from mlplatform.core.health.checks.clock import clock_check
from mlplatform.core.health.checks.database import database_check, database_integrity_check
from mlplatform.core.health.checks.disk import disk_check, disk_findings, disks
from mlplatform.core.health.checks.exposure import exposure_check, is_loopback, settings_check
from mlplatform.core.health.checks.nodes import gateway_check, scheduler_check
from mlplatform.core.health.checks.store import store_check
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import PROCESS, node_beat
from mlplatform.core.process_identity import process_identity
from mlplatform.core.text import text as _
from tests.databases import sqlite_only
from tests.disks import disk_mounted

MIB = 1024**2


def only(findings: Iterator[Finding] | list[Finding]) -> Finding:
    found = list(findings)
    assert len(found) == 1, [str(each.summary) for each in found]
    return found[0]


def complaint(findings: Iterator[Finding] | list[Finding]) -> Finding:
    """The one finding that is not in order; it has a remedy."""
    found = only([each for each in findings if each.level != Level.OK])
    assert found.remedy
    return found


def beat(
    kind: NodeKind, name: str = "n-1", *, seen_ago_s: float = 0, started_ago_s: float = 60, **given: Any
) -> Node:
    """A heartbeat as it was written so long ago."""
    node = node_beat(kind=kind, name=name, started_at=clock.now() - timedelta(seconds=started_ago_s))
    Node.objects.filter(pk=node.pk).update(seen_at=clock.now() - timedelta(seconds=seen_ago_s), **given)
    node.refresh_from_db()
    return node


def ended_identity() -> str:
    """What a process said of itself that has ended since."""
    program = "from mlplatform.core.process_identity import process_identity; print(process_identity())"
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.strip()


# ---- disks


def test_a_disk_with_room_is_in_order_and_one_below_the_floor_is_not(tmp_path: Path) -> None:
    with disk_mounted(tmp_path / "disk", size_bytes=64 * MIB) as small:
        places = [(small.path, _("data directory")), (small.path, _("object store"))]
        roomy = only(disk_findings(only_disk(places), floor_bytes=8 * MIB))
        assert roomy.level == Level.OK
        assert "64 MiB of 64 MiB free" in roomy.summary
        assert "data directory, object store" in roomy.summary
        small.fill(but_bytes=20 * MIB)
        assert only(disk_findings(only_disk(places), floor_bytes=8 * MIB)).level == Level.WARNING
        small.fill(but_bytes=4 * MIB)
        low = only(disk_findings(only_disk(places), floor_bytes=8 * MIB))
        assert low.level == Level.FAILED
        assert "4 MiB of 64 MiB free" in low.summary and "below 8 MiB" in low.summary
        assert "MLPLATFORM_DISK_FLOOR_BYTES" in low.remedy


def only_disk(places: list[Any]) -> disk_checks.Disk:
    [found] = disks(places)
    return found


def test_a_disk_without_room_for_files_is_told(tmp_path: Path) -> None:
    disk = disk_checks.Disk(tmp_path, 100 * MIB, 200 * MIB, 3, 1000, False, [_("data directory")])
    found = only(disk_findings(disk, floor_bytes=MIB))
    assert found.level == Level.FAILED
    assert "room for 3 more files of 1,000" in found.summary
    unlimited = disk_checks.Disk(tmp_path, 100 * MIB, 200 * MIB, 0, 0, False, [_("data directory")])
    assert only(disk_findings(unlimited, floor_bytes=MIB)).level == Level.OK


def test_a_read_only_disk_is_told(tmp_path: Path) -> None:
    disk = disk_checks.Disk(tmp_path, 100 * MIB, 200 * MIB, 9, 10, True, [_("data directory")])
    found = only(disk_findings(disk, floor_bytes=MIB))
    assert found.level == Level.FAILED and "read-only" in found.summary and "remount" in found.remedy


def test_folders_that_are_missing_are_one_finding(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = Path(f"/tmp/none-{os.getpid()}")
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(folder))
    settings.FILE_UPLOAD_TEMP_DIR = str(folder / "tmp")
    settings.OBJECT_STORE_URL = f"file://{tmp_path}"
    missing = [each for each in disk_check() if "There is no folder" in each.summary]
    assert (
        f"{folder} (data directory, folders of running jobs, uploads under way, sockets)"
        in only(missing).summary
    )


def test_a_machine_that_has_run_no_job_lacks_no_folder(
    settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(disk_checks, "runtime_dir", lambda: tmp_path)
    settings.FILE_UPLOAD_TEMP_DIR, settings.OBJECT_STORE_URL = str(tmp_path), "s3://bucket"
    assert not [each for each in disk_check() if "There is no folder" in each.summary]
    (tmp_path / "work").mkdir()
    assert any("folders of running jobs" in each.summary for each in disk_check())


# ---- database


def test_a_database_in_order_says_its_version_and_size(transactional_db: None) -> None:
    found = only(database_check())
    assert found.level == Level.OK, found.summary
    with connection.cursor() as cursor:
        cursor.execute("SELECT sqlite_version()" if connection.vendor == "sqlite" else "SHOW server_version")
        [version] = cursor.fetchone()
    assert version.split(" ")[0] in found.summary


@sqlite_only
def test_a_write_lock_that_is_held_is_told(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_checks, "WRITE_LOCK_S", 0.1)
    connection.ensure_connection()
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = complaint(database_check())
        other.execute("ROLLBACK")
    assert found.level == Level.FAILED
    assert "write lock" in found.summary and "fuser" in found.remedy
    assert only(database_check()).level == Level.OK


def test_changes_of_the_tables_that_were_not_applied_are_named(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'core' AND name LIKE '0001%'")
    found = next(each for each in database_check() if "not applied" in each.summary)
    assert found.level == Level.FAILED
    assert "core.0001_initial" in found.summary and "manage.py migrate" in found.remedy


def test_tables_newer_than_the_program_are_told(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('core', '9999_future', '2030-01-01')"
        )
    found = next(each for each in database_check() if "newer" in each.summary)
    assert found.level == Level.WARNING and "core.9999_future" in found.summary


@sqlite_only
def test_the_deep_check_reads_the_whole_file(db: None) -> None:
    assert only(database_integrity_check()).level == Level.OK


# ---- broker and store


def test_a_broker_that_is_away_is_told_with_what_to_do(settings: Any, tmp_path: Path) -> None:
    settings.CELERY_BROKER_URL = f"redis+socket://{tmp_path / 'nobody.sock'}"
    found = only(broker_check())
    assert found.level == Level.FAILED
    assert "cannot be reached" in found.summary and "none is lost" in found.summary
    assert "manage.py up" in found.remedy


def test_the_password_of_a_broker_elsewhere_is_never_told(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "redis://user:hidden-password@127.0.0.1:1/0"
    monkeypatch.setenv("CELERY_BROKER_URL", url)
    settings.CELERY_BROKER_URL = url
    found = only(broker_check())
    assert found.level == Level.FAILED
    assert "127.0.0.1" in found.remedy and "hidden-password" not in f"{found.summary}{found.remedy}"


def test_a_broker_that_takes_connections_and_says_nothing_is_told_as_hanging(
    settings: Any, tmp_path: Path
) -> None:
    path = Path(f"/tmp/mute-{os.getpid()}.sock")
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(path))
        mute.listen(50)
        settings.CELERY_BROKER_URL = f"redis+socket://{path}"
        found = only(broker_check())
    path.unlink()
    assert "does not answer" in found.summary


@pytest.mark.parametrize(
    ("text", "words", "remedy"),
    [
        (
            'FATAL:  password authentication failed for user "me"',
            "refused the password of user 'me'",
            "Correct",
        ),
        ('FATAL:  database "none" does not exist', "no database 'none'", "Correct"),
        ("connection failed: Connection refused", "does not answer (nobody listens there", "Start it there"),
    ],
)
def test_what_a_database_server_refuses_is_told_apart_from_one_that_is_away(
    monkeypatch: pytest.MonkeyPatch, text: str, words: str, remedy: str
) -> None:
    def refuses() -> float:
        raise OperationalError(text)

    server = SimpleNamespace(vendor="postgresql", settings_dict={"HOST": "10.0.0.5"})
    monkeypatch.setenv("DATABASE_URL", "postgres://me:hidden-password@10.0.0.5/none")
    monkeypatch.setattr(database_checks, "connection", server)
    monkeypatch.setattr(database_checks, "database_missing", lambda: None)
    monkeypatch.setattr(database_checks, "database_probe", refuses)
    found = only(database_check())
    assert found.level == Level.FAILED and "10.0.0.5" in found.summary
    assert words in found.summary and remedy in found.remedy
    assert "hidden-password" not in f"{found.summary}{found.remedy}"


def test_a_store_that_cannot_be_reached_is_told_with_its_reason(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real request, to a port where nobody listens."""
    settings.OBJECT_STORE_URL = "s3://bucket"
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unheard.getsockname()[1]}")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hidden-key")
        found = only(store_check())
    assert found.level == Level.FAILED and "nobody listens there" in found.summary
    assert "OBJECT_STORE_URL" in found.remedy and "hidden-key" not in found.summary


def test_a_store_in_order_is_written_read_and_deleted(settings: Any, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    settings.OBJECT_STORE_URL = f"file://{folder}"
    found = only(store_check())
    assert found.level == Level.OK and str(folder) in found.summary
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_store_that_is_not_there_is_told_and_not_made(settings: Any, tmp_path: Path) -> None:
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'none'}"
    found = only(store_check())
    assert found.level == Level.FAILED and "There is no folder" in found.summary and found.remedy
    assert not (tmp_path / "none").exists()


def test_a_full_store_is_told_as_full(settings: Any, tmp_path: Path) -> None:
    with disk_mounted(tmp_path / "disk", size_bytes=MIB) as small:
        settings.OBJECT_STORE_URL = f"file://{small.path}"
        assert only(store_check()).level == Level.OK
        small.fill()
        found = only(store_check())
    assert (found.level, str(found.summary)) == (Level.FAILED, "The object store is full")
    assert "First enlarge that disk" in found.remedy


# ---- clock


def test_clocks_that_agree_are_in_order(db: None) -> None:
    beat(NodeKind.WORKER, seen_ago_s=1)
    assert only(clock_check()).level == Level.OK


def test_a_heartbeat_of_the_future_names_the_machine_and_by_how_much(db: None) -> None:
    beat(NodeKind.WORKER, seen_ago_s=-30, hostname="gpu-1")
    found = only(clock_check())
    assert found.level == Level.FAILED
    assert "gpu-1 is 30 s ahead" in found.summary and "set-ntp" in found.remedy


def test_a_little_skew_is_a_warning(db: None) -> None:
    beat(NodeKind.WORKER, seen_ago_s=-5, hostname="gpu-1")
    assert only(clock_check()).level == Level.WARNING


def test_a_clock_that_was_set_is_told_once(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    list(clock_check())
    assert clock_checks._offset_s is not None
    monkeypatch.setattr(clock_checks, "_offset_s", clock_checks._offset_s + 3600)
    found = only(clock_check())
    assert "set back by 60 min" in found.summary
    assert only(clock_check()).level == Level.OK


# ---- processes


@pytest.mark.parametrize(
    ("kind", "check"), [(NodeKind.GATEWAY, gateway_check), (NodeKind.SCHEDULER, scheduler_check)]
)
def test_a_process_that_nobody_runs_is_told_with_the_command(db: None, kind: NodeKind, check: Any) -> None:
    found = only(check())
    assert found.level == Level.FAILED
    assert f"manage.py {kind.value}" in found.remedy
    beat(kind)
    assert only(check()).level == Level.OK


def test_a_silent_process_that_still_exists_is_told_with_its_number(db: None) -> None:
    beat(NodeKind.SCHEDULER, seen_ago_s=40)
    found = only(scheduler_check())
    assert "was heard of last 40 s ago" in found.summary
    assert f"kill -KILL {os.getpid()}" in found.remedy


def test_a_number_that_is_another_processs_by_now_is_not_told_to_be_killed(db: None) -> None:
    machine, pid, start = process_identity().split(".")
    beat(NodeKind.SCHEDULER, seen_ago_s=40, info={PROCESS: f"{machine}.{pid}.{int(start) - 1}"})
    found = only(scheduler_check())
    assert found.level == Level.FAILED and "kill" not in found.remedy
    beat(NodeKind.SCHEDULER, seen_ago_s=40, info={PROCESS: f"elsewhere.{pid}.{start}"})
    assert "kill" not in only(scheduler_check()).remedy


def test_a_process_that_was_killed_is_known_before_its_heartbeat_is_out_of_date(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = beat(NodeKind.SCHEDULER, "killed", seen_ago_s=1, info={PROCESS: ended_identity()})
    assert only(scheduler_check()).level == Level.FAILED, "nobody starts it again"
    monkeypatch.setattr(node_checks, "runs_under_up", lambda: True)
    found = only(scheduler_check())
    assert found.level == Level.WARNING and "starts it again" in found.remedy and "kill" not in found.remedy
    assert f"The scheduler has just ended (process {ended.pid})" == found.summary
    Node.objects.filter(pk=ended.pk).update(seen_at=clock.now() - timedelta(seconds=40))
    assert only(scheduler_check()).level == Level.FAILED, "nobody did"


def test_a_killed_gateway_is_no_second_one(db: None) -> None:
    beat(NodeKind.GATEWAY, "killed", seen_ago_s=1, info={PROCESS: ended_identity(), "host": "0.0.0.0"})
    beat(NodeKind.GATEWAY, "now", started_ago_s=1)
    found = [each for each in gateway_check() if "alive" in each.summary]
    assert only(found).summary.startswith("now is alive")
    assert list(exposure_check()) == [], "the address of the dead one is nobody's"


def test_a_process_that_was_started_again_is_no_complaint_but_many_are(db: None) -> None:
    beat(NodeKind.SCHEDULER, "old-1", seen_ago_s=600, started_ago_s=900)
    beat(NodeKind.SCHEDULER, "now", started_ago_s=100)
    assert only(scheduler_check()).level == Level.OK
    for number in (2, 3):
        beat(NodeKind.SCHEDULER, f"old-{number}", seen_ago_s=600, started_ago_s=900)
    found = only(scheduler_check())
    assert found.level == Level.WARNING and "The scheduler ended without a word" in found.summary
    assert "3 times" in found.summary


@sqlite_only
def test_nobody_is_called_dead_while_the_database_takes_no_heartbeats(transactional_db: None) -> None:
    beat(NodeKind.SCHEDULER, seen_ago_s=40)
    with closing(sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = only(scheduler_check())
        other.execute("ROLLBACK")
    assert found.level == Level.WARNING
    assert "the database takes no heartbeats" in found.summary and "kill" not in found.remedy
    assert only(scheduler_check()).level == Level.FAILED


def test_a_second_process_that_fell_silent_is_a_warning(db: None) -> None:
    beat(NodeKind.SCHEDULER, "other", seen_ago_s=600, started_ago_s=900, hostname="elsewhere")
    beat(NodeKind.SCHEDULER, "now", started_ago_s=1000)
    found = only(scheduler_check())
    assert found.level == Level.WARNING and "other on elsewhere has been silent for 10 min" in found.summary


def test_versions_that_differ_are_told(db: None) -> None:
    beat(NodeKind.SCHEDULER, version="0.0.9")
    found = only(scheduler_check())
    assert found.level == Level.WARNING and "0.0.9" in found.summary


def test_a_scheduler_that_lives_but_does_not_sweep_is_told(db: None) -> None:
    beat(NodeKind.SCHEDULER, info={"swept_at": (clock.now() - timedelta(minutes=5)).isoformat()})
    found = only(scheduler_check())
    assert found.level == Level.FAILED and "has not finished a sweep for 5 min" in found.summary


def test_a_socket_that_nobody_listens_on_is_told(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(f"/tmp/refusing-{os.getpid()}")
    (folder / "run").mkdir(parents=True)
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(folder))
    beat(NodeKind.GATEWAY)
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(folder / "run" / "web.sock"))
    found = complaint(gateway_check())
    (folder / "run" / "web.sock").unlink()
    (folder / "run").rmdir()
    folder.rmdir()
    assert "web.sock" in found.summary


# ---- settings


def test_a_secret_key_that_others_may_read_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(tmp_path))
    tmp_path.chmod(0o700)
    key = tmp_path / "secret_key"
    assert "There is no secret key" in only(settings_check()).summary
    key.write_text("k" * 60)
    key.chmod(0o600)
    assert only(settings_check()).level == Level.OK
    key.chmod(0o640)
    found = only(settings_check())
    assert found.level == Level.FAILED and f"chmod 600 {key}" in found.remedy
    key.write_text("short")
    key.chmod(0o600)
    assert "fewer than 32" in only(settings_check()).summary
    key.write_text("k" * 60)
    tmp_path.chmod(0o755)
    assert "look into the data directory" in only(settings_check()).summary


def test_debug_mode_and_any_host_are_told(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPLATFORM_SECRET_KEY", "k" * 60)
    data_dir().chmod(0o700)
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = ["*"]
    assert [(each.level, bool(each.remedy)) for each in settings_check()] == [
        (Level.FAILED, True),
        (Level.WARNING, True),
    ]


@pytest.mark.parametrize(
    ("host", "public_url", "level"),
    [
        ("127.0.0.1", "", Level.OK),
        ("0.0.0.0", "", Level.WARNING),
        ("192.0.2.7", "http://ml.example", Level.WARNING),
        ("0.0.0.0", "https://ml.example", Level.OK),
    ],
)
def test_an_open_port_without_tls_is_told(
    db: None, settings: Any, host: str, public_url: str, level: Level
) -> None:
    settings.MLPLATFORM_PUBLIC_URL = public_url
    beat(NodeKind.GATEWAY, info={"host": host, "port": 8000})
    found = only(exposure_check())
    assert found.level == level and host in found.summary
    assert bool(found.remedy) == (level != Level.OK)


@pytest.mark.parametrize(
    ("address", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("ml", False),
    ],
)
def test_loopback_is_told_from_open(address: str, loopback: bool) -> None:
    assert is_loopback(address) == loopback
