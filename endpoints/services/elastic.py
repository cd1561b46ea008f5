"""How many replicas an elastic variant is to have: asked for by gateways, put to rest by hosts.

The columns `n_wanted`, `demanded_at` and `requested_at` of a variant are all that gateway and host say to one another,
so either may be killed at any time. Every change is a conditional UPDATE. A variant's requests are to come through one
gateway: of several the last that wrote is right. What follows from the numbers is `endpoints.plan`; how requests wait
is `endpoints.gateway.waiting`.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import F, Q, QuerySet, Value
from django.db.models.functions import Greatest

from endpoints.elastic import PAUSE_MOST_S, Load, replicas_here_max, rests_until
from endpoints.models import Endpoint, ProductionVariant, Replica, ReplicaRun
from mlplatform.core import clock
from mlplatform.core.revisions import revision_bump
from mlplatform.core.status import EndpointStatus, ReplicaStatus

AGAIN_AT = "again_at"
"""In a replica's failure: from when on, in seconds since the epoch, its start is tried again."""


def is_elastic(variant: ProductionVariant) -> bool:
    return variant.idle_after_s is not None


def replicas_most(variant: ProductionVariant) -> int:
    """How many replicas an elastic variant may have."""
    if variant.serverless_memory_mb is None:
        return variant.instance_count
    return min(variant.serverless_max_concurrency or 1, replicas_here_max(variant.serverless_memory_mb))


def elastic_begin(*, config_id: int) -> None:
    """The configuration is new, or begins to answer: one replica of each elastic variant, for its idle time."""
    elastic = ProductionVariant.objects.filter(config=config_id, idle_after_s__isnull=False)
    elastic.update(n_wanted=Greatest(F("n_wanted"), Value(1)), requested_at=clock.now())


def loads_write(*, loads: Iterable[Load]) -> None:
    """Writes down what a gateway has in hand, all or nothing. Hosts see a changed number at once.

    A variant that hosts have put to rest wakes up for requests that wait, and for nothing else; one whose start has
    just failed not before its time.
    """
    with transaction.atomic():
        changed = [_write(load) for load in loads]
        if any(changed):
            revision_bump()


def _write(load: Load) -> bool:
    """Whether the number of replicas, or that somebody waits, is another one now."""
    variant = (
        ProductionVariant.objects.select_for_update(of=("self",))
        .filter(pk=load.variant_id, idle_after_s__isnull=False)
        .first()
    )
    if variant is None:
        return False
    before = (variant.n_wanted, variant.demanded_at)
    requested_at = datetime.fromtimestamp(load.requested_at, tz=UTC)
    variant.requested_at = max(variant.requested_at or requested_at, requested_at)
    if load.waiting_since is None:
        variant.n_wanted = load.n_wanted if variant.n_wanted else 0
    elif not _rests_after_failure(load.variant_id):
        variant.n_wanted = max(variant.n_wanted, load.n_wanted)
        if not Replica.objects.filter(variant=variant, status=ReplicaStatus.IN_SERVICE).exists():
            variant.demanded_at = variant.demanded_at or datetime.fromtimestamp(load.waiting_since, tz=UTC)
    variant.save(update_fields=["n_wanted", "demanded_at", "requested_at"])
    return before != (variant.n_wanted, variant.demanded_at)


def _rests_after_failure(variant_id: int) -> bool:
    now = clock.now().timestamp()
    failed = Replica.objects.filter(variant=variant_id, status=ReplicaStatus.FAILED)
    return any(
        rests_until((failure or {}).get(AGAIN_AT, 0.0), now=now)
        for failure in failed.values_list("failure", flat=True)
    )


def demand_met(*, replica_id: int) -> None:
    """A replica answers: nobody waits for the first one any more. Inside the transaction that makes it so."""
    _elastic_of(replica_id).filter(demanded_at__isnull=False).update(
        demanded_at=None, requested_at=clock.now()
    )


def demand_failed(*, replica_id: int) -> None:
    """A start has failed: no further one before the next request. Inside the transaction that says so.

    Beside a replica that answers, the failed one keeps its place: its host tries it again after a pause, as one of an
    ordinary variant. Given up, the requests in hand would call for another one at once, again and again.
    """
    variant = _elastic_of(replica_id)
    if Replica.objects.filter(variant__in=variant, status=ReplicaStatus.IN_SERVICE).exists():
        variant.update(demanded_at=None)
    else:
        variant.update(n_wanted=0, demanded_at=None)


def _elastic_of(replica_id: int) -> QuerySet[ProductionVariant]:
    variants = Replica.objects.filter(pk=replica_id).values("variant")
    return ProductionVariant.objects.filter(pk__in=variants, idle_after_s__isnull=False)


def waiting_count_write(*, variant_id: int, n_waiting: int) -> None:
    """How many requests had waited when the variant's newest replica was ready."""
    variant = ProductionVariant.objects.filter(pk=variant_id).first()
    if variant is None:
        return
    endpoints = Endpoint.objects.filter(Q(live=variant.config_id) | Q(wanted=variant.config_id))
    met = ReplicaRun.objects.filter(
        endpoint__in=endpoints, variant=variant.name, demanded_at__isnull=False, ready_at__isnull=False
    )
    newest = met.order_by("-ready_at").values_list("pk", flat=True)[:1]
    ReplicaRun.objects.filter(pk__in=list(newest)).update(n_waiting=F("n_waiting") + n_waiting)


def idle_sweep() -> float | None:
    """Puts variants to rest that had no request for their idle time.

    Returns:
        Seconds until the next one may be due; None when none has a replica to lose.
    """
    now, next_s = clock.now(), None
    ahead = ProductionVariant.objects.filter(requested_at__gt=now + timedelta(seconds=PAUSE_MOST_S))
    if ahead.exists():
        ahead.update(requested_at=now)
    for pk, requested_at, idle_after_s in _awake().values_list("pk", "requested_at", "idle_after_s"):
        left_s = (requested_at - now).total_seconds() + (idle_after_s or 0) if requested_at else 0.0
        if left_s > 0:
            next_s = left_s if next_s is None else min(next_s, left_s)
        else:
            _put_to_rest(ProductionVariant.objects.filter(pk=pk, requested_at=requested_at))
    return next_s


def _put_to_rest(variant: QuerySet[ProductionVariant]) -> None:
    """Unless a request came meanwhile."""
    with transaction.atomic():
        if variant.update(n_wanted=0, demanded_at=None):
            revision_bump()


def _awake() -> QuerySet[ProductionVariant]:
    live = Endpoint.objects.exclude(live=None).exclude(status=EndpointStatus.DELETING).values("live")
    return ProductionVariant.objects.filter(idle_after_s__isnull=False, n_wanted__gt=0, config__in=live)
