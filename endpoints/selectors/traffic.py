"""Traffic of an endpoint from its minute rows: counts, errors and latency percentiles."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet, Sum

from endpoints.gateway.histogram import Histogram
from endpoints.models import Endpoint, EndpointMetric
from mlplatform.core import clock


@dataclass(frozen=True)
class TrafficCounts:
    """Sums over some minutes. `n_errors` counts 4xx, 5xx and the model's own; latencies are None without requests."""

    n_requests: int
    n_4xx: int
    n_5xx: int
    n_model_errors: int
    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None
    mean_ms: float | None
    n_throttled: int = 0
    n_cold: int = 0
    busy_ms: int = 0

    @property
    def n_errors(self) -> int:
        return self.n_4xx + self.n_5xx + self.n_model_errors

    @property
    def error_rate(self) -> float:
        return self.n_errors / self.n_requests if self.n_requests else 0.0


@dataclass(frozen=True, kw_only=True)
class TrafficPoint(TrafficCounts):
    minute_at: datetime


@dataclass(frozen=True)
class Traffic:
    """`points` has every minute of the period, also those without requests; the last one is under way."""

    minutes: int
    points: list[TrafficPoint]
    total: TrafficCounts
    variants: dict[str, TrafficCounts]

    @property
    def n_requests(self) -> int:
        return self.total.n_requests

    @property
    def n_errors(self) -> int:
        return self.total.n_errors

    @property
    def p50_ms(self) -> float | None:
        return self.total.p50_ms

    @property
    def p90_ms(self) -> float | None:
        return self.total.p90_ms

    @property
    def p99_ms(self) -> float | None:
        return self.total.p99_ms


def endpoint_traffic(*, endpoint: Endpoint, minutes: int = 60) -> Traffic:
    """The last `minutes` minutes (1 to 1,440), over all variants and for each."""
    minutes = min(max(minutes, 1), 1440)
    last = clock.now().replace(second=0, microsecond=0)
    first = last - timedelta(minutes=minutes - 1)
    metrics = list(
        EndpointMetric.objects.filter(endpoint=endpoint, minute_at__gte=first).order_by("minute_at")
    )
    by_minute: dict[datetime, list[EndpointMetric]] = defaultdict(list)
    by_variant: dict[str, list[EndpointMetric]] = defaultdict(list)
    for metric in metrics:
        by_minute[metric.minute_at].append(metric)
        by_variant[metric.variant].append(metric)
    instants = [first + timedelta(minutes=step) for step in range(minutes)]
    return Traffic(
        minutes=minutes,
        points=[TrafficPoint(**vars(_sum(by_minute[at])), minute_at=at) for at in instants],
        total=_sum(metrics),
        variants={name: _sum(rows) for name, rows in sorted(by_variant.items())},
    )


def endpoint_requests(*, endpoint: OuterRef, minutes: int = 60) -> QuerySet[EndpointMetric, Any]:
    """How many requests an endpoint of an outer query had in the last `minutes`, as a subquery of one value."""
    last = clock.now().replace(second=0, microsecond=0)
    found = EndpointMetric.objects.filter(
        endpoint=endpoint, minute_at__gte=last - timedelta(minutes=minutes - 1), minute_at__lte=last
    )
    return found.order_by().values("endpoint").annotate(n=Sum("n_requests")).values("n")


def _sum(metrics: Iterable[EndpointMetric]) -> TrafficCounts:
    rows = list(metrics)
    latency = Histogram.merged(Histogram.from_dict(row.latency or {}) for row in rows)
    return TrafficCounts(
        n_requests=sum(row.n_requests for row in rows),
        n_4xx=sum(row.n_4xx for row in rows),
        n_5xx=sum(row.n_5xx for row in rows),
        n_model_errors=sum(row.n_model_errors for row in rows),
        p50_ms=latency.percentile(50),
        p90_ms=latency.percentile(90),
        p99_ms=latency.percentile(99),
        mean_ms=latency.mean_ms,
        n_throttled=sum(row.n_throttled for row in rows),
        n_cold=sum(row.n_cold for row in rows),
        busy_ms=sum(row.busy_ms for row in rows),
    )
