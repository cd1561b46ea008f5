"""What the doctor looks at in the room of endpoints: hosts, endpoints that do not answer, runs that hang.

Loaded by the room's AppConfig, which registers the checks. Numbers only: no endpoint is named, because an operator need
not be a member of its project.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Max, Min, Q, QuerySet, Sum

from endpoints.elastic import SERVERLESS_QUEUE
from endpoints.models import Endpoint, Evaluation, Replica, TableRun
from endpoints.relay.place import INFO as RELAY
from jobs.instance_types import instance_type_list, instance_types_of
from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.health.checks.nodes import node_findings
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import BOOT, PLACE, nodes_alive, queues_served
from mlplatform.core.status import ACTIVE_EVALUATION, EndpointStatus, ReplicaStatus, TableRunStatus
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

HOMELESS_S: Final = 30
UNSWEPT_S: Final = 60
ROLLOUT_S: Final = 900
FLAPPING_RESTARTS: Final = 3
FLAPPING_WITHIN_S: Final = 600
_RELAY_REMEDY: Final = _(
    "Set MLPLATFORM_RELAY_ADDRESS on every machine with a gateway or a host, and start them again: see Many machines "
    "in docs/operations.md."
)
_LOOK: Final = _(
    "Its page has the model server's own words: the admin console lists them under Endpoints, by status."
)


@doctor_check("hosts", title=_("Hosts"), reads_database=True)
def hosts_check() -> Iterator[Finding]:
    yield from node_findings(
        check="hosts",
        kind=NodeKind.HOST,
        nobody=_("No host is alive: no endpoint is started or kept alive"),
        command="host",
    )
    waiting = Replica.objects.filter(
        status=ReplicaStatus.PENDING, host="", created_at__lt=clock.now() - timedelta(seconds=HOMELESS_S)
    )
    if not nodes_alive(kind=NodeKind.HOST).exists():
        return
    yield from _unreachable()
    served = queues_served(kind=NodeKind.HOST)
    yield from _unserved(waiting, served)
    types = [*instance_types_of(served), *([""] if SERVERLESS_QUEUE in served else [])]
    counted = waiting.filter(variant__instance_type__in=types).aggregate(
        n=Count("pk"), oldest=Min("created_at")
    )
    if counted["n"]:
        room = nodes_alive(kind=NodeKind.HOST).aggregate(n=Sum("concurrency"))["n"]
        said = _(
            "{n} replicas wait for a host, the oldest for {time}; the hosts alive take {room}",
            n=counted["n"],
            time=_since(counted["oldest"]),
            room=room,
        )
        remedy = _(
            "Start a host on another machine (`.venv/bin/python manage.py host`), or give this one a larger --capacity."
        )
        yield Finding("hosts", Level.FAILED, said, remedy)


def _unreachable() -> Iterator[Finding]:
    """Machines that a gateway cannot reach, or that cannot reach a gateway, for want of a relay."""
    gateways = list(nodes_alive(kind=NodeKind.GATEWAY))
    if not gateways:
        return
    places = {node.info.get(PLACE) for node in gateways}
    for node in nodes_alive(kind=NodeKind.HOST):
        if node.info.get(PLACE) not in places and not node.info.get(RELAY):
            is_near = node.info.get(BOOT) in {each.info.get(BOOT) for each in gateways}
            said = _(
                "The host {name} has no relay, and its sockets are not those of a gateway: its model servers may not "
                "be reached",
                name=node.name,
            )
            yield Finding("hosts", Level.WARNING if is_near else Level.FAILED, said, _RELAY_REMEDY)
    if any(node.info.get(RELAY) for node in gateways):
        return
    for node in nodes_alive(kind=NodeKind.WORKER):
        if node.info.get(PLACE) not in places:
            said = _("Evaluations that {name} takes reach no gateway, since none has a relay", name=node.name)
            yield Finding("hosts", Level.FAILED, said, _RELAY_REMEDY)


def _unserved(waiting: QuerySet[Replica], served: frozenset[str]) -> Iterator[Finding]:
    """By queue that no host serves: the replicas that need it."""
    for queue in sorted({instance_type.queue for instance_type in instance_type_list()} - served):
        types = [*instance_types_of([queue]), *([""] if queue == SERVERLESS_QUEUE else [])]
        counted = waiting.filter(variant__instance_type__in=types).aggregate(
            n=Count("pk"), oldest=Min("created_at")
        )
        if counted["n"]:
            said = _(
                "{n} replicas need a host of the queue {queue}, the oldest for {time}, and no host serves it",
                n=counted["n"],
                queue=queue,
                time=_since(counted["oldest"]),
            )
            remedy = _(
                "Start one that does: `.venv/bin/python manage.py host --queues {queue}`.", queue=queue
            )
            yield Finding("hosts", Level.FAILED, said, remedy)


@doctor_check("endpoints", title=_("Endpoints"), reads_database=True)
def endpoints_check() -> Iterator[Finding]:
    wrong = [*_failed(), *_flapping(), *_long_rollouts(), *_unswept_replicas()]
    if not wrong:
        counted = Endpoint.objects.aggregate(
            n=Count("pk"), live=Count("pk", filter=Q(status=EndpointStatus.IN_SERVICE))
        )
        said = _("{live} of {n} endpoints are in service", live=counted["live"], n=counted["n"])
        yield Finding("endpoints", Level.OK, said)
    yield from wrong


@doctor_check("table_runs", title=_("Table runs"), reads_database=True)
def table_runs_check() -> Iterator[Finding]:
    yield from _runs(
        "table_runs", TableRun.objects.filter(status=TableRunStatus.IN_PROGRESS), _("table runs")
    )


@doctor_check("evaluations", title=_("Evaluations"), reads_database=True)
def evaluations_check() -> Iterator[Finding]:
    under_way = Evaluation.objects.filter(status__in=ACTIVE_EVALUATION)
    yield from _runs("evaluations", under_way, _("evaluations"))


def _failed() -> Iterator[Finding]:
    failed = Endpoint.objects.filter(status=EndpointStatus.FAILED)
    counted = failed.aggregate(n=Count("pk"), last=Max("updated_at"))
    if counted["n"]:
        said = _(
            "{n} endpoints have failed, the last {time} ago", n=counted["n"], time=_since(counted["last"])
        )
        yield Finding("endpoints", Level.WARNING, said, _LOOK)


def _flapping() -> Iterator[Finding]:
    """Replicas that keep ending by themselves, and did so lately."""
    flapping = Replica.objects.filter(
        restarts__gte=FLAPPING_RESTARTS, started_at__gt=clock.now() - timedelta(seconds=FLAPPING_WITHIN_S)
    ).exclude(status__in=(ReplicaStatus.GONE, ReplicaStatus.DRAINING))
    counted = flapping.aggregate(n=Count("pk"), restarts=Max("restarts"))
    if counted["n"]:
        said = _(
            "{n} replicas keep ending and being started again, one of them {restarts} times",
            n=counted["n"],
            restarts=counted["restarts"],
        )
        remedy = _("Their logs say why; most often a model needs more memory than its instance type has.")
        yield Finding("endpoints", Level.WARNING, said, remedy)


def _long_rollouts() -> Iterator[Finding]:
    changing = Endpoint.objects.filter(
        status__in=(
            EndpointStatus.CREATING,
            EndpointStatus.UPDATING,
            EndpointStatus.ROLLING_BACK,
            EndpointStatus.DELETING,
        ),
        updated_at__lt=clock.now() - timedelta(seconds=ROLLOUT_S),
    )
    counted = changing.aggregate(n=Count("pk"), oldest=Min("updated_at"))
    if counted["n"]:
        said = _(
            "{n} endpoints have been changing for {time}", n=counted["n"], time=_since(counted["oldest"])
        )
        yield Finding(
            "endpoints",
            Level.WARNING,
            said,
            _("Look at the hosts here: they carry changes out. {look}", look=_LOOK),
        )


def _unswept_replicas() -> Iterator[Finding]:
    late = Replica.objects.exclude(host="").filter(
        lease_expires_at__lt=clock.now() - timedelta(seconds=UNSWEPT_S)
    )
    counted = late.aggregate(n=Count("pk"), oldest=Min("lease_expires_at"))
    if counted["n"]:
        said = _(
            "{n} replicas belong to a host that has been silent for {time}, and no other host took them over",
            n=counted["n"],
            time=_since(counted["oldest"]),
        )
        yield Finding("endpoints", Level.FAILED, said, _("Start a host: `.venv/bin/python manage.py host`."))


def _runs(check: str, under_way: QuerySet[Any], title: Text) -> Iterator[Finding]:
    before = clock.now() - timedelta(seconds=UNSWEPT_S)
    wrong = [
        *_hanging(
            check,
            under_way.filter(lease_expires_at__lt=before),
            "lease_expires_at",
            title,
            _("have lost their worker and were not ended"),
            _("A host does that: look at the hosts here."),
        ),
        *_hanging(
            check,
            under_way.filter(lease_expires_at__isnull=True, created_at__lt=before),
            "created_at",
            title,
            _("wait for a worker of the queue cpu"),
            _("Look at workers and broker here; every place may also be taken by jobs."),
        ),
    ]
    if not wrong:
        yield Finding(check, Level.OK, _("{n} under way", n=under_way.count()))
    yield from wrong


def _hanging(
    check: str, runs: QuerySet[Any], since: str, title: Text, what: Text, remedy: Text
) -> Iterator[Finding]:
    counted = runs.order_by().aggregate(n=Count("pk"), oldest=Min(since))
    if counted["n"]:
        said = _(
            "{n} {runs} {what}, the oldest for {time}",
            n=counted["n"],
            runs=title,
            what=what,
            time=_since(counted["oldest"]),
        )
        yield Finding(check, Level.FAILED, said, remedy)


def _since(at: datetime) -> Text:
    return time_text(max(0.0, (clock.now() - at).total_seconds()))
