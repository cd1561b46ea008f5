"""The worker's own parts of Celery: a place that is free again is filled at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from kombu.asynchronous import Hub

from jobs.celery_parts import WakingPool


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


def test_the_end_of_a_task_wakes_the_loop(hub: Hub) -> None:
    pool = WakingPool(limit=1)
    pool.register_with_event_loop(hub)
    go_on = threading.Event()
    hub.call_later(30.0, lambda: None)  # what it would otherwise wait for
    turns = hub.create_loop()
    pool.on_apply(go_on.wait, (10,), {}, callback=lambda *_: None)
    threading.Timer(0.2, go_on.set).start()
    began_at = time.monotonic()
    while not go_on.is_set():
        next(turns)
    assert 0.1 < time.monotonic() - began_at < 0.9, "a turn without an event takes a second"
    pool.on_stop()


def test_many_ends_at_once_are_taken_in_as_one(hub: Hub) -> None:
    pool = WakingPool(limit=1)
    pool.register_with_event_loop(hub)
    for _ in range(100_000):  # more than the pipe holds
        pool._wake(None)
    turns = hub.create_loop()
    began_at = time.monotonic()
    for _ in range(10):
        next(turns)
    assert time.monotonic() - began_at < 0.9, "a turn without an event takes a second"
    pool.on_stop()
