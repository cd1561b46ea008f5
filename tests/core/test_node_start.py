"""Who may begin: names, clocks and versions of several machines on one database."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.db.migrations.recorder import MigrationRecorder

from mlplatform.core import clock, node_start
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import PROCESS, NodeTaken, node_beat, node_gone
from mlplatform.core.process_identity import process_identity

pytestmark = pytest.mark.django_db
ELSEWHERE = "0123456789abcdef.4711.99"


def _other(*, process: str = ELSEWHERE, seen_ago_s: float = 0.0) -> Node:
    """A host `gpu-1` of somebody else's."""
    node = node_beat(kind=NodeKind.HOST, name="gpu-1", started_at=clock.now())
    node.hostname, node.pid, node.info = "there", 4711, {PROCESS: process}
    node.seen_at = clock.now() - timedelta(seconds=seen_ago_s)
    node.save()
    return node


def _start(**more: Any) -> None:
    node_start.node_start(kind=NodeKind.HOST, name="gpu-1", **more)


def test_a_name_that_nobody_has_or_that_was_ours_is_free() -> None:
    _start()
    node_beat(kind=NodeKind.HOST, name="gpu-1", started_at=clock.now())
    _start()


def test_a_second_host_of_a_name_is_refused_as_soon_as_the_first_is_heard_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = _other(seen_ago_s=4)

    def beats(_: float) -> None:
        Node.objects.filter(pk=node.pk).update(seen_at=clock.now())

    monkeypatch.setattr(node_start.time, "sleep", beats)
    with pytest.raises(
        node_start.NodeRefused, match=r"runs already, process 4711 on there.*MLPLATFORM_HOST_NAME"
    ):
        _start()


def test_one_that_died_on_another_machine_is_waited_for_until_its_heartbeat_is_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    node = _other(seen_ago_s=10)
    waited = []

    def sleep(s: float) -> None:
        waited.append(s)
        if len(waited) == 3:
            monkeypatch.setattr(clock, "now", lambda: node.seen_at + timedelta(seconds=15.1))

    monkeypatch.setattr(node_start.time, "sleep", sleep)
    _start()
    assert len(waited) == 3


def test_one_that_is_gone_from_this_machine_is_followed_at_once() -> None:
    machine, _, start = process_identity().split(".")
    _other(process=f"{machine}.{2**22 + 7}.{start}")
    began = time.monotonic()
    _start()
    assert time.monotonic() - began < 0.5


def test_one_that_lives_on_this_machine_is_told_at_once() -> None:
    machine = process_identity().partition(".")[0]
    from pathlib import Path

    start = Path("/proc/1/stat").read_text().rpartition(")")[2].split()[19]
    _other(process=f"{machine}.1.{start}")
    began = time.monotonic()
    with pytest.raises(node_start.NodeRefused):
        _start()
    assert time.monotonic() - began < 0.5


def test_a_heartbeat_does_not_write_over_that_of_another_and_a_goodbye_does_not_remove_it() -> None:
    _other()
    with pytest.raises(NodeTaken):
        node_beat(kind=NodeKind.HOST, name="gpu-1", started_at=clock.now())
    node_gone(kind=NodeKind.HOST, name="gpu-1")
    assert Node.objects.get().pid == 4711


@pytest.mark.parametrize(("ahead_s", "words"), [(12.0, "behind"), (-700.0, "ahead of")])
def test_a_clock_that_is_off_by_more_than_leases_bear_is_refused(
    monkeypatch: pytest.MonkeyPatch, ahead_s: float, words: str
) -> None:
    monkeypatch.setattr(node_start, "database_ahead_s", lambda: ahead_s)
    with pytest.raises(node_start.NodeRefused, match=f"{words} the database's.*timedatectl"):
        _start()


def test_a_clock_that_is_off_by_seconds_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(node_start, "database_ahead_s", lambda: 3.0)
    _start()
    assert "3.0 s behind the database's" in caplog.text


def test_a_clock_that_goes_off_and_comes_back_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told = node_start.ClockTold()
    found = [told.is_off(Node(info={"database_ahead_s": ahead_s})) for ahead_s in (0.0, 3.0, 11.0, 0.1)]
    assert found == [False, False, True, False]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_process_older_than_the_database_is_refused_and_names_what_it_does_not_know() -> None:
    from django.db import connection

    MigrationRecorder(connection).record_applied("endpoints", "0999_of_tomorrow")
    with pytest.raises(node_start.NodeRefused, match=r"newer version.*endpoints\.0999_of_tomorrow"):
        _start()


def test_another_version_beside_this_one_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now())
    Node.objects.update(version="9.9")
    _start()
    assert "version 9.9 runs beside" in caplog.text
