"""What the endpoints of a project cost in a time: replicas by their lives, serverless ones by their work.

Lives are summed up by the database, by endpoint and by day: of endpoints that sleep and wake there are very many.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db.models import (
    Case,
    Count,
    DateTimeField,
    DurationField,
    ExpressionWrapper,
    F,
    Max,
    Min,
    Q,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest, Least, TruncDay

from endpoints.models import ReplicaRun
from endpoints.selectors.cost_ledger import CostLedger, Wanted
from endpoints.selectors.costs import SEEN_WITHIN, Spender, Spent
from endpoints.selectors.serverless_costs import DayCost, project_serverless_costs
from jobs.pricing import Price, Prices, cost_of, cost_sum
from mlplatform.core import clock
from mlplatform.core.models import Project

_DAY: Final = timedelta(days=1)
_PRICED: Final = ("instance_type", "price_per_hour", "currency")


class _Lives(NamedTuple):
    """Of one endpoint's replicas of one type at one price: the last end, how many they were, how long all together."""

    instance_type: str
    price_per_hour: Decimal | None
    currency: str
    endpoint_id: int | None
    last_at: datetime
    n: int
    length: timedelta
    oldest: int


def endpoint_costs(
    *, project: Project, wanted: Wanted, prices: Prices, ledger: CostLedger
) -> Iterable[Spent]:
    """Those that there are and those that were deleted, if they are wanted; the ledger is filled with all."""
    runs = _runs(project, ledger)
    for (day, price), length in _by_day(runs, prices, ledger.since).items():
        ledger.add(day, Spender.ENDPOINT, cost_of(seconds=length.total_seconds(), price=price))
    if wanted.wants(Spender.ENDPOINT):
        yield from _by_endpoint(runs, prices)
    yield from _serverless(project, prices, ledger)


def _runs(project: Project, ledger: CostLedger) -> Any:
    """Lives that reach into that time, with the `begin` and `end` of their part of it; a queryset.

    One that has no end is alive, or its host is not: then it was alive when it was seen last
    (`costs.replica_run_end`).
    """
    now = clock.now()
    at = DateTimeField()
    seen = Coalesce("seen_at", "ready_at", "started_at")
    end = Case(
        When(ended_at__isnull=False, then=F("ended_at")),
        When(seen__gt=now - SEEN_WITHIN, then=Value(now, at)),
        default=F("seen"),
        output_field=at,
    )
    runs = ReplicaRun.objects.filter(project=project, started_at__lt=ledger.until, memory_mb__isnull=True)
    return (
        runs.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=ledger.since))
        .order_by()
        .annotate(seen=seen, begin=Greatest("started_at", Value(ledger.since, at)))
        .annotate(end=Least(end, Value(ledger.until, at)))
    )


def _by_endpoint(runs: Any, prices: Prices) -> Iterator[Spent]:
    """By the endpoint's uid and name, the one with the oldest life first."""
    lived = Case(
        When(end__gt=F("begin"), then=F("end") - F("begin")),
        default=timedelta(0),
        output_field=DurationField(),
    )
    groups = runs.values_list("endpoint_uid", "endpoint_name", *_PRICED).annotate(
        of=Max("endpoint_id"),
        last_at=Max("end"),
        n=Count("*"),
        length=Sum(lived),
        oldest=Min("pk"),
    )
    lives: dict[tuple[str, str], list[_Lives]] = defaultdict(list)
    for uid, name, *group in groups.order_by("oldest"):
        lives[uid, name].append(_Lives(*group))
    for (_uid, name), parts in lives.items():
        costs = [
            cost_of(
                seconds=part.length.total_seconds(),
                price=_price(part.instance_type, part.price_per_hour, part.currency, prices),
            )
            for part in parts
        ]
        yield Spent(
            Spender.ENDPOINT,
            name,
            ", ".join(sorted({part.instance_type for part in parts})),
            cost_sum(costs, currency=prices.currency),
            max(part.last_at for part in parts),
            n=sum(part.n for part in parts),
            exists=parts[0].endpoint_id is not None,
        )


def _by_day(runs: Any, prices: Prices, since: datetime) -> dict[tuple[datetime, Price], timedelta]:
    """How long replicas lived on each day (UTC) at each price.

    Lives that begin on one day and end on another are one row, with their number and the sums of both instants, which
    is all that their parts of each day together depend on.
    """
    origin = Value(since, DateTimeField())
    groups = (
        runs.filter(end__gt=F("begin"))
        .annotate(first=TruncDay("begin", tzinfo=UTC), last=TruncDay("end", tzinfo=UTC))
        .values_list("first", "last", *_PRICED)
        .annotate(
            n=Count("*"),
            begun=Sum(ExpressionWrapper(F("begin") - origin, output_field=DurationField())),
            ended=Sum(ExpressionWrapper(F("end") - origin, output_field=DurationField())),
        )
    )
    found: dict[tuple[datetime, Price], timedelta] = defaultdict(timedelta)
    for first, last, instance_type, price_per_hour, currency, n, begun, ended in groups:
        price = _price(instance_type, price_per_hour, currency, prices)
        for day, length in _days(first, last, n, begun - n * (first - since), ended - n * (last - since)):
            found[day, price] += length
    return found


def _days(
    first: datetime, last: datetime, n: int, begun: timedelta, ended: timedelta
) -> Iterator[tuple[datetime, timedelta]]:
    """How long `n` lives from the day `first` to the day `last` lasted on each.

    Args:
        begun: How long after the beginning of `first` they began, all together.
        ended: How long after the beginning of `last` they ended, all together.
    """
    if first == last:
        yield first, ended - begun
        return
    yield first, n * _DAY - begun
    for index in range(1, (last - first).days):
        yield first + index * _DAY, n * _DAY
    if ended:
        yield last, ended


def _price(instance_type: str, price_per_hour: Decimal | None, currency: str, prices: Prices) -> Price:
    return prices.of(instance_type) if price_per_hour is None else Price(price_per_hour, currency)


def _serverless(project: Project, prices: Prices, ledger: CostLedger) -> Iterator[Spent]:
    """Of endpoints that there are: what model servers worked."""
    found: dict[str, list[DayCost]] = defaultdict(list)
    for one in project_serverless_costs(
        project=project, prices=prices, since=ledger.since, until=ledger.until
    ):
        ledger.add(one.at, Spender.ENDPOINT, one.cost)
        found[one.endpoint_name].append(one)
    for name, parts in found.items():
        total = cost_sum((part.cost for part in parts), currency=prices.currency)
        yield Spent(Spender.ENDPOINT, name, "serverless", total, max(part.at for part in parts))
