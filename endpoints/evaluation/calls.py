"""The timed calls of an evaluation: batches, whose answers are taken in meanwhile, and single rows.

A batch's answer is taken in while the endpoint works on the next batch, so that it costs no time. That must not show in
what is timed. A call counts only when somebody came to hear its answer before it was there, and once one came too soon,
calls and work take turns. Every few calls are made alone: where calls with work beside them take longer, because
the two want the same processor, only those alone count, and all further ones are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import quantiles
from time import perf_counter
from typing import Final

from endpoints.evaluation.endpoint_client import EndpointClient, TimedAnswer, refusal
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.test_set import Portion

BESIDE_BELOW: Final = 0.5
"""Work is done beside a call where it takes less than this share of one."""
SETTLED_S: Final = 0.003
"""After that a request has reached the model. Until then work would keep the gateway from passing it on: it is woken by
the request, and so on the processor of who sent it.
"""
ALONE_EVERY: Final = 8
SLOWER_AT_MOST: Final = 1.1
"""How much longer calls with work beside them may take, by the row. Of either way the quickest quarter is compared:
what else the machine does disturbs the others.
"""
N_COMPARED: Final = 5
"""Calls of either way from which on the two are compared."""


@dataclass(frozen=True)
class SingleRow:
    """One row as a request; `row` is its number in the table, from 1."""

    row: int
    body: bytes


@dataclass(frozen=True)
class TimedBatch:
    """One call that was timed; `alone` where no work was done beside it. `number` counts all that were sent, from 1."""

    seconds: float
    n_rows: int
    alone: bool
    number: int


class BatchCalls:
    """Sends portions one after the other.

    Args:
        take: Given every portion with its answer, in order.

    Attributes:
        sizes: Rows of every call.
    """

    def __init__(
        self, client: EndpointClient, *, accept: str, take: Callable[[Portion, bytes], None]
    ) -> None:
        self._client = client
        self._accept = accept
        self._take = take
        self.sizes: list[int] = []
        self._timed: list[TimedBatch] = []
        self._may_work_beside = True
        self._is_disturbed = False
        self._work_is_short = False

    def send(self, portions: Iterator[Portion], done: Callable[[int], None]) -> None:
        """Sends all of them.

        Args:
            done: Called with the number of the batch that was answered.

        Raises:
            RunFailed: The endpoint refuses, or its answer is of another kind.
        """
        portion = next(portions, None)
        held: tuple[Portion, bytes] | None = None
        latency_s = 0.0
        while portion is not None:
            if held is not None and not self._works_beside():
                began_at = perf_counter()
                self._take(*held)
                self._work_is_short = perf_counter() - began_at < BESIDE_BELOW * latency_s
                held = None
            self._client.ask(portion.body, accept=self._accept)
            if held is not None and not self._client.is_answered(within_s=SETTLED_S):
                self._take(*held)
                following = next(portions, None)
                answer = self._hear(portion, alone=False)
            else:
                answer = self._hear(portion, alone=True)
                if held is not None:
                    self._take(*held)
                following = next(portions, None)
            held, latency_s = (portion, answer.body), answer.latency_s
            done(portion.batch)
            portion = following
        if held is not None:
            self._take(*held)

    @property
    def counted(self) -> list[TimedBatch]:
        """The calls whose times are the endpoint's own."""
        return [each for each in self._timed if each.alone or not self._is_disturbed]

    def _works_beside(self) -> bool:
        return self._may_work_beside and self._work_is_short and len(self.sizes) % ALONE_EVERY != 0

    def _hear(self, portion: Portion, *, alone: bool) -> TimedAnswer:
        answer = self._client.answer()
        if answer.status != 200:
            raise RunFailed(refusal(answer, portion.first_row))
        self.sizes.append(len(portion.X))
        if not alone and answer.early:
            self._may_work_beside = False
        else:
            self._timed.append(TimedBatch(answer.latency_s, len(portion.X), alone, len(self.sizes)))
            self._compare()
        return answer

    def _compare(self) -> None:
        if not self._may_work_beside:
            return
        by_row: dict[bool, list[float]] = {True: [], False: []}
        for each in self._timed:
            by_row[each.alone].append(each.seconds / each.n_rows)
        if min(map(len, by_row.values())) >= N_COMPARED:
            beside, alone = (quantiles(by_row[way], n=4)[0] for way in (False, True))
            self._is_disturbed = beside > SLOWER_AT_MOST * alone
            self._may_work_beside = not self._is_disturbed


def single_calls(
    client: EndpointClient, rows: Sequence[SingleRow], n: int, done: Callable[[int], None]
) -> list[float]:
    """Seconds of `n` calls with one row each, as an ordinary client makes them. The rows are taken in turn.

    Raises:
        RunFailed: The endpoint refuses.
    """
    seconds = []
    for position in range(n):
        single = rows[position % len(rows)]
        seconds.append(single_call(client, single))
        done(position + 1)
    return seconds


def single_call(client: EndpointClient, single: SingleRow) -> float:
    """Seconds of one. Raises RunFailed."""
    answer = client.call(single.body)
    if answer.status != 200:
        raise RunFailed(refusal(answer, single.row))
    return answer.latency_s
