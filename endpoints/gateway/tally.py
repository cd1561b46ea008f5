"""Counts of invocations per endpoint, variant and minute, held in memory until they are written.

`add` is called on the hot path. `TallyWriter` hands what has gathered to an injected `flush` on a thread;
what could not be written is merged back and tried again, so nothing is lost as long as the process lives.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from endpoints.gateway.histogram import Histogram

logger = logging.getLogger(__name__)


@dataclass
class MinuteCounts:
    """One minute of one variant. The three kinds of error do not overlap.

    Attributes:
        minute: Minutes since the epoch.
        n_4xx: Answers 400 to 499 except 424.
        n_model_errors: Answers 424.
        n_throttled: Answers 429, which are in `n_4xx` too.
        n_cold: Requests that waited for a model server to start.
        busy_ms: Time in model servers, of all requests together.
        latency: From the request's arrival to its answer, of requests that a replica answered.
        overhead: The part of it that the model server did not take.
    """

    endpoint_id: int
    variant: str
    minute: int
    n_requests: int = 0
    n_4xx: int = 0
    n_5xx: int = 0
    n_model_errors: int = 0
    n_throttled: int = 0
    n_cold: int = 0
    busy_ms: float = 0.0
    latency: Histogram = field(default_factory=Histogram)
    overhead: Histogram = field(default_factory=Histogram)

    def count(self, status: int) -> None:
        self.n_requests += 1
        if status == 424:
            self.n_model_errors += 1
        elif status >= 500:
            self.n_5xx += 1
        elif status >= 400:
            self.n_4xx += 1
            self.n_throttled += status == 429

    def merge(self, other: MinuteCounts) -> None:
        self.n_requests += other.n_requests
        self.n_4xx += other.n_4xx
        self.n_5xx += other.n_5xx
        self.n_model_errors += other.n_model_errors
        self.n_throttled += other.n_throttled
        self.n_cold += other.n_cold
        self.busy_ms += other.busy_ms
        self.latency.merge(other.latency)
        self.overhead.merge(other.overhead)


Flush = Callable[[Sequence[MinuteCounts]], None]


class Tally:
    """What has been counted and not yet been taken, and what was taken since the start. Used on the event loop only."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, str, int], MinuteCounts] = {}
        self._given_back: list[MinuteCounts] = []
        self._totals: dict[tuple[int, str], MinuteCounts] = {}

    def add(
        self,
        *,
        endpoint_id: int,
        variant: str,
        now: float,
        status: int,
        latency_s: float | None = None,
        model_s: float = 0.0,
        busy_s: float = 0.0,
        is_cold: bool = False,
    ) -> None:
        """Counts one invocation.

        Args:
            latency_s: None when no replica answered it.
            model_s: What the replica that answered took; `busy_s` what all took that were tried.
        """
        counts = self._at(endpoint_id, variant, int(now // 60))
        counts.count(status)
        counts.n_cold += is_cold
        counts.busy_ms += busy_s * 1000
        if latency_s is not None:
            counts.latency.add(latency_s * 1000)
            counts.overhead.add((latency_s - model_s) * 1000)

    def take(self) -> list[MinuteCounts]:
        for counts in self._counts.values():
            self._total(counts.endpoint_id, counts.variant).merge(counts)
        for counts in self._given_back:
            self._at(counts.endpoint_id, counts.variant, counts.minute).merge(counts)
        taken, self._counts, self._given_back = self._counts, {}, []
        return list(taken.values())

    def give_back(self, taken: Sequence[MinuteCounts]) -> None:
        self._given_back += taken

    def minutes(self) -> set[int]:
        """Those of what has not been taken."""
        return {minute for _, _, minute in self._counts}

    def total(self, endpoint_id: int, variant: str, minutes: Collection[int]) -> MinuteCounts:
        """All that was ever counted of the variant, as a copy; never less than before, as counters are.

        Args:
            minutes: See `minutes`.
        """
        found = MinuteCounts(endpoint_id, variant, minute=0)
        taken = self._totals.get((endpoint_id, variant))
        left = (self._counts.get((endpoint_id, variant, minute)) for minute in minutes)
        for counts in (taken, *left):
            if counts is not None:
                found.merge(counts)
        return found

    def forget(self, endpoint_ids: Collection[int]) -> None:
        """Drops the totals of all endpoints but these."""
        self._totals = {place: total for place, total in self._totals.items() if place[0] in endpoint_ids}

    def _total(self, endpoint_id: int, variant: str) -> MinuteCounts:
        place = endpoint_id, variant
        if place not in self._totals:
            self._totals[place] = MinuteCounts(*place, minute=0)
        return self._totals[place]

    def _at(self, endpoint_id: int, variant: str, minute: int) -> MinuteCounts:
        key = (endpoint_id, variant, minute)
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = MinuteCounts(endpoint_id, variant, minute)
        return counts


def error_line(error: Exception) -> str:
    """One line for the log: a full disk or a database that is away comes and goes, and its traceback says no more."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class TallyWriter:
    """Writes a tally every `every_s`, and a last time at the end.

    Args:
        flush: Called on a thread of its own, always the same. Must write all it is given or nothing (one
            transaction): after an exception everything is handed to it again.
    """

    def __init__(self, tally: Tally, flush: Flush, *, every_s: float = 2.0) -> None:
        self._tally = tally
        self._flush = flush
        self._every_s = every_s
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tally")
        self._is_failing = False

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            await self.write()

    async def write(self) -> None:
        """Writes what there is; never raises."""
        taken = self._tally.take()
        if not taken:
            return
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._flush, taken)
        except (
            asyncio.CancelledError
        ):  # whether it was written is unknown: better one count too many than one lost
            self._tally.give_back(taken)
            raise
        except Exception as error:
            self._tally.give_back(taken)
            if not self._is_failing:
                logger.warning(
                    "invocation counts could not be written; they are kept and tried again: %s",
                    error_line(error),
                )
            self._is_failing = True
        else:
            self._is_failing = False

    def close(self) -> None:
        self._thread.shutdown(wait=False)
