"""What endpoints, transform jobs and experiments have cost. A project as a whole is `project_costs`.

A replica costs from its start to its end, at the price that held when it started; a serverless one the time
that it worked, by its memory. Rows of replicas' lives (`ReplicaRun`) outlive endpoints, so that what is gone is still
counted; but for serverless ones, whose minutes of traffic go with them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from django.db.models import (
    DurationField,
    ExpressionWrapper,
    F,
    Sum,
)

from endpoints.models import Endpoint, Experiment, ReplicaRun, TransformJob
from endpoints.selectors.serverless_costs import endpoint_serverless_costs
from jobs.models import TrainingJob, TuningJob
from jobs.pricing import Cost, Price, Prices, cost_of, cost_sum
from jobs.selectors.prices import job_cost, prices_now, training_jobs_cost
from mlplatform.core import clock

DAYS_MAX = 366
SPENT_MAX = 1000
"""So many of what was spent an answer lists; a file has all."""
SEEN_WITHIN = timedelta(minutes=2)
"""A replica without an end whose host saw it longer ago than this is alive no more."""


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
    """`days` maps a day (UTC) to the cost of each kind on it in `currency`, without gaps.

    `spent` has the dearest of what was found; `n_spent` is how many there are.
    """

    since: datetime
    until: datetime
    currency: str
    spent: Sequence[Spent]
    by_kind: dict[Spender, Cost]
    days: dict[str, dict[Spender, Decimal]]
    total: Cost
    n_spent: int


def endpoint_cost(endpoint: Endpoint, prices: Prices | None = None) -> Cost:
    """Since it was created."""
    held = prices or prices_now()
    worked = endpoint_serverless_costs(endpoint=endpoint, prices=held)
    lives = _lives_costs([endpoint.uid], held)
    return cost_sum([*lives, *(one.cost for one in worked)], currency=held.currency)


def transform_job_cost(job: TransformJob, prices: Prices | None = None) -> Cost:
    """Of one transform job: at the price of its end, or so far at that of now."""
    return job_cost(job, prices or prices_now())


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
    seconds = max(0.0, (replica_run_end(run, now) - run.started_at).total_seconds())
    return cost_of(seconds=seconds, price=replica_run_price(run, prices))


def replica_run_price(run: ReplicaRun, prices: Prices) -> Price:
    if run.price_per_hour is not None:
        return Price(run.price_per_hour, run.currency)
    return prices.of(run.instance_type)


def replica_run_end(run: ReplicaRun, now: datetime) -> datetime:
    """One that has no end is alive, or its host is not: then it was alive when it was seen last."""
    if run.ended_at is not None:
        return run.ended_at
    seen = run.seen_at or run.ready_at or run.started_at
    return now if now - seen < SEEN_WITHIN else seen
