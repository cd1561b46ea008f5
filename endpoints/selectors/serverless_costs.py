"""What serverless endpoints cost: the time that model servers worked, by their memory, summed up by day.

The minutes are of endpoints that there are; what a deleted one cost was written down (`jobs.models.SpentRecord`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, Max, QuerySet, Sum
from django.db.models.functions import TruncDay

from endpoints.models import Endpoint, EndpointMetric
from jobs.pricing import Cost, Prices, cost_of
from mlplatform.core.models import Project


@dataclass(frozen=True)
class DayCost:
    """Of one variant on one day (UTC); `at` is the last minute in which it worked."""

    endpoint_name: str
    at: datetime
    cost: Cost


def endpoint_serverless_costs(*, endpoint: Endpoint, prices: Prices) -> list[DayCost]:
    """Since it was created; one query. The endpoint comes with its configurations' variants."""
    config = endpoint.live or endpoint.wanted
    memory = {variant.name: variant.serverless_memory_mb for variant in config.variants.all()}
    minutes = EndpointMetric.objects.filter(endpoint=endpoint, busy_ms__gt=0)
    return [
        _day_cost(endpoint.name, memory_mb, busy_ms, last_at, prices)
        for variant, _day, busy_ms, last_at in _by_day(minutes, "variant")
        if (memory_mb := memory.get(variant)) is not None
    ]


def project_serverless_costs(
    *, project: Project, prices: Prices, since: datetime, until: datetime
) -> Iterator[DayCost]:
    """What the project's endpoints worked from `since` to before `until`; one query."""
    name, memory = "endpoint__live__variants__name", "endpoint__live__variants__serverless_memory_mb"
    minutes = EndpointMetric.objects.filter(
        **{
            "endpoint__project": project,
            "busy_ms__gt": 0,
            "minute_at__gte": since,
            "minute_at__lt": until,
            name: F("variant"),
            f"{memory}__isnull": False,
        }
    )
    by = ("endpoint__name", "variant", memory)
    return (
        _day_cost(endpoint_name, memory_mb, busy_ms, last_at, prices)
        for endpoint_name, _variant, memory_mb, _day, busy_ms, last_at in _by_day(minutes, *by)
    )


def _by_day(minutes: QuerySet[EndpointMetric], *by: str) -> Any:
    """Rows of `by`, the day, milliseconds of work, and the last minute in which there was any."""
    days = minutes.order_by().annotate(day=TruncDay("minute_at", tzinfo=UTC)).values_list(*by, "day")
    return days.annotate(worked_ms=Sum("busy_ms"), last_at=Max("minute_at"))


def _day_cost(name: str, memory_mb: int, busy_ms: int, at: datetime, prices: Prices) -> DayCost:
    return DayCost(name, at, cost_of(seconds=busy_ms / 1000, price=prices.of_memory(memory_mb)))
