"""Celery with a broker in this process' memory: messages are really sent, and the test delivers them, or does not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from typing import NamedTuple

import pytest
from celery import Celery

from mlplatform.core import dispatch


class Message(NamedTuple):
    task: str
    object_id: int


class MemoryBroker:
    def __init__(self) -> None:
        self.app = Celery("memory", broker="memory://", set_as_current=False)
        self._connection = self.app.connection_for_read()

    def take(self, queue: str = "cpu") -> list[Message]:
        """All messages that wait, in order; they are gone from the broker then."""
        taken = []
        waiting = self._connection.SimpleQueue(queue)
        while True:
            try:
                message = waiting.get(block=False)
            except Empty:
                return taken
            taken.append(Message(message.headers["task"], message.payload[0][0]))
            message.ack()

    def close(self) -> None:
        self.take()
        self._connection.release()
        self.app.close()


@contextmanager
def memory_broker() -> Iterator[MemoryBroker]:
    """Where everything is sent until the end of the block."""
    broker = MemoryBroker()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "app", broker.app)
        yield broker
    broker.close()
