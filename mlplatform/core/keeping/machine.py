"""What is left over on machines without a scheduler: the scheduler sweeps its own data directory and no other.

A worker and a gateway each look with their heartbeat, and do it for theirs on a thread of its own when it is due. Where
the only scheduler has the same data directory there is nothing to do.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from django.db import connection

from mlplatform.core import clock
from mlplatform.core.keeping.leftovers import EVERY_S, REST_S, leftovers_sweep
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import PLACE, node_place, nodes_alive

R = TypeVar("R")

logger = logging.getLogger(__name__)
_SWEEPS: Final[list[Callable[[], object]]] = [leftovers_sweep]


def machine_sweep(run: Callable[[], R]) -> Callable[[], R]:
    """Registers a sweep of files of this data directory, which must be safe beside itself in another process."""
    _SWEEPS.append(run)
    return run


class MachineSweep:
    """Called every few seconds; not due at once, so that whoever uses files has written to them by then."""

    def __init__(self) -> None:
        self._due = time.monotonic() + REST_S
        self._clock_watch = clock.ClockWatch()
        self._thread: threading.Thread | None = None

    def __call__(self) -> None:
        now = time.monotonic()
        if self._clock_watch.jumped():  # all files look old
            self._due = max(self._due, now + REST_S)
        if now < self._due or (self._thread is not None and self._thread.is_alive()):
            return
        self._due = now + EVERY_S
        if not _is_done_by_scheduler():
            self._thread = threading.Thread(target=_run, name="leftovers", daemon=True)
            self._thread.start()


def _is_done_by_scheduler() -> bool:
    """Of several schedulers only one sweeps at a time, and nobody knows which."""
    places = [node.info.get(PLACE) for node in nodes_alive(kind=NodeKind.SCHEDULER)]
    return places == [node_place()]


def _run() -> None:
    try:
        for sweep in _SWEEPS:
            sweep()
    except Exception:
        logger.exception("what is left over on this machine could not be cleared away")
    finally:
        connection.close()
