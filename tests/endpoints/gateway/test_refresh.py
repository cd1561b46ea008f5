"""The routing table's keeper and the tally, on their own."""

from __future__ import annotations

import asyncio
import threading
from time import monotonic

from endpoints.gateway.refresh import SPARING_S, TableKeeper
from endpoints.gateway.routing import RoutingTable, Version
from endpoints.gateway.tally import MinuteCounts, Tally
from tests.endpoints.loop_thread import LoopThread


def test_many_who_ask_at_once_share_a_load_that_began_after_they_asked(loop_thread: LoopThread) -> None:
    gate, n_loads, adopted = threading.Event(), [0], []

    def load(known: Version | None) -> RoutingTable:
        n_loads[0] += 1
        gate.wait(5)
        return RoutingTable(n_loads[0])

    async def ask() -> None:
        keeper = TableKeeper(load, adopted.append)
        early = asyncio.ensure_future(keeper.refresh())
        while not n_loads[0]:
            await asyncio.sleep(0.001)
        late = [asyncio.ensure_future(keeper.refresh()) for _ in range(20)]
        await asyncio.sleep(0)
        gate.set()
        assert await asyncio.gather(early, *late) == [True] * 21
        keeper.close()

    loop_thread.call(ask())
    assert n_loads[0] == 2
    assert [table.version for table in adopted] == [1, 2]


def test_asking_at_will_loads_four_times_a_second_at_most(loop_thread: LoopThread) -> None:
    n_loads = [0]

    def load(known: Version | None) -> RoutingTable:
        n_loads[0] += 1
        return RoutingTable(n_loads[0])

    async def ask() -> float:
        keeper = TableKeeper(load, lambda table: None)
        began_at = monotonic()
        assert await keeper.refresh_sparingly()
        assert n_loads[0] == 1  # the first is not kept waiting
        assert all(await asyncio.gather(*(keeper.refresh_sparingly() for _ in range(50))))
        keeper.close()
        return monotonic() - began_at

    took_s = loop_thread.call(ask())
    assert n_loads[0] == 2
    assert took_s >= SPARING_S * 0.9


def test_taken_counts_come_back_whole() -> None:
    tally = Tally()
    for status in (200, 404, 424, 503, 500):
        tally.add(endpoint_id=1, variant="A", now=120.0, status=status, latency_s=0.01, model_s=0.004)
    taken = tally.take()
    tally.add(endpoint_id=1, variant="A", now=121.0, status=200)
    tally.add(endpoint_id=1, variant="A", now=180.0, status=200)
    tally.give_back(taken)
    minutes: list[MinuteCounts] = sorted(tally.take(), key=lambda counts: counts.minute)
    assert [(counts.minute, counts.n_requests) for counts in minutes] == [(2, 6), (3, 1)]
    first = minutes[0]
    assert (first.n_4xx, first.n_5xx, first.n_model_errors) == (1, 2, 1)
    assert (first.latency.n, first.overhead.n) == (5, 5)
    assert abs((first.overhead.percentile(50) or 0) - 6) < 0.2
    assert tally.take() == []
