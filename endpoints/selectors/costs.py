"""What endpoints, transform jobs and experiments have cost, and a project as a whole.

A replica costs from its start to its end, at the price that held when it started; a serverless one the time
that it worked, by its memory. Rows of replicas' lives (`ReplicaRun`) outlive endpoints, so that what is gone is still
counted; but for serverless ones, whose minutes of traffic go with them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import DurationField, ExpressionWrapper, F, Q, Sum

from endpoints.models import Endpoint, Experiment, ReplicaRun, TransformJob
from endpoints.selectors.serverless_costs import DayCost, serverless_costs, serverless_endpoints
from jobs.models import SpentRecord, TrainingJob, TuningJob
from jobs.pricing import Cost, Price, Prices, cost_of, cost_sum
from jobs.selectors.prices import prices_now, training_job_cost, training_jobs_cost
from mlplatform.core import clock
from mlplatform.core.people.access import Actor

DAYS_MAX = 366


class Spender(StrEnum):
    """What money is spent on."""

    TRAINING = "training_job"
    TUNING = "tuning_job"
    ENDPOINT = "endpoint"
    TRANSFORM = "transform_job"


@dataclass(frozen=True)
class Spent:
    """What one thing cost in the time that was asked for. `n`: of how many jobs or replicas."""

    kind: Spender
    name: str
    detail: str
    cost: Cost
    last_at: datetime
    n: int = 1
    exists: bool = True


@dataclass(frozen=True)
class ProjectCosts:
    """`days` maps a day (UTC) to the cost of each kind on it in `currency`, without gaps."""

    since: datetime
    until: datetime
    currency: str
    spent: Sequence[Spent]
    by_kind: dict[Spender, Cost]
    days: dict[str, dict[Spender, Decimal]]
    total: Cost


def endpoint_cost(endpoint: Endpoint, prices: Prices | None = None) -> Cost:
    """Since it was created."""
    held = prices or prices_now()
    worked = serverless_costs(endpoints=[endpoint], prices=held)
    lives = _lives_costs([endpoint.uid], held)
    return cost_sum([*lives, *(one.cost for one in worked)], currency=held.currency)


def transform_job_cost(job: TransformJob, prices: Prices | None = None) -> Cost:
    """Of one transform job: at the price of its end, or so far at that of now."""
    held = prices or prices_now()
    price = (
        Price(job.price_per_hour, job.currency)
        if job.price_per_hour is not None
        else held.of(job.instance_type)
    )
    if job.ended:
        return cost_of(seconds=job.billable_s or 0, price=price)
    begun = job.started_at
    seconds = 0.0 if begun is None else max(0.0, (clock.now() - begun).total_seconds())
    return cost_of(seconds=round(seconds) * job.instance_count, price=price)


def experiment_cost(experiment: Experiment, prices: Prices | None = None) -> Cost:
    """Its training jobs, each once, and all endpoints that its cells ever had."""
    held = prices or prices_now()
    cells = list(experiment.cells.values_list("training_job_id", "endpoint_uids"))
    jobs = TrainingJob.objects.filter(pk__in={job_id for job_id, _uids in cells if job_id})
    uids = {uid for _job_id, of_cell in cells for uid in of_cell}
    return cost_sum([training_jobs_cost(jobs, held), *_lives_costs(uids, held)], currency=held.currency)


def tuning_job_cost(tuning_job: TuningJob, prices: Prices | None = None) -> Cost:
    """All of its trials."""
    jobs = TrainingJob.objects.filter(trial__tuning_job=tuning_job)
    return training_jobs_cost(jobs, prices)


def project_costs(*, actor: Actor, since: datetime, until: datetime) -> ProjectCosts:
    """What the project spent from `since` to before `until`, dearest first.

    A job counts when it ended, or now while it runs; a replica for the part of its life in that time; a serverless
    endpoint by the minutes in which it worked. What was deleted since is still counted.
    """
    prices = prices_now()
    days = _Days(since, until, prices.currency)
    spent = [
        *_training(actor, since, until, prices, days),
        *_transforms(actor, since, until, prices, days),
        *_endpoints(actor, since, until, prices, days),
        *_deleted(actor, since, until, prices, days),
    ]
    spent.sort(key=lambda one: (one.cost.amount or Decimal(0), one.cost.seconds), reverse=True)
    by_kind = {
        kind: cost_sum((one.cost for one in spent if one.kind == kind), currency=prices.currency)
        for kind in Spender
    }
    return ProjectCosts(
        since=since,
        until=until,
        currency=prices.currency,
        spent=spent,
        by_kind=by_kind,
        days=days.filled(),
        total=cost_sum(by_kind.values(), currency=prices.currency),
    )


class _Days:
    """Amounts by day and kind. Those of another currency, from before it was changed, cannot be added."""

    def __init__(self, since: datetime, until: datetime, currency: str) -> None:
        self._since, self._until, self._currency = since, until, currency
        self._amounts: dict[str, dict[Spender, Decimal]] = defaultdict(lambda: defaultdict(Decimal))

    def add(self, at: datetime, kind: Spender, cost: Cost) -> None:
        if cost.currency == self._currency and cost.amount is not None:
            self._amounts[f"{at.astimezone(UTC):%Y-%m-%d}"][kind] += cost.amount

    def filled(self) -> dict[str, dict[Spender, Decimal]]:
        n_days = min(DAYS_MAX, max(1, -(-(self._until - self._since) // timedelta(days=1))))
        days = [f"{self._since + timedelta(days=index):%Y-%m-%d}" for index in range(n_days)]
        return {day: {kind: self._amounts[day][kind] for kind in Spender} for day in days}


def _counts(since: datetime, until: datetime) -> Q:
    """Jobs that ended in that time, and those that run where it has the present."""
    ended = Q(ended_at__gte=since, ended_at__lt=until)
    return ended | Q(ended_at__isnull=True) if since <= clock.now() < until else ended


def _training(actor: Actor, since: datetime, until: datetime, prices: Prices, days: _Days) -> Iterable[Spent]:
    """Training jobs; those of a tuning job together."""
    jobs = (
        TrainingJob.objects.filter(project=actor.project, started_at__isnull=False)
        .filter(_counts(since, until))
        .select_related("trial__tuning_job")
        .defer("hyperparameters", "manifest", "failure", "metric_definitions")
    )
    tuned: dict[str, list[tuple[TrainingJob, Cost]]] = defaultdict(list)
    for job in jobs.iterator(chunk_size=1000):
        cost = training_job_cost(job, prices)
        trial = getattr(job, "trial", None)
        kind = Spender.TUNING if trial else Spender.TRAINING
        days.add(job.ended_at or clock.now(), kind, cost)
        if trial:
            tuned[trial.tuning_job.name].append((job, cost))
            continue
        yield Spent(kind, job.name, job.instance_type, cost, job.ended_at or clock.now())
    for name, found in tuned.items():
        total = cost_sum((cost for _job, cost in found), currency=prices.currency)
        last = max(job.ended_at or clock.now() for job, _cost in found)
        yield Spent(Spender.TUNING, name, found[0][0].instance_type, total, last, n=len(found))


def _transforms(
    actor: Actor, since: datetime, until: datetime, prices: Prices, days: _Days
) -> Iterable[Spent]:
    jobs = TransformJob.objects.filter(project=actor.project, started_at__isnull=False)
    for job in jobs.filter(_counts(since, until)).iterator(chunk_size=1000):
        cost = transform_job_cost(job, prices)
        at = job.ended_at or clock.now()
        days.add(at, Spender.TRANSFORM, cost)
        yield Spent(Spender.TRANSFORM, job.name, job.instance_type, cost, at)


def _endpoints(
    actor: Actor, since: datetime, until: datetime, prices: Prices, days: _Days
) -> Iterable[Spent]:
    now = clock.now()
    runs = ReplicaRun.objects.filter(project=actor.project, started_at__lt=until, memory_mb__isnull=True)
    runs = runs.filter(Q(ended_at__isnull=True) | Q(ended_at__gte=since))
    found: dict[tuple[str, str], list[tuple[ReplicaRun, Cost]]] = defaultdict(list)
    for run in runs.iterator(chunk_size=1000):
        begin, end = max(run.started_at, since), min(_run_end(run, now), until)
        price = _run_price(run, prices)
        total = cost_of(seconds=0, price=price)
        for day, seconds in _by_day(begin, end):
            part = cost_of(seconds=seconds, price=price)
            days.add(day, Spender.ENDPOINT, part)
            total = total + part
        found[run.endpoint_uid, run.endpoint_name].append((run, total))
    for (_uid, name), lives in found.items():
        cost = cost_sum((cost for _run, cost in lives), currency=prices.currency)
        last = max(min(_run_end(run, now), until) for run, _cost in lives)
        kinds = ", ".join(sorted({run.instance_type for run, _cost in lives}))
        exists = lives[0][0].endpoint_id is not None
        yield Spent(Spender.ENDPOINT, name, kinds, cost, last, n=len(lives), exists=exists)
    yield from _serverless(actor, since, until, prices, days)


def _serverless(
    actor: Actor, since: datetime, until: datetime, prices: Prices, days: _Days
) -> Iterable[Spent]:
    """Of endpoints that there are: what model servers worked."""
    found: dict[str, list[DayCost]] = defaultdict(list)
    endpoints = serverless_endpoints(actor.project)
    for one in serverless_costs(endpoints=endpoints, prices=prices, since=since, until=until):
        days.add(one.at, Spender.ENDPOINT, one.cost)
        found[one.endpoint.name].append(one)
    for name, parts in found.items():
        total = cost_sum((part.cost for part in parts), currency=prices.currency)
        yield Spent(Spender.ENDPOINT, name, "serverless", total, max(part.at for part in parts))


def _deleted(actor: Actor, since: datetime, until: datetime, prices: Prices, days: _Days) -> Iterable[Spent]:
    """What was written down when it was deleted; several days of an endpoint together."""
    found: dict[tuple[str, str, str], list[SpentRecord]] = defaultdict(list)
    for record in SpentRecord.objects.filter(project=actor.project, at__gte=since, at__lt=until):
        found[record.kind, record.name, record.detail].append(record)
        days.add(record.at, Spender(record.kind), _record_cost(record))
    for (kind, name, detail), records in found.items():
        cost = cost_sum(map(_record_cost, records), currency=prices.currency)
        last = max(record.at for record in records)
        yield Spent(Spender(kind), name, detail, cost, last, exists=False)


def _record_cost(record: SpentRecord) -> Cost:
    return Cost(record.seconds, record.amount, record.currency)


def _lives_costs(uids: Collection[str], prices: Prices) -> list[Cost]:
    """Of model servers on instances, which cost from start to end. Those that have ended are summed up by the database:
    an endpoint that sleeps and wakes has had very many.
    """
    runs = ReplicaRun.objects.filter(endpoint_uid__in=uids, memory_mb__isnull=True).order_by()
    lasted = ExpressionWrapper(F("ended_at") - F("started_at"), output_field=DurationField())
    ended = runs.filter(ended_at__isnull=False).values("instance_type", "price_per_hour", "currency")
    costs = [
        cost_of(
            seconds=max(0.0, one["lasted"].total_seconds()),
            price=prices.of(one["instance_type"])
            if one["price_per_hour"] is None
            else Price(one["price_per_hour"], one["currency"]),
        )
        for one in ended.annotate(lasted=Sum(lasted))
    ]
    now = clock.now()
    return [*costs, *(_run_cost(run, prices, now) for run in runs.filter(ended_at__isnull=True))]


def _run_cost(run: ReplicaRun, prices: Prices, now: datetime) -> Cost:
    seconds = max(0.0, (_run_end(run, now) - run.started_at).total_seconds())
    return cost_of(seconds=seconds, price=_run_price(run, prices))


def _run_price(run: ReplicaRun, prices: Prices) -> Price:
    if run.price_per_hour is not None:
        return Price(run.price_per_hour, run.currency)
    return prices.of(run.instance_type)


def _run_end(run: ReplicaRun, now: datetime) -> datetime:
    """One that has no end is alive, or its host is not: then it was alive when it was seen last."""
    if run.ended_at is not None:
        return run.ended_at
    seen = run.seen_at or run.ready_at or run.started_at
    return now if now - seen < timedelta(minutes=2) else seen


def _by_day(begin: datetime, end: datetime) -> Iterable[tuple[datetime, float]]:
    """The seconds of each day (UTC) between the two."""
    while begin < end:
        midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        until = min(midnight, end)
        yield begin, (until - begin).total_seconds()
        begin = until
