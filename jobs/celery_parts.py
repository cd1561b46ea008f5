"""The parts of Celery's worker that are ours: a consumer that asks for its broker often enough, and a pool whose free
place is filled at once.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from functools import partial
from typing import Any, Final

from celery.concurrency.thread import TaskPool
from celery.exceptions import CPendingDeprecationWarning
from celery.worker.consumer import Consumer

BROKER_ASKED_EVERY_S: Final = 3.0
_READ_BYTES: Final = 4096


class PatientConsumer(Consumer):
    """Celery's own waits up to half a minute before it asks again for a broker that was away."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # It announces another default for tasks with late acknowledgement, of which there are none here.
        warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
        super().__init__(*args, **options)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=BROKER_ASKED_EVERY_S)
        return super().ensure_connected(conn)


class WakingPool(TaskPool):
    """Threads that wake the event loop when one of them is free.

    The loop asks Redis for a message only while there is a free place. Without being woken it finds one when it next
    looks, up to a second after the task ended, and the next job starts so much later.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)

    def register_with_event_loop(self, loop: Any) -> None:
        loop.add_reader(self._reader, self._take_in)

    def on_apply(self, *args: Any, **options: Any) -> Any:
        result = super().on_apply(*args, **options)
        result.f.add_done_callback(self._wake)
        return result

    def _wake(self, _: object) -> None:
        # Full: the loop has been woken and has not looked yet.
        with contextlib.suppress(BlockingIOError):
            os.write(self._writer, b".")

    def _take_in(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._reader, _READ_BYTES)
