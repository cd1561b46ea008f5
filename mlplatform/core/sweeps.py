"""What the platform does by itself, over and over: a registry of sweeps, and the turn that runs those that are due.

Rooms register with `@sweep` in modules that their AppConfig imports when ready. The scheduler takes turns on a thread
of its own, so that a store that hangs never holds up leases. Any number of schedulers may run: a sweep's row says when
it is due, and who runs it moves that on first. A sweep does a bounded piece of work and says whether more is waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import connection

from mlplatform.core import clock
from mlplatform.core.models import SweepState

logger = logging.getLogger(__name__)
TURN_S: Final = 1.0
LEASE_S: Final = 900
"""A sweep whose process was killed is due again after this."""


@dataclass(frozen=True)
class Swept:
    """What one run did. `again`: more of the same is waiting, and is to be done at the next turn."""

    n_done: int = 0
    again: bool = False
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Sweep:
    name: str
    every_s: int
    run: Callable[[], Swept]
    wanted: Callable[[], bool]
    rest_s: int = 0


_SWEEPS: Final[dict[str, Sweep]] = {}


def sweep(
    name: str, *, every_s: int, wanted: Callable[[], bool] = lambda: True, rest_s: int = 0
) -> Callable[[Callable[[], Swept]], Callable[[], Swept]]:
    """Registers a sweep that is due `every_s` seconds after it ended last, over all schedulers together.

    Args:
        wanted: Asked when it is due, and cheap: without anything to do nothing is written either.
        rest_s: How long it waits after the database was away, for those who waited to write what they had done.
    """

    def register(run: Callable[[], Swept]) -> Callable[[], Swept]:
        _SWEEPS[name] = Sweep(name, every_s, run, wanted, rest_s)
        return run

    return register


def sweeps_turn() -> int:
    """Runs every sweep that is due; how many that were. One that breaks is logged and due again at its time."""
    known = {state.name: state for state in SweepState.objects.all()}
    return sum(_run(found) for found in _SWEEPS.values() if _take(found, known.get(found.name)))


def sweeps_rest() -> None:
    """Puts off the sweeps that are to rest after the database was away, if it was, or may have been."""
    now = clock.now()
    for found in _SWEEPS.values():
        if found.rest_s:
            due_at = now + timedelta(seconds=found.rest_s)
            SweepState.objects.get_or_create(name=found.name, defaults={"due_at": due_at})
            SweepState.objects.filter(name=found.name, due_at__lt=due_at).update(due_at=due_at)


def sweep_now(name: str) -> Swept:
    """Runs one sweep here and now, due or not; raises what it raises. For commands and tests."""
    found = _SWEEPS[name]
    began_at = clock.now()
    swept = found.run()
    _record(found, began_at, swept)
    return swept


class SweepThread(threading.Thread):
    """Takes turns until `end`; a database that is away is waited for."""

    def __init__(self) -> None:
        super().__init__(name="sweeps", daemon=True)
        self._ended = threading.Event()
        self._was_away = True  # nobody knows what was before

    def run(self) -> None:
        try:
            while not self._ended.wait(TURN_S):
                self.turn()
        finally:
            connection.close()

    def end(self, *, timeout_s: float) -> None:
        """What a sweep has begun is left to the next one where it takes longer than this."""
        self._ended.set()
        self.join(timeout_s)

    def turn(self) -> None:
        """One turn. A database that is away is logged, not raised."""
        try:
            if self._was_away:
                sweeps_rest()
            self._was_away = False
            sweeps_turn()
        except DatabaseError as error:
            logger.warning("sweeps wait, the database is away: %s", error)
            self._was_away = True
            connection.close()
        except Exception:
            logger.exception("a turn of sweeps broke")
            connection.close()


def _take(found: Sweep, state: SweepState | None) -> bool:
    """Whether the sweep is due and nobody else took it."""
    now = clock.now()
    if state is None:
        SweepState.objects.bulk_create([SweepState(name=found.name, due_at=now)], ignore_conflicts=True)
        state = SweepState.objects.get(name=found.name)
    # A time further off than any that is ever set was written by a clock that has been put right since.
    if now < state.due_at <= now + timedelta(seconds=2 * max(found.every_s, LEASE_S)):
        return False
    if not found.wanted():
        return False
    mine = SweepState.objects.filter(name=found.name, due_at=state.due_at)
    return bool(mine.update(due_at=now + timedelta(seconds=LEASE_S), began_at=now))


def _run(found: Sweep) -> bool:
    began_at, begun = clock.now(), time.monotonic()
    try:
        swept = found.run()
    except DatabaseError:
        raise
    except Exception as error:
        logger.exception("the sweep %s broke", found.name)
        due_at = clock.now() + timedelta(seconds=found.every_s)
        said = f"{type(error).__name__}: {error}"[:300]
        SweepState.objects.filter(name=found.name).update(due_at=due_at, error=said)
        return True
    if swept.n_done:
        logger.info("%s: %d done in %.1f s", found.name, swept.n_done, time.monotonic() - begun)
    _record(found, began_at, swept)
    return True


def _record(found: Sweep, began_at: datetime, swept: Swept) -> None:
    now = clock.now()
    values: dict[str, Any] = {
        "due_at": now if swept.again else now + timedelta(seconds=found.every_s),
        "began_at": began_at,
        "ended_at": now,
        "n_done": swept.n_done,
        "error": "",
        "detail": swept.detail,
    }
    SweepState.objects.update_or_create(name=found.name, defaults=values)
