"""Reads the lives of an endpoint's model servers: the list, the cold starts, and what elastic variants do now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from endpoints.elastic import vcpus_of
from endpoints.models import Endpoint, ProductionVariant, Replica, ReplicaRun
from endpoints.services.elastic import is_elastic, replicas_most
from mlplatform.core import clock
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.status import ReplicaStatus

REPLICA_RUN_ORDERS = {"started": "started_at"}
TIMELINE_MAX = 500


@dataclass(frozen=True)
class ElasticState:
    """What a variant with an idle time does now: asleep, starting, or so many replicas in service."""

    variant: ProductionVariant
    n_ready: int
    n_starting: int
    n_most: int
    vcpus: int | None

    @property
    def asleep(self) -> bool:
        return not self.n_ready and not self.n_starting

    @property
    def sleeps_at(self) -> datetime | None:
        """When it goes to sleep if no request comes."""
        if self.asleep or self.variant.requested_at is None or self.variant.idle_after_s is None:
            return None
        return self.variant.requested_at + timedelta(seconds=self.variant.idle_after_s)


def replica_run_list(
    *,
    endpoint: Endpoint,
    variant: str = "",
    cold: bool | None = None,
    order: str = "-started",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[ReplicaRun]:
    """Lives of the endpoint's model servers.

    Args:
        cold: Only those for which requests waited, or only the others.
    """
    runs = ReplicaRun.objects.filter(endpoint=endpoint)
    if variant:
        runs = runs.filter(variant=variant)
    if cold is not None:
        runs = runs.filter(demanded_at__isnull=not cold)
    return page_of(runs, orders=REPLICA_RUN_ORDERS, order=order, limit=limit, cursor=cursor)


def replica_runs_since(*, endpoint: Endpoint, minutes: int) -> list[ReplicaRun]:
    """Those that lived in the last `minutes`, the newest 500, oldest first."""
    since = clock.now() - timedelta(minutes=minutes)
    lived = ReplicaRun.objects.filter(endpoint=endpoint).filter(Q(ended_at=None) | Q(ended_at__gte=since))
    return list(lived.order_by("-started_at", "-pk")[:TIMELINE_MAX])[::-1]


def elastic_states(*, endpoint: Endpoint, replicas: Iterable[Replica]) -> list[ElasticState]:
    """Of each variant that answers now and has an idle time."""
    config = endpoint.live or endpoint.wanted
    of_all = list(replicas)
    return [
        _state(variant, [replica for replica in of_all if replica.variant_id == variant.pk])
        for variant in config.variants.all()
        if is_elastic(variant)
    ]


def _state(variant: ProductionVariant, replicas: list[Replica]) -> ElasticState:
    starting = (ReplicaStatus.PENDING, ReplicaStatus.STARTING)
    memory_mb = variant.serverless_memory_mb
    return ElasticState(
        variant=variant,
        n_ready=sum(replica.status == ReplicaStatus.IN_SERVICE for replica in replicas),
        n_starting=sum(replica.status in starting for replica in replicas),
        n_most=replicas_most(variant),
        vcpus=None if memory_mb is None else vcpus_of(memory_mb),
    )


def cold_start_ms(run: ReplicaRun) -> float | None:
    """From the first request that waited to the first that could be answered; None where nobody waited."""
    return None if run.demanded_at is None else _between_ms(run.demanded_at, run.ready_at)


def start_ms(run: ReplicaRun) -> float | None:
    """From the start of the process to its first answer."""
    return _between_ms(run.started_at, run.ready_at)


def _between_ms(begun: datetime, ended: datetime | None) -> float | None:
    return None if ended is None else max(0.0, (ended - begun).total_seconds() * 1000)
