"""A clock that only the test moves: the wall clock, which may jump in either direction, and the monotonic one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import ModuleType

import pytest

from mlplatform.core import clock, node_start, nodes


class DrivenClock:
    """Stands in for `mlplatform.core.clock.now`, and for the `time` of modules that wait by the monotonic clock."""

    def __init__(self) -> None:
        self.at = datetime.now(tz=UTC)
        self.monotonic_s = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.monotonic_s

    def time(self) -> float:
        return self.at.timestamp()

    def time_ns(self) -> int:
        return int(self.at.timestamp() * 1e9)

    def sleep(self, seconds: float) -> None:
        self.go_on(seconds)

    def go_on(self, seconds: float) -> None:
        """Time passes."""
        self.at += timedelta(seconds=seconds)
        self.monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Somebody sets the wall clock; the monotonic one does not care."""
        self.at += timedelta(seconds=seconds)


@contextmanager
def clock_driven(*timers: ModuleType) -> Iterator[DrivenClock]:
    """Replaces the platform's clock, and the module `time` as those modules see it."""
    driven = DrivenClock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clock, "now", driven.now)
        for module in (node_start, nodes):  # there is no other clock than this one, whatever the database
            patch.setattr(module, "database_ahead_s", lambda: 0.0)
        for module in timers:
            patch.setattr(module, "time", driven)
        yield driven
