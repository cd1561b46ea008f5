"""Reads endpoints and their replicas. Called by services and faces; traffic is `endpoints.selectors.traffic`."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery, prefetch_related_objects
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _

from endpoints.elastic import SERVERLESS_QUEUE
from endpoints.models import Endpoint, ProductionVariant, Replica
from endpoints.selectors.samples import endpoint_sample_row
from endpoints.selectors.snippets import endpoint_snippets
from endpoints.selectors.traffic import endpoint_requests, endpoint_traffic
from jobs.instance_types import instance_type_get
from mlplatform.core.errors import NotFound
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import nodes_alive, queues_served
from mlplatform.core.pages import LIMIT_DEFAULT, Page, page_of
from mlplatform.core.people.access import Actor
from mlplatform.core.status import EndpointStatus, ReplicaStatus

__all__ = [
    "endpoint_counts",
    "endpoint_get",
    "endpoint_list",
    "endpoint_row_get",
    "endpoint_sample_row",
    "endpoint_snippets",
    "endpoint_traffic",
    "endpoint_waiting_reason",
    "replica_list",
]

ENDPOINT_ORDERS = {"created": "created_at", "name": "name", "status": "status", "updated": "updated_at"}


def endpoint_list(
    *,
    actor: Actor,
    search: str = "",
    status: str = "",
    order: str = "-created",
    limit: int = LIMIT_DEFAULT,
    cursor: str | None = None,
) -> Page[Endpoint]:
    """The project's endpoints with variants and models, and `n_ready` and the `n_requests` of the last hour."""
    endpoints = Endpoint.objects.filter(project=actor.project)
    if search:
        endpoints = endpoints.filter(Q(name__icontains=search) | Q(description__icontains=search))
    if status:
        endpoints = endpoints.filter(status=status)
    page = page_of(endpoints, orders=ENDPOINT_ORDERS, order=order, limit=limit, cursor=cursor, load=_listed)
    _variants_load(page.items)
    return page


def endpoint_get(*, actor: Actor, name: str, locked: bool = False) -> Endpoint:
    """With the variants of its configurations. Raises NotFound, alike for an endpoint of another project and for none.

    Args:
        locked: Inside a transaction: nobody else changes the row until it ends.
    """
    found = endpoint_row_get(actor=actor, name=name, locked=locked)
    _variants_load([found])
    return found


def endpoint_row_get(*, actor: Actor, name: str, locked: bool = False) -> Endpoint:
    """The same without variants."""
    endpoints = Endpoint.objects.select_for_update(of=("self",)) if locked else Endpoint.objects
    found = (
        endpoints.select_related("project", "created_by", "wanted", "live")
        .filter(project=actor.project, name=name)
        .first()
    )
    if found is None:
        raise NotFound(_("There is no endpoint “%(name)s”") % {"name": name[:63]})
    return found


def endpoint_counts(*, actor: Actor) -> dict[str, int]:
    """How many endpoints have each status; every status is a key."""
    rows = (
        Endpoint.objects.filter(project=actor.project)
        .order_by()
        .values_list("status")
        .annotate(n=Count("pk"))
    )
    return {status.value: 0 for status in EndpointStatus} | dict(rows)


def endpoint_waiting_reason(*, endpoint: Endpoint) -> str | None:
    """Why nothing happens, or nobody answers, although somebody should; None while all is well."""
    given_up = endpoint.status == EndpointStatus.FAILED and endpoint.live_id is None
    if given_up:
        return None
    if not nodes_alive(kind=NodeKind.HOST).exists():
        return _("No host is running, so no model server is. Start one: .venv/bin/python manage.py host")
    return None if endpoint.status == EndpointStatus.DELETING else _unserved(endpoint)


def _unserved(endpoint: Endpoint) -> str | None:
    """Which queue no host serves, although a variant needs it."""
    served = queues_served(kind=NodeKind.HOST)
    configs = [config for config in (endpoint.wanted, endpoint.live) if config is not None]
    variants = [variant for config in configs for variant in config.variants.all()]
    if SERVERLESS_QUEUE not in served and any(not variant.instance_type for variant in variants):
        return _(
            "No host serves the queue “%(queue)s”, which serverless variants need. Their model servers start when "
            "one is started: .venv/bin/python manage.py host --queues %(queue)s"
        ) % {"queue": SERVERLESS_QUEUE}
    names = dict.fromkeys(variant.instance_type for variant in variants if variant.instance_type)
    for instance_type in map(instance_type_get, names):
        if instance_type.queue not in served:
            return _(
                "No host serves the queue “%(queue)s”, which %(instance_type)s needs. Its model servers start when "
                "one is started: .venv/bin/python manage.py host --queues %(queue)s"
            ) % {"queue": instance_type.queue, "instance_type": instance_type.name}
    return None


def replica_list(*, endpoint: Endpoint) -> list[Replica]:
    """The endpoint's replicas with variant, model and log, in order of variant and index."""
    return list(
        Replica.objects.filter(endpoint=endpoint)
        .select_related("variant__model", "log")
        .order_by("variant_id", "index", "pk")
    )


def _listed(endpoints: QuerySet[Endpoint]) -> QuerySet[Endpoint]:
    """With `n_ready`, and `n_requests` of the last hour."""
    replicas = Replica.objects.filter(endpoint=OuterRef("pk"), status=ReplicaStatus.IN_SERVICE)
    ready = replicas.order_by().values("endpoint").annotate(n=Count("pk"))
    return endpoints.select_related("created_by", "project", "wanted", "live").annotate(
        n_ready=Coalesce(Subquery(ready.values("n")), 0),
        n_requests=Coalesce(Subquery(endpoint_requests(endpoint=OuterRef("pk"))), 0),
    )


def _variants_load(endpoints: Sequence[Endpoint]) -> None:
    """The variants of all their configurations, live and wanted, with models, in one query."""
    configs = [config for one in endpoints for config in (one.wanted, one.live) if config is not None]
    if configs:
        variants = ProductionVariant.objects.select_related("model").order_by("pk")
        prefetch_related_objects(configs, Prefetch("variants", variants))
