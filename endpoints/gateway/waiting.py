"""Requests to an elastic variant: how many are in hand, who waits for its first replica, and what they call for.

A herd that finds nobody waits together, in the order in which it came, and is let go all at once as soon as a replica
is in the routing table. Used on the event loop only; what it calls for is written down by `loads.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic, time

from endpoints.elastic import Load, replicas_for, rests_until
from endpoints.gateway.routing import Elasticity
from endpoints.serving.answers import ModelFault
from mlplatform.core.errors import ServiceUnavailable, Throttled

SCALE_DOWN_S = 30.0
"""So long, and up to twice as long, what was in hand at most decides how many replicas there are."""
NOTED_WITHIN_S = 10.0
"""So long may the wish for a replica take to reach the hosts; beyond it they cannot be reached."""


class StartFailed(ModelFault):
    """The model server could not be started. `retry_after_s`: before that nobody tries again."""

    def __init__(self, variant: str, reason: str, *, retry_after_s: int) -> None:
        message = f"variant {variant!r}: its model server could not be started: {reason}"
        super().__init__(message, original_status=500, original_message=reason)
        self.retry_after_s = retry_after_s


class WaitingRoom:
    """Places for requests that wait, over all variants: their connections and bodies are held meanwhile."""

    def __init__(self, n_places: int) -> None:
        self.n_places = n_places
        self.n_waiting = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Raises Throttled when all are taken."""
        if self.n_waiting >= self.n_places:
            raise Throttled(f"{self.n_waiting} requests wait for model servers to start; try again later")
        self.n_waiting += 1
        try:
            yield
        finally:
            self.n_waiting -= 1


class ElasticVariant:
    """The requests of one elastic variant, beside the live variant they go to.

    Args:
        nudge: Has what the variant calls for written down at once.
    """

    def __init__(self, name: str, *, nudge: Callable[[], None]) -> None:
        self.name = name
        self.is_closed = False
        self.n_in_hand = 0
        self.trouble = ""
        self._nudge = nudge
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._waiting_since: float | None = None
        self._is_noted = False
        self._requested_at = 0.0
        self._written_at = 0.0
        self._written_wanted = 0
        self._peak = self._peak_before = 0
        self._peak_since = monotonic()
        self._met: list[int] = []

    @property
    def variant_id(self) -> int:
        return self._spec.variant_id

    @property
    def n_waiting(self) -> int:
        return len(self._waiting)

    def adopt(self, spec: Elasticity, *, has_replicas: bool) -> None:
        """Takes over what the routing table says; who waits is let go where that is an answer to him."""
        self._spec = spec
        if has_replicas:
            if self._waiting:
                self._met.append(len(self._waiting))
                self._nudge()
            self._let_go()
        elif self._rests():
            self._let_go(self._failure())

    def close(self) -> None:
        """The variant is no more: who waits must look elsewhere."""
        self.is_closed = True
        self._let_go()

    @contextmanager
    def holding(self, *, otherwise_max: int) -> Iterator[None]:
        """One request in hand, waiting or being answered.

        Args:
            otherwise_max: How many there may be where the variant itself sets no limit.

        Raises:
            Throttled: There are as many as there may be.
        """
        limit = self._spec.max_concurrency or otherwise_max
        if self.n_in_hand >= limit:
            raise Throttled(
                f"variant {self.name!r}: {self.n_in_hand} requests are in hand, of {limit} that may be at once; "
                "try again later"
            )
        self.n_in_hand += 1
        self._seen()
        try:
            yield
        finally:
            self.n_in_hand -= 1
            self._requested_at = time()

    @contextmanager
    def in_line(self, room: WaitingRoom) -> Iterator[asyncio.Future[None]]:
        """A place behind all who wait for a first replica; what it gives is done when there is one.

        Raises:
            StartFailed: A replica could not be started; not tried again before its time.
            Throttled: Too many requests wait already.
        """
        if self._rests():
            raise self._failure()
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_closed:
            called.set_result(None)
            yield called
            return
        with room.place():
            if not self._waiting:
                self._waiting_since, self._is_noted = time(), False
                self._nudge()
            self._waiting.append(called)
            try:
                yield called
            finally:
                if called in self._waiting:
                    self._waiting.remove(called)

    async def first_replica(
        self, called: asyncio.Future[None], *, within_s: float, again_s: float | None = None
    ) -> None:
        """Waits until the variant has a replica, or is no more (`is_closed`).

        Args:
            called: The place in the line.
            again_s: Returns after so long in any case: there may be a replica of which no news will come.

        Raises:
            StartFailed: A replica could not be started.
            ServiceUnavailable: None was there in time, or hosts could not be told.
        """
        soon = min(NOTED_WITHIN_S, within_s) if again_s is None else min(again_s, within_s)
        await asyncio.wait({called}, timeout=soon)
        if again_s is not None and not called.done() and soon < within_s:
            return
        if not called.done() and self._is_noted:
            await asyncio.wait({called}, timeout=within_s - soon)
        if called.done():
            called.result()
            return
        if self._is_noted:
            raise ServiceUnavailable(
                f"variant {self.name!r} was asleep and its model server did not start within {within_s:g} s"
            )
        trouble = self.trouble or "the database did not answer"
        raise ServiceUnavailable(
            f"variant {self.name!r} is asleep and no host could be told to wake it: {trouble}"
        )

    def load(self, now: float) -> Load | None:
        """What is to be written down now; None when all of it is known."""
        self._turn(monotonic())
        wanted = replicas_for(max(self._peak, self._peak_before), most=self._spec.n_most)
        waits = bool(self._waiting)
        idle = not self.n_in_hand and self._requested_at <= self._written_at
        noted = (self._is_noted or not waits) and wanted == self._spec.n_wanted
        if idle and not waits and (noted or not self._spec.n_wanted):
            return None
        if self.n_in_hand:
            self._requested_at = now
        self._written_wanted = wanted
        since = self._waiting_since if waits else None
        return Load(self.variant_id, wanted, self._requested_at, since)

    def noted(self, load: Load) -> None:
        """It is written down."""
        self._written_at = load.requested_at
        self._is_noted = self._is_noted or load.waiting_since is not None

    def met(self) -> list[int]:
        """How many had waited, for each time that a first replica came since the last call."""
        met, self._met = self._met, []
        return met

    def _seen(self) -> None:
        self._requested_at = time()
        self._peak = max(self._peak, self.n_in_hand)
        wanted = replicas_for(self._peak, most=self._spec.n_most)
        if self._spec.n_wanted and wanted > max(self._spec.n_wanted, self._written_wanted):
            self._nudge()

    def _turn(self, now: float) -> None:
        if now - self._peak_since > SCALE_DOWN_S:
            self._peak_before, self._peak, self._peak_since = self._peak, self.n_in_hand, now

    def _let_go(self, error: Exception | None = None) -> None:
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None) if error is None else future.set_exception(error)
        self._waiting_since = None

    def _rests(self) -> bool:
        """Whether the last start failed and is not to be tried again yet."""
        return rests_until(self._fails_until(), now=time())

    def _fails_until(self) -> float:
        return self._spec.failure.again_at if self._spec.failure is not None else 0.0

    def _failure(self) -> StartFailed:
        reason = self._spec.failure.reason if self._spec.failure is not None else ""
        return StartFailed(self.name, reason, retry_after_s=max(1, ceil(self._fails_until() - time())))
