"""What follows from a wall clock that somebody sets, forward or back: nothing that lasts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from mlplatform.core import clock
from mlplatform.core.keeping.tombstones import tombstones_carry_out
from mlplatform.core.models import NodeKind, ObjectTombstone, Project
from mlplatform.core.names import uri
from mlplatform.core.nodes import node_beat, nodes_alive
from mlplatform.core.storage.objects import object_store
from tests.driven_clock import clock_driven

DAY_S = 86400


@pytest.mark.parametrize("seconds", [DAY_S, -DAY_S, 6, -6])
def test_a_clock_that_was_set_and_a_machine_that_slept_are_noticed_once(seconds: int) -> None:
    with clock_driven(clock) as driven:
        watch = clock.ClockWatch()
        driven.go_on(DAY_S)
        assert not watch.jumped()
        driven.jump(seconds)
        assert watch.jumped()
        driven.go_on(1)
        assert not watch.jumped()


@pytest.mark.parametrize("seconds", [2, -2])
def test_a_clock_that_is_put_right_by_seconds_is_no_jump(seconds: int) -> None:
    with clock_driven(clock) as driven:
        watch = clock.ClockWatch()
        driven.jump(seconds)
        assert not watch.jumped()


def test_a_process_that_was_seen_before_the_clock_was_set_back_is_not_taken_for_alive(db: None) -> None:
    with clock_driven() as driven:
        node_beat(kind=NodeKind.HOST, name="dead", started_at=driven.at)
        assert nodes_alive().count() == 1
        driven.jump(-DAY_S)
        assert nodes_alive().count() == 0
        node_beat(kind=NodeKind.HOST, name="alive", started_at=driven.at)
        assert [node.name for node in nodes_alive()] == ["alive"]


def test_a_deletion_that_was_put_off_before_the_clock_was_set_back_is_carried_out(db: None) -> None:
    project = Project.objects.create(name="alpha", account_id="123456789012")
    stored = object_store().put_bytes(b"old", uri(project.bucket, "datasets/x/data.csv"))
    far_off = clock.now() + timedelta(days=1)
    ObjectTombstone.objects.create(uri=stored.uri, reason="dataset", due_at=far_off)
    assert tombstones_carry_out().n_deleted == 1
    assert object_store().size(stored.uri) is None
