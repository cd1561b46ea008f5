"""Gateway and host of this machine are told when what they act on has changed, and only then."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from django.db import connection, transaction

from endpoints.wake import gateway_wake_socket, host_wake_socket
from mlplatform.core.env import runtime_dir
from mlplatform.core.revisions import LOOK_S, TOLD_LOOK_S, revision_bump, revision_look_s

Callbacks = Callable[..., AbstractContextManager[list[Callable[[], object]]]]


@pytest.fixture
def listeners() -> Iterator[list[socket.socket]]:
    runtime_dir().mkdir(mode=0o700, parents=True, exist_ok=True)
    with host_wake_socket() as host, gateway_wake_socket() as gateway:
        for each in (host, gateway):
            each.setblocking(False)
        yield [host, gateway]


def told(listener: socket.socket) -> bool:
    try:
        return listener.recv(1) == b""
    except BlockingIOError:
        return False


def test_both_are_told_once_the_change_can_be_seen(
    db: None, django_capture_on_commit_callbacks: Callbacks, listeners: list[socket.socket]
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        revision_bump()
        assert [told(each) for each in listeners] == [False, False], "nothing is committed yet"
    assert [told(each) for each in listeners] == [True, True]


def test_a_change_that_was_taken_back_and_another_counter_wake_nobody(
    db: None, django_capture_on_commit_callbacks: Callbacks, listeners: list[socket.socket]
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            revision_bump()
            raise ZeroDivisionError
        revision_bump(name="another")
    assert [told(each) for each in listeners] == [False, False]


def test_a_change_is_made_though_nobody_listens(
    db: None, django_capture_on_commit_callbacks: Callbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        revision_bump()


def test_rows_that_other_machines_may_change_are_looked_at_more_often(db: None) -> None:
    assert revision_look_s() == (TOLD_LOOK_S if connection.vendor == "sqlite" else LOOK_S)
    assert LOOK_S < TOLD_LOOK_S
