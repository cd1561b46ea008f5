"""What serverless endpoints cost: the time that model servers worked, by their memory, summed up by day.

The minutes are of endpoints that there are; what a deleted one cost was written down (`jobs.models.SpentRecord`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import F, Max, QuerySet, Sum
from django.db.models.functions import TruncDay

from endpoints.models import Endpoint, EndpointMetric
from jobs.pricing import Cost, Price, Prices, cost_of
from mlplatform.core.models import Project


@dataclass(frozen=True)
class DayCost:
    """Of one variant on one day; `at` is the last minute in which it worked."""

    endpoint: Endpoint
    at: datetime
    cost: Cost


def serverless_costs(
    *,
    endpoints: Iterable[Endpoint],
    prices: Prices,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[DayCost]:
    """By endpoint, variant and day (UTC); one query. Endpoints come with their configurations' variants."""
    known = {endpoint.pk: endpoint for endpoint in endpoints}
    held = {pk: _memory_prices(endpoint, prices) for pk, endpoint in known.items()}
    worked = EndpointMetric.objects.filter(endpoint__in=known, busy_ms__gt=0)
    if since is not None:
        worked = worked.filter(minute_at__gte=since)
    if until is not None:
        worked = worked.filter(minute_at__lt=until)
    by_day = worked.order_by().values("endpoint", "variant", day=TruncDay("minute_at", tzinfo=UTC))
    return [
        DayCost(
            known[one["endpoint"]], one["last_at"], cost_of(seconds=one["busy_ms_sum"] / 1000, price=price)
        )
        for one in by_day.annotate(busy_ms_sum=Sum(F("busy_ms")), last_at=Max("minute_at"))
        if (price := held[one["endpoint"]].get(one["variant"])) is not None
    ]


def serverless_endpoints(project: Project) -> QuerySet[Endpoint]:
    """The project's endpoints with a serverless variant, with what `serverless_costs` reads."""
    found = Endpoint.objects.filter(project=project, live__variants__serverless_memory_mb__isnull=False)
    return found.select_related("live", "wanted").prefetch_related("live__variants").distinct()


def _memory_prices(endpoint: Endpoint, prices: Prices) -> dict[str, Price]:
    config = endpoint.live or endpoint.wanted
    return {
        variant.name: prices.of_memory(variant.serverless_memory_mb)
        for variant in config.variants.all()
        if variant.serverless_memory_mb is not None
    }
