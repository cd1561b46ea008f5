"""What other rooms look after in a worker: once before it takes work, then with every heartbeat.

A room registers with `@worker_look` in a module that its AppConfig imports when ready. Called by `manage.py worker`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import Error as DatabaseFault
from django.db import connection

logger = logging.getLogger(__name__)
WorkerLook = Callable[[], None]
_LOOKS: Final[list[WorkerLook]] = []


def worker_look(look: WorkerLook) -> WorkerLook:
    """Registers a look; it must be short, and is always called on a thread that may wait."""
    _LOOKS.append(look)
    return look


def worker_looks_run() -> None:
    """Runs them all. Never raises: what fails is tried again with the next heartbeat."""
    for look in _LOOKS:
        try:
            look()
        except DatabaseFault as error:
            logger.warning("database away: %s", error)
            connection.close()
        except Exception:
            logger.exception("a look of a worker broke")
