"""What a project has spent: everything summed up by the database by day and kind, the dearest of it listed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db.models import Count, Max, Sum, Window
from django.db.models.functions import TruncDay

from endpoints.selectors.cost_ledger import CostLedger, Wanted
from endpoints.selectors.costs import ProjectCosts, Spender, Spent
from endpoints.selectors.endpoint_costs import endpoint_costs
from endpoints.selectors.job_costs import job_costs
from jobs.models import SpentRecord
from jobs.pricing import Cost, cost_sum
from jobs.selectors.prices import prices_now
from mlplatform.core.models import Project
from mlplatform.core.people.access import Actor


def project_costs(
    *,
    actor: Actor,
    since: datetime,
    until: datetime,
    search: str = "",
    kind: str = "",
    most: int | None = None,
) -> ProjectCosts:
    """What the project spent from `since` to before `until`, dearest first.

    A job counts when it ended, or now while it runs; a replica for the part of its life in that time; a serverless
    endpoint by the minutes in which it worked. What was deleted since is still counted. The database sums up by what a
    price depends on, so that a hundred thousand jobs are no matter; amounts are of exact prices all the same.

    Args:
        search: List only what has this in its name; sums are of everything.
        kind: List only this kind of `Spender`.
        most: List so many at most; None for all.
    """
    prices = prices_now()
    ledger = CostLedger(since, until, prices.currency)
    wanted = Wanted(search[:100].casefold(), kind, most)
    project = actor.project
    spent = [
        *job_costs(project=project, wanted=wanted, prices=prices, ledger=ledger),
        *endpoint_costs(project=project, wanted=wanted, prices=prices, ledger=ledger),
        *_deleted(project=project, wanted=wanted, ledger=ledger),
    ]
    spent = [one for one in spent if wanted.has(one)]
    spent.sort(key=lambda one: (one.cost.amount or Decimal(0), one.cost.seconds), reverse=True)
    return ProjectCosts(
        since=since,
        until=until,
        currency=prices.currency,
        spent=spent[:most],
        by_kind=ledger.kinds,
        days=ledger.filled(),
        total=cost_sum(ledger.kinds.values(), currency=prices.currency),
        n_spent=len(spent) + ledger.n_unlisted,
    )


def _deleted(*, project: Project, wanted: Wanted, ledger: CostLedger) -> Iterable[Spent]:
    """What was written down when it was deleted; several days of an endpoint together."""
    records = SpentRecord.objects.filter(project=project, at__gte=ledger.since, at__lt=ledger.until)
    summed: dict[str, Any] = {"time": Sum("seconds"), "money": Sum("amount"), "last_at": Max("at")}
    days = records.order_by().values("kind", "currency", day=TruncDay("at", tzinfo=UTC))
    of_day: Any
    for of_day in days.annotate(**summed):
        cost = Cost(of_day["time"], of_day["money"], of_day["currency"])
        ledger.add(of_day["last_at"], Spender(of_day["kind"]), cost)
    if wanted.kind:
        records = records.filter(kind=wanted.kind)
    if wanted.search:
        records = records.filter(name__icontains=wanted.search)
    things: Any = records.order_by().values("kind", "name", "detail", "currency").annotate(**summed)
    listed = things.annotate(n_found=Window(Count("*"))).order_by("-money", "name")[: wanted.most]
    found: dict[tuple[str, str, str], list[tuple[Cost, datetime]]] = defaultdict(list)
    n_listed = n_found = 0
    for one in listed:
        n_listed, n_found = n_listed + 1, one["n_found"]
        cost = Cost(one["time"], one["money"], one["currency"])
        found[one["kind"], one["name"], one["detail"]].append((cost, one["last_at"]))
    ledger.n_unlisted += n_found - n_listed
    for (kind, name, detail), parts in found.items():
        total = cost_sum((cost for cost, _at in parts), currency=parts[0][0].currency)
        yield Spent(Spender(kind), name, detail, total, max(at for _cost, at in parts), exists=False)
