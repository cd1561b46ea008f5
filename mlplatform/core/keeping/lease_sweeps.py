"""Sweeps of leases that rooms contribute: short, of the database only, run by the scheduler at every turn.

Beside `mlplatform.core.keeping.sweeps`, whose work may take long and has a row that says when it is due. A room
registers with `@lease_sweep` in a module that its AppConfig imports when ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from django.db import Error as DatabaseError

from mlplatform.core.health.outages import is_outage

logger = logging.getLogger(__name__)
LeaseSweep = Callable[[], object]
_SWEEPS: Final[list[LeaseSweep]] = []


def lease_sweep(run: LeaseSweep) -> LeaseSweep:
    """Registers a sweep; it is called every second or so and must be safe beside others of its kind."""
    _SWEEPS.append(run)
    return run


def lease_sweeps_run() -> None:
    """Runs them all. Raises DatabaseError when it is away; anything else is one sweep's own fault and is logged."""
    for run in _SWEEPS:
        try:
            run()
        except Exception as error:
            if isinstance(error, DatabaseError) and is_outage(error):
                raise
            logger.exception("a sweep of leases broke")
