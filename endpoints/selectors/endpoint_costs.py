"""What the endpoints of a project cost in a time: replicas by their lives, serverless ones by their work."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from endpoints.models import ReplicaRun
from endpoints.selectors.cost_ledger import CostLedger
from endpoints.selectors.costs import Spender, Spent, replica_run_end, replica_run_price
from endpoints.selectors.serverless_costs import DayCost, serverless_costs, serverless_endpoints
from jobs.pricing import Price, Prices, cost_of, cost_sum
from mlplatform.core import clock
from mlplatform.core.models import Project

_OF_RUNS: Final = (
    "endpoint_id",
    "endpoint_uid",
    "endpoint_name",
    "instance_type",
    "started_at",
    "ready_at",
    "seen_at",
    "ended_at",
    "price_per_hour",
    "currency",
)


@dataclass
class _Lives:
    """The lives of an endpoint's replicas in that time: how many, how long at which price, the last end."""

    exists: bool
    last_at: datetime
    n: int = 0
    types: set[str] = field(default_factory=set)
    lengths: dict[Price, timedelta] = field(default_factory=lambda: defaultdict(timedelta))


def endpoint_costs(*, project: Project, prices: Prices, ledger: CostLedger) -> Iterable[Spent]:
    """Those that there are and those that were deleted; the ledger is filled. Prices are applied to sums of lives: of
    an endpoint that sleeps and wakes there are very many.
    """
    lives, by_day = _lives(project, prices, ledger)
    for (day, price), length in by_day.items():
        ledger.add(day, Spender.ENDPOINT, cost_of(seconds=length.total_seconds(), price=price))
    for (_uid, name), found in lives.items():
        costs = [cost_of(seconds=each.total_seconds(), price=price) for price, each in found.lengths.items()]
        total = cost_sum(costs, currency=prices.currency)
        types = ", ".join(sorted(found.types))
        yield Spent(Spender.ENDPOINT, name, types, total, found.last_at, n=found.n, exists=found.exists)
    yield from _serverless(project, prices, ledger)


def _lives(
    project: Project, prices: Prices, ledger: CostLedger
) -> tuple[dict[tuple[str, str], _Lives], dict[tuple[datetime, Price], timedelta]]:
    """By the endpoint's uid and name; and how long replicas lived on each day at each price."""
    now = clock.now()
    runs = ReplicaRun.objects.filter(project=project, started_at__lt=ledger.until, memory_mb__isnull=True)
    runs = runs.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=ledger.since))
    lives: dict[tuple[str, str], _Lives] = {}
    by_day: dict[tuple[datetime, Price], timedelta] = defaultdict(timedelta)
    for run in runs.order_by().values_list(*_OF_RUNS, named=True).iterator(chunk_size=1000):
        price = replica_run_price(run, prices)
        begin, end = max(run.started_at, ledger.since), min(replica_run_end(run, now), ledger.until)
        place = run.endpoint_uid, run.endpoint_name
        found = lives.get(place)
        if found is None:
            found = lives[place] = _Lives(exists=run.endpoint_id is not None, last_at=end)
        found.n += 1
        found.last_at = max(found.last_at, end)
        found.types.add(run.instance_type)
        found.lengths[price] += max(timedelta(0), end - begin)
        for day, length in _by_day(begin, end):
            by_day[day, price] += length
    return lives, by_day


def _serverless(project: Project, prices: Prices, ledger: CostLedger) -> Iterable[Spent]:
    """Of endpoints that there are: what model servers worked."""
    found: dict[str, list[DayCost]] = defaultdict(list)
    endpoints = serverless_endpoints(project)
    for one in serverless_costs(endpoints=endpoints, prices=prices, since=ledger.since, until=ledger.until):
        ledger.add(one.at, Spender.ENDPOINT, one.cost)
        found[one.endpoint.name].append(one)
    for name, parts in found.items():
        total = cost_sum((part.cost for part in parts), currency=prices.currency)
        yield Spent(Spender.ENDPOINT, name, "serverless", total, max(part.at for part in parts))


def _by_day(begin: datetime, end: datetime) -> Iterable[tuple[datetime, timedelta]]:
    """How much of each day (UTC) lies between the two; a day by its beginning."""
    while begin < end:
        day = begin.replace(hour=0, minute=0, second=0, microsecond=0)
        until = min(day + timedelta(days=1), end)
        yield day, until - begin
        begin = until
