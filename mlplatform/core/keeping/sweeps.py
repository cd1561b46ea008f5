"""What the platform does by itself, over and over: a registry of sweeps, and the turn that runs those that are due.

Rooms register with `@sweep` in modules that their AppConfig imports when ready. The scheduler takes turns on threads
of their own, one per lane, so that a store that hangs never holds up leases, nor a search what people wait for. Any
number of schedulers may run: a sweep's row says when it is due, and who runs it moves that on first. A sweep does a
bounded piece of work and says whether more is waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db import Error as DatabaseError
from django.db import connection

from mlplatform.core import clock
from mlplatform.core.health.outages import is_outage
from mlplatform.core.models import SweepState

logger = logging.getLogger(__name__)
TURN_S: Final = 1.0
SLOW_TURN_S: Final = 5.0
"""Where nobody waits, it is asked so often whether something is due; after something was done, every second."""
STEPS_IDLE_S: Final = 2.0
LEASE_S: Final = 900
"""A sweep whose process was killed, or lost the database, is due again after this, where it says nothing else."""


class Lane(StrEnum):
    """Sweeps of one lane run one after the other, and wait for none of another lane."""

    QUICK = "sweeps"
    SLOW = "slow sweeps"
    """They look at everything there is, and may take minutes."""
    STEPS = "steps"
    """They carry on what a person waits for, and may copy objects for it."""


_IDLE_TURN_S: Final = {Lane.QUICK: SLOW_TURN_S, Lane.SLOW: SLOW_TURN_S, Lane.STEPS: STEPS_IDLE_S}
"""Until the next turn after one in which there was nothing to do."""


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
    lease_s: int = LEASE_S
    lane: Lane = Lane.QUICK


_SWEEPS: Final[dict[str, Sweep]] = {}


def sweep(
    name: str,
    *,
    every_s: int,
    wanted: Callable[[], bool] = lambda: True,
    rest_s: int = 0,
    lease_s: int = LEASE_S,
    lane: Lane = Lane.QUICK,
) -> Callable[[Callable[[], Swept]], Callable[[], Swept]]:
    """Registers a sweep that is due `every_s` seconds after it ended last, over all schedulers together.

    Args:
        wanted: Asked when it is due, and cheap: without anything to do nothing is written either.
        rest_s: How long it waits after the database was away, for those who waited to write what they had done; also
            after the clock was set or the machine slept, when all that is in use looks old.
        lease_s: After this it is due again where it did not come to its end.
        lane: With which others it takes turns.
    """

    def register(run: Callable[[], Swept]) -> Callable[[], Swept]:
        _SWEEPS[name] = Sweep(name, every_s, run, wanted, rest_s, lease_s, lane)
        return run

    return register


def sweeps_turn(*, lane: Lane | None = None) -> int:
    """Runs every sweep that is due; how many that were. One that breaks is logged and due again at its time.

    Args:
        lane: Only those of it; None for all.
    """
    due: dict[str, datetime] | None = None
    n_run = 0
    for found in _SWEEPS.values():
        # Of what is due at every turn it is asked first whether there is anything to do: mostly there is not.
        if lane not in {None, found.lane} or (found.every_s <= TURN_S and not found.wanted()):
            continue
        due = dict(SweepState.objects.values_list("name", "due_at")) if due is None else due
        n_run += _take(found, due.get(found.name)) and _run(found)
    return n_run


def sweeps_rest() -> None:
    """Puts off the sweeps that are to rest after the database was away or the clock was set, if it may have been."""
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
    """Takes turns of the sweeps of one lane until `end`; a database that is away is waited for."""

    def __init__(self, *, lane: Lane) -> None:
        super().__init__(name=lane.value, daemon=True)
        self._lane = lane
        self._ended = threading.Event()
        self._clock_watch = clock.ClockWatch()
        self._was_away = True  # nobody knows what was before

    def run(self) -> None:
        try:
            wait_s = TURN_S
            while not self._ended.wait(wait_s):
                n_run = self.turn()
                wait_s = TURN_S if n_run else _IDLE_TURN_S[self._lane]
        finally:
            connection.close()

    def end(self) -> None:
        """Asks it to end after the sweep that runs; what is left then is the next one's."""
        self._ended.set()

    def turn(self) -> int:
        """One turn; how many sweeps were run. A database that is away is logged, not raised."""
        try:
            self._was_away |= self._clock_watch.jumped()
            if self._was_away:
                sweeps_rest()
            self._was_away = False
            return sweeps_turn(lane=self._lane)
        except DatabaseError as error:
            logger.warning("sweeps wait, the database is away: %s", error)
            self._was_away = True
            connection.close()
        except Exception:
            logger.exception("a turn of sweeps broke")
            connection.close()
        return 0


def _take(found: Sweep, due_at: datetime | None) -> bool:
    """Whether the sweep is due, by the time in its row if it has one, and nobody else took it."""
    now = clock.now()
    if due_at is None:
        SweepState.objects.bulk_create([SweepState(name=found.name, due_at=now)], ignore_conflicts=True)
        due_at = SweepState.objects.get(name=found.name).due_at
    # A time further off than any that is ever set was written by a clock that has been put right since.
    furthest_s = max(found.every_s, found.lease_s, found.rest_s)
    if now < due_at <= now + timedelta(seconds=2 * furthest_s):
        return False
    if not found.wanted():
        return False
    mine = SweepState.objects.filter(name=found.name, due_at=due_at)
    return bool(mine.update(due_at=now + timedelta(seconds=found.lease_s), began_at=now))


def _run(found: Sweep) -> bool:
    began_at, begun = clock.now(), time.monotonic()
    try:
        swept = found.run()
    except Exception as error:
        if isinstance(error, DatabaseError) and is_outage(error):
            raise
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
