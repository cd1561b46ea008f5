"""What the jobs of a project cost in a time: training jobs, those of tuning jobs together, and transform jobs.

Two queries, however many jobs there are: sums of what has ended, by day and price, and the rows that are listed or run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple, TypeVar

from django.db.models import (
    Case,
    CharField,
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Coalesce, TruncDay

from endpoints.models import TransformJob
from endpoints.selectors.cost_ledger import CostLedger, Wanted
from endpoints.selectors.costs import Spender, Spent
from jobs.models import TrainingJob, TuningTrial
from jobs.pricing import Cost, Price, Prices, cost_of, cost_sum
from jobs.selectors.prices import job_cost
from mlplatform.core import clock
from mlplatform.core.models import Project

J = TypeVar("J", TrainingJob, TransformJob)
_NO_TUNING: Final = Value(None, output_field=CharField())
_PRICED: Final = ("instance_type", "price_per_hour", "currency")
_MONEY: Final = DecimalField(max_digits=30, decimal_places=6)


class _Sum(NamedTuple):
    """Jobs that ended on one day, of one type, at one price. `tuning`: the tuning job they belong to, if any."""

    kind: str
    tuning: str | None
    instance_type: str
    price_per_hour: Decimal | None
    currency: str
    day: datetime
    seconds: int | None
    last_at: datetime
    n: int
    n_found: int

    def cost(self, prices: Prices) -> Cost:
        price = (
            prices.of(self.instance_type)
            if self.price_per_hour is None
            else Price(self.price_per_hour, self.currency)
        )
        return cost_of(seconds=self.seconds or 0, price=price)


class _Job(NamedTuple):
    """One that is listed, or that runs."""

    kind: str
    tuning: str | None
    pk: int
    name: str
    instance_type: str
    price_per_hour: Decimal | None
    currency: str
    billable_s: int | None
    instance_count: int
    started_at: datetime
    ended_at: datetime | None

    @property
    def ended(self) -> bool:
        return self.ended_at is not None


def job_costs(*, project: Project, wanted: Wanted, prices: Prices, ledger: CostLedger) -> Iterable[Spent]:
    """The dearest of those that are wanted, and what runs; the ledger is filled with all."""
    now = clock.now()
    tuned: dict[str, list[tuple[str, Cost, datetime, int]]] = defaultdict(list)
    for one in _sums(project, wanted, ledger):
        cost = one.cost(prices)
        ledger.add(one.last_at, Spender.TUNING if one.tuning else Spender(one.kind), cost)
        if one.tuning:
            tuned[one.tuning].append((one.instance_type, cost, one.last_at, one.n))
        elif wanted.most is not None and wanted.wants(Spender(one.kind)):
            ledger.n_unlisted += one.n_found
    n_listed = 0
    for job in _jobs(project, wanted, prices, ledger, now):
        cost = job_cost(job, prices)
        if not job.ended:
            ledger.add(now, Spender.TUNING if job.tuning else Spender(job.kind), cost)
        elif wanted.most is not None:
            n_listed += 1
        if job.tuning:
            tuned[job.tuning].append((job.instance_type, cost, now, 1))
        else:
            yield Spent(Spender(job.kind), job.name, job.instance_type, cost, job.ended_at or now)
    ledger.n_unlisted -= n_listed
    for name, found in tuned.items():
        total = cost_sum((cost for _type, cost, _at, _n in found), currency=prices.currency)
        last = max(at for _type, _cost, at, _n in found)
        yield Spent(Spender.TUNING, name, found[0][0], total, last, n=sum(n for *_rest, n in found))


def _sums(project: Project, wanted: Wanted, ledger: CostLedger) -> Iterator[_Sum]:
    """Of the jobs that ended in that time; `n_found` is how many have the search in their names."""
    training = _summed(
        _ended(TrainingJob, project, ledger), Spender.TRAINING, F("trial__tuning_job__name"), wanted
    )
    transforms = _summed(_ended(TransformJob, project, ledger), Spender.TRANSFORM, _NO_TUNING, wanted)
    return (_Sum(*row) for row in training.union(transforms, all=True))


def _summed(jobs: QuerySet[J], kind: Spender, tuning: F | Value, wanted: Wanted) -> Any:
    found = Count("pk", filter=Q(name__icontains=wanted.search)) if wanted.search else Count("*")
    return (
        jobs.annotate(kind=Value(kind.value), tuning=tuning, day=TruncDay("ended_at", tzinfo=UTC))
        .values_list("kind", "tuning", *_PRICED, "day")
        .annotate(
            seconds=Sum("billable_s"),
            last_at=Max("ended_at"),
            n=Count("*"),
            n_found=found,
        )
    )


def _jobs(
    project: Project, wanted: Wanted, prices: Prices, ledger: CostLedger, now: datetime
) -> Iterable[_Job]:
    """Those that run, if that time has the present, then those that are listed; the newest first."""
    parts = []
    if ledger.since <= now < ledger.until:
        parts += [
            _read(_begun(TrainingJob, project, running=True), Spender.TRAINING, F("trial__tuning_job__name")),
            _read(_begun(TransformJob, project, running=True), Spender.TRANSFORM, _NO_TUNING),
        ]
    if wanted.wants(Spender.TRAINING):
        single = _ended(TrainingJob, project, ledger).filter(
            ~Exists(TuningTrial.objects.filter(training_job=OuterRef("pk")))
        )
        parts.append(_read(_dearest(single, wanted, prices), Spender.TRAINING, _NO_TUNING))
    if wanted.wants(Spender.TRANSFORM):
        transforms = _dearest(_ended(TransformJob, project, ledger), wanted, prices)
        parts.append(_read(transforms, Spender.TRANSFORM, _NO_TUNING))
    if not parts:
        return []
    rows = parts[0].union(*parts[1:], all=True)
    found = [_Job(*row) for row in (rows.iterator(chunk_size=1000) if wanted.most is None else rows)]
    return sorted(found, key=lambda job: (job.ended, -job.pk))


def _read(jobs: QuerySet[J], kind: Spender, tuning: F | Value) -> Any:
    fields = ("pk", "name", *_PRICED, "billable_s", "instance_count", "started_at", "ended_at")
    return jobs.annotate(kind=Value(kind.value), tuning=tuning).values_list("kind", "tuning", *fields)


def _begun(model: type[J], project: Project, *, running: bool) -> QuerySet[J]:
    jobs = model._default_manager.filter(project=project, started_at__isnull=False).order_by()
    return jobs.filter(ended_at__isnull=True) if running else jobs


def _ended(model: type[J], project: Project, ledger: CostLedger) -> QuerySet[J]:
    return _begun(model, project, running=False).filter(ended_at__gte=ledger.since, ended_at__lt=ledger.until)


def _dearest(jobs: QuerySet[J], wanted: Wanted, prices: Prices) -> QuerySet[J]:
    """So many as are wanted, by what they cost. Found by what an index has; the rows of these alone are read."""
    if wanted.search:
        jobs = jobs.filter(name__icontains=wanted.search)
    if wanted.most is None:
        return jobs
    sheet = [When(instance_type=name, then=Value(price)) for name, price in prices.per_hour.items()]
    price = Coalesce("price_per_hour", Case(*sheet, default=Value(Decimal(0))), output_field=_MONEY)
    amount = ExpressionWrapper(Coalesce("billable_s", 0) * price, output_field=_MONEY)
    dearest = jobs.order_by(amount.desc(), "-pk").values("pk")[: wanted.most]
    return jobs.model._default_manager.filter(pk__in=dearest).order_by()
