"""What a project has spent: jobs summed up by the database, the dearest of them listed, everything by day and kind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import (
    Case,
    Count,
    DecimalField,
    ExpressionWrapper,
    Max,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncDay

from endpoints.models import TransformJob
from endpoints.selectors.cost_ledger import CostLedger
from endpoints.selectors.costs import ProjectCosts, Spender, Spent, transform_job_cost
from endpoints.selectors.endpoint_costs import endpoint_costs
from jobs.models import SpentRecord, TrainingJob
from jobs.pricing import Cost, Price, Prices, cost_of, cost_sum
from jobs.selectors.prices import prices_now, training_job_cost
from mlplatform.core import clock
from mlplatform.core.people.access import Actor

J = TypeVar("J", TrainingJob, TransformJob)


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
    endpoint by the minutes in which it worked. What was deleted since is still counted. Jobs are summed up by the
    database, so that a hundred thousand of them are no matter.

    Args:
        search: List only what has this in its name; sums are of everything.
        kind: List only this kind of `Spender`.
        most: List so many at most; None for all.
    """
    prices = prices_now()
    ledger = CostLedger(since, until, prices.currency)
    wanted = _Wanted(search[:100].casefold(), kind, most)
    spent = [
        *_training(actor, wanted, prices, ledger),
        *_transforms(actor, wanted, prices, ledger),
        *endpoint_costs(project=actor.project, prices=prices, ledger=ledger),
        *_deleted(actor, wanted, ledger),
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


@dataclass(frozen=True)
class _Wanted:
    """What is listed."""

    search: str
    kind: str
    most: int | None

    def has(self, one: Spent) -> bool:
        return self.search in one.name.casefold() and self.kind in ("", one.kind.value)


def _training(actor: Actor, wanted: _Wanted, prices: Prices, ledger: CostLedger) -> Iterable[Spent]:
    """Training jobs; those of a tuning job together."""
    jobs = TrainingJob.objects.filter(project=actor.project, started_at__isnull=False)
    tuned: dict[str, list[tuple[str, Cost, datetime, int]]] = defaultdict(list)
    for one in _ended_sums(jobs, prices, ledger, "trial__tuning_job__name"):
        kind = Spender.TUNING if one.of else Spender.TRAINING
        ledger.add(one.last_at, kind, one.cost)
        if one.of:
            tuned[one.of].append((one.instance_type, one.cost, one.last_at, one.n))
    now = clock.now()
    for job in _running(jobs, ledger).select_related("trial__tuning_job"):
        cost = training_job_cost(job, prices)
        trial = getattr(job, "trial", None)
        ledger.add(now, Spender.TUNING if trial else Spender.TRAINING, cost)
        if trial:
            tuned[trial.tuning_job.name].append((job.instance_type, cost, now, 1))
        else:
            yield Spent(Spender.TRAINING, job.name, job.instance_type, cost, now)
    single = jobs.filter(trial__isnull=True)
    for job in _dearest(single, Spender.TRAINING, wanted, prices, ledger):
        cost = training_job_cost(job, prices)
        yield Spent(Spender.TRAINING, job.name, job.instance_type, cost, job.ended_at or now)
    for name, found in tuned.items():
        total = cost_sum((cost for _type, cost, _at, _n in found), currency=prices.currency)
        last = max(at for _type, _cost, at, _n in found)
        yield Spent(Spender.TUNING, name, found[0][0], total, last, n=sum(n for *_rest, n in found))


def _transforms(actor: Actor, wanted: _Wanted, prices: Prices, ledger: CostLedger) -> Iterable[Spent]:
    jobs = TransformJob.objects.filter(project=actor.project, started_at__isnull=False)
    for one in _ended_sums(jobs, prices, ledger):
        ledger.add(one.last_at, Spender.TRANSFORM, one.cost)
    now = clock.now()
    for job in _running(jobs, ledger):
        cost = transform_job_cost(job, prices)
        ledger.add(now, Spender.TRANSFORM, cost)
        yield Spent(Spender.TRANSFORM, job.name, job.instance_type, cost, now)
    for job in _dearest(jobs, Spender.TRANSFORM, wanted, prices, ledger):
        yield Spent(
            Spender.TRANSFORM,
            job.name,
            job.instance_type,
            transform_job_cost(job, prices),
            job.ended_at or now,
        )


@dataclass(frozen=True)
class _Sum:
    """Jobs that ended on one day, of one type, at one price. `of`: the tuning job that they belong to, if any."""

    instance_type: str
    cost: Cost
    last_at: datetime
    n: int
    of: str


def _in_time(jobs: QuerySet[J], ledger: CostLedger) -> QuerySet[J]:
    return jobs.filter(ended_at__gte=ledger.since, ended_at__lt=ledger.until)


def _running(jobs: QuerySet[J], ledger: CostLedger) -> QuerySet[J]:
    """Those that run, where that time has the present."""
    has_present = ledger.since <= clock.now() < ledger.until
    return jobs.filter(ended_at__isnull=True) if has_present else jobs.none()


def _ended_sums(jobs: QuerySet[J], prices: Prices, ledger: CostLedger, of: str = "") -> Iterable[_Sum]:
    """Of the jobs that ended in that time, summed up by the database; one query."""
    by = ["instance_type", "price_per_hour", "currency", *([of] if of else [])]
    days = _in_time(jobs, ledger).order_by().values(*by, day=TruncDay("ended_at", tzinfo=UTC))
    for one in days.annotate(seconds=Sum("billable_s"), last_at=Max("ended_at"), n=Count("pk")):
        price = (
            prices.of(one["instance_type"])
            if one["price_per_hour"] is None
            else Price(one["price_per_hour"], one["currency"])
        )
        cost = cost_of(seconds=one["seconds"] or 0, price=price)
        yield _Sum(one["instance_type"], cost, one["last_at"], one["n"], one[of] or "" if of else "")


def _dearest(
    jobs: QuerySet[J], kind: Spender, wanted: _Wanted, prices: Prices, ledger: CostLedger
) -> Iterable[J]:
    """The jobs that are listed, by what they cost; how many more there are is noted."""
    if wanted.kind not in ("", kind.value):
        return []
    found = _in_time(jobs, ledger)
    if wanted.search:
        found = found.filter(name__icontains=wanted.search)
    names = (
        "project",
        "name",
        "status",
        "instance_type",
        "billable_s",
        "price_per_hour",
        "currency",
        "ended_at",
    )
    if wanted.most is None:
        return found.only(*names).order_by().iterator(chunk_size=1000)
    sheet = [When(instance_type=name, then=Value(price)) for name, price in prices.per_hour.items()]
    money = DecimalField(max_digits=30, decimal_places=6)
    price = Coalesce("price_per_hour", Case(*sheet, default=Value(Decimal(0))), output_field=money)
    amount = ExpressionWrapper(Coalesce("billable_s", 0) * price, output_field=money)
    ledger.n_unlisted += max(0, found.count() - wanted.most)
    return found.only(*names).order_by(amount.desc(), "-pk")[: wanted.most]


def _deleted(actor: Actor, wanted: _Wanted, ledger: CostLedger) -> Iterable[Spent]:
    """What was written down when it was deleted; several days of an endpoint together."""
    records = SpentRecord.objects.filter(project=actor.project, at__gte=ledger.since, at__lt=ledger.until)
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
    listed = things.order_by("-money", "name")
    if wanted.most is not None:
        ledger.n_unlisted += max(0, things.count() - wanted.most)
        listed = listed[: wanted.most]
    found: dict[tuple[str, str, str], list[tuple[Cost, datetime]]] = defaultdict(list)
    for one in listed:
        cost = Cost(one["time"], one["money"], one["currency"])
        found[one["kind"], one["name"], one["detail"]].append((cost, one["last_at"]))
    for (kind, name, detail), parts in found.items():
        total = cost_sum((cost for cost, _at in parts), currency=parts[0][0].currency)
        yield Spent(Spender(kind), name, detail, total, max(at for _cost, at in parts), exists=False)
