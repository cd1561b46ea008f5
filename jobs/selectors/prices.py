"""What things cost: the price sheet that holds now, and what training jobs have cost."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from jobs.instance_types import InstanceType, instance_type_get, instance_type_list
from jobs.models import PriceSheet, TrainingJob
from jobs.pricing import CURRENCY_SHIPPED, Cost, Price, Prices, cost_of, cost_sum, prices_from
from mlplatform.core import clock


def price_sheet() -> PriceSheet | None:
    """The newest edition; None while the shipped prices hold."""
    return PriceSheet.objects.order_by("-pk").first()


def price_sheet_history(*, limit: int = 20) -> list[PriceSheet]:
    """Its editions, the newest first."""
    return list(PriceSheet.objects.select_related("created_by").order_by("-pk")[:limit])


def prices_now() -> Prices:
    """The prices that hold; one query."""
    sheet = price_sheet()
    return prices_from(
        currency=sheet.currency if sheet else CURRENCY_SHIPPED, prices=sheet.prices if sheet else {}
    )


def instance_types_priced(prices: Prices | None = None) -> tuple[InstanceType, ...]:
    """All instance types with their prices here."""
    held = prices or prices_now()
    return tuple(held.priced(kind) for kind in instance_type_list())


def instance_type_priced(name: str) -> InstanceType:
    """One of them. Raises InvalidRequest for a name that is none."""
    return prices_now().priced(instance_type_get(name))


class BilledJob(Protocol):
    """What the cost of a job depends on; `billable_s` counts the seconds of every instance."""

    @property
    def instance_type(self) -> str: ...
    @property
    def instance_count(self) -> int: ...
    @property
    def started_at(self) -> datetime | None: ...
    @property
    def ended(self) -> bool: ...
    @property
    def billable_s(self) -> int | None: ...
    @property
    def price_per_hour(self) -> Decimal | None: ...
    @property
    def currency(self) -> str: ...


def job_cost(job: BilledJob, prices: Prices) -> Cost:
    """At the price of its end, or so far at the price of now; a job that nobody has begun costs nothing."""
    price = (
        prices.of(job.instance_type)
        if job.price_per_hour is None
        else Price(job.price_per_hour, job.currency)
    )
    if job.ended:
        return cost_of(seconds=job.billable_s or 0, price=price)
    begun = job.started_at
    seconds = 0.0 if begun is None else max(0.0, (clock.now() - begun).total_seconds())
    return cost_of(seconds=round(seconds) * job.instance_count, price=price)


def training_job_cost(job: TrainingJob, prices: Prices) -> Cost:
    """Of one training job."""
    return job_cost(job, prices)


def training_jobs_cost(jobs: Iterable[TrainingJob], prices: Prices | None = None) -> Cost:
    """Of several jobs together."""
    held = prices or prices_now()
    return cost_sum((training_job_cost(job, held) for job in jobs), currency=held.currency)
