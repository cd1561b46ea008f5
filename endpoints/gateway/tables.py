"""The gateway's doors to the database: the routing table in, the counts of traffic and the wishes for replicas out.

Given to the gateway by `manage.py gateway`; each is called on a thread of its own. Nothing else of the gateway
knows that there is a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import transaction
from django.db.models import Q

from endpoints.elastic import Load
from endpoints.gateway.histogram import Histogram
from endpoints.gateway.routing import (
    Elasticity,
    KeyRecord,
    Route,
    RouteVariant,
    RoutingTable,
    StartFailure,
    Version,
)
from endpoints.gateway.tally import MinuteCounts
from endpoints.models import (
    DataCapture,
    Endpoint,
    EndpointConfig,
    EndpointMetric,
    ProductionVariant,
    Replica,
)
from endpoints.services.elastic import (
    AGAIN_AT,
    is_elastic,
    loads_write,
    replicas_most,
    waiting_count_write,
)
from endpoints.services.relay import host_places
from endpoints.serving.address import Address
from endpoints.wake import host_wake
from mlplatform.core import clock
from mlplatform.core.fresh_connection import fresh_connection
from mlplatform.core.models import AccessKey, Membership
from mlplatform.core.revisions import revision_value
from mlplatform.core.status import EndpointStatus, ReplicaStatus

_COUNTS = ("n_requests", "n_4xx", "n_5xx", "n_model_errors", "n_throttled", "n_cold")


@fresh_connection()
def load_table(known_version: Version | None) -> RoutingTable | None:
    """The newest table, or None while its version is the known one: then it is one small query."""
    # The version is read first: what changes while the rows are read is then loaded again the next time.
    version = revision_value()
    if version == known_version:
        return None
    return RoutingTable(version, tuple(_routes()), _keys())


@fresh_connection()
def flush(counts: Sequence[MinuteCounts]) -> None:
    """Adds the counts to the rows of their minutes, all or nothing; those of deleted endpoints are dropped."""
    with transaction.atomic():
        wanted = {count.endpoint_id for count in counts}
        known = set(Endpoint.objects.filter(pk__in=wanted).values_list("pk", flat=True))
        for count in counts:
            if count.endpoint_id in known:
                _add(count)


@fresh_connection()
def write_loads(loads: Sequence[Load], met: Sequence[tuple[int, int]]) -> None:
    """Writes down what elastic variants call for, and wakes the host of this machine."""
    if loads:
        loads_write(loads=loads)
        host_wake()
    for variant_id, n_waiting in met:
        waiting_count_write(variant_id=variant_id, n_waiting=n_waiting)


def _routes() -> list[Route]:
    addresses: dict[int, list[Address]] = {}
    ready = (
        Replica.objects.filter(status=ReplicaStatus.IN_SERVICE).exclude(address="").order_by("index", "pk")
    )
    places = host_places()
    for variant_id, address, host, uid in ready.values_list("variant_id", "address", "host", "uid"):
        way = places.way_to(host=host, uid=uid, address=address)
        if way is not None:
            addresses.setdefault(variant_id, []).append(way)
    failures = _failures()
    variants: dict[int, list[RouteVariant]] = {}
    live = set(Endpoint.objects.exclude(live=None).values_list("live", flat=True))
    asynchronous = set(
        EndpointConfig.objects.filter(async_inference__isnull=False).values_list("pk", flat=True)
    )
    for variant in ProductionVariant.objects.order_by("pk"):
        replicas = tuple(addresses.get(variant.pk, ()))
        # Before a configuration answers, nobody waits for it: its model may turn out to be broken.
        failure = failures.get(variant.pk) if not replicas else None
        elastic = _elasticity(variant, failure) if variant.config_id in live else None
        variants.setdefault(variant.config_id, []).append(
            RouteVariant(variant.name, variant.weight, replicas, elastic)
        )
    captured = {capture.endpoint_id: capture.rule for capture in DataCapture.objects.filter(is_on=True)}
    endpoints = Endpoint.objects.exclude(status=EndpointStatus.DELETING).select_related("project")
    return [
        Route(
            project=endpoint.project.name,
            endpoint_name=endpoint.name,
            endpoint_id=endpoint.pk,
            status=endpoint.status,
            variants=tuple(variants.get(endpoint.live_id or endpoint.wanted_id, ())),
            is_async=(endpoint.live_id or endpoint.wanted_id) in asynchronous,
            capture=captured.get(endpoint.pk),
        )
        for endpoint in endpoints
    ]


def _elasticity(variant: ProductionVariant, failure: StartFailure | None) -> Elasticity | None:
    if not is_elastic(variant):
        return None
    return Elasticity(
        variant_id=variant.pk,
        n_most=replicas_most(variant),
        n_wanted=variant.n_wanted,
        max_concurrency=variant.serverless_max_concurrency,
        failure=failure,
    )


def _failures() -> dict[int, StartFailure]:
    """Of elastic variants whose last start failed."""
    failed = Replica.objects.filter(
        status=ReplicaStatus.FAILED, variant__idle_after_s__isnull=False, failure__isnull=False
    )
    return {
        variant_id: StartFailure(str(failure.get("reason", "")), float(failure.get(AGAIN_AT, 0.0)))
        for variant_id, failure in failed.values_list("variant_id", "failure")
        if failure
    }


def _keys() -> dict[str, KeyRecord]:
    """Access keys that may be used: not revoked or expired, of an active user who is still a member."""
    roles = dict(_memberships())
    usable = AccessKey.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=clock.now()),
        revoked_at__isnull=True,
        user__is_active=True,
    )
    return {
        key.key_id: KeyRecord(
            secret_sha256=key.secret_sha256,
            project_name=key.project.name,
            role=roles[key.user_id, key.project_id],
            user=key.user.get_username(),
            expires_at=key.expires_at.timestamp() if key.expires_at else None,
        )
        for key in usable.select_related("project", "user")
        if (key.user_id, key.project_id) in roles
    }


def _memberships() -> list[tuple[tuple[int, int], str]]:
    rows = Membership.objects.values_list("user_id", "project_id", "role")
    return [((user_id, project_id), role) for user_id, project_id, role in rows]


def _add(count: MinuteCounts) -> None:
    place: dict[str, Any] = {
        "endpoint_id": count.endpoint_id,
        "variant": count.variant,
        "minute_at": datetime.fromtimestamp(count.minute * 60, tz=UTC),
    }
    EndpointMetric.objects.get_or_create(**place)
    metric = EndpointMetric.objects.select_for_update().get(**place)
    for name in _COUNTS:
        setattr(metric, name, getattr(metric, name) + getattr(count, name))
    histogram = Histogram.from_dict(metric.latency or {})
    histogram.merge(count.latency)
    metric.latency = histogram.to_dict()
    metric.busy_ms += round(count.busy_ms)
    metric.save(update_fields=[*_COUNTS, "busy_ms", "latency"])
