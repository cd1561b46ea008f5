"""The platform's clock: always an aware instant in UTC, replaceable in tests."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

JUMP_S: Final = 5.0


def now() -> datetime:
    """The present instant, aware, UTC. Call as `clock.now()` so that a test can replace it."""
    return datetime.now(tz=UTC)


class ClockWatch:
    """Tells that the clock was set, or that the machine slept: wall clock and monotonic clock have moved apart.

    Who takes leases away asks it first: after a jump the leases of the living look as old as those of the dead.
    """

    def __init__(self) -> None:
        self._apart_s = _apart_s()

    def jumped(self) -> bool:
        """Whether that has happened since the last call."""
        before, self._apart_s = self._apart_s, _apart_s()
        return abs(self._apart_s - before) > JUMP_S


def _apart_s() -> float:
    return now().timestamp() - time.monotonic()
