"""The page of what the platform runs on: queues, processes with their heartbeats, instance types in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpRequest, HttpResponse
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_GET

from jobs.instance_types import InstanceType
from jobs.selectors.instances import instance_type_usage
from jobs.selectors.prices import instance_types_priced
from jobs.selectors.queues import QueueState, queue_states
from mlplatform.core.amounts import time_text
from mlplatform.core.database_clock import SKEW_S
from mlplatform.core.keeping.retention import SWEEP as RETENTION
from mlplatform.core.keeping.retention import RetentionRule, retention_rules
from mlplatform.core.models import Node, SweepState
from mlplatform.core.nodes import CLOCK, VERSION, node_is_gone, node_list, nodes_alive
from mlplatform.core.people.access import Actor
from mlplatform.web.access import page_actor
from mlplatform.web.overview import disk_low
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import short_list

_ORDERS = {
    "name": lambda row: row.node.name,
    "kind": lambda row: row.node.kind,
    "seen": lambda row: row.node.seen_at,
    "started": lambda row: row.node.started_at,
}


@dataclass(frozen=True)
class NodeRow:
    """`clock_off`: how far the clock of its machine is from the database's, where that is worth a word."""

    node: Node
    status: str
    clock_off: str | None = None
    other_version: bool = False


@dataclass(frozen=True)
class InstanceTypeRow:
    """`worked`, `hosted`: whether a worker trains on it, whether a host serves models on it."""

    type: InstanceType
    in_use: int
    worked: bool
    hosted: bool


@dataclass(frozen=True)
class KeptRow:
    """A retention rule, and what it removed last."""

    rule: RetentionRule
    n_removed: int | None
    removed_at: datetime | None


@require_GET
def worker_list(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    alive = {node.pk for node in nodes_alive()}
    rows = [_row(node, alive) for node in node_list()]
    queues = queue_states(actor=actor)
    context = {
        "queues": queues,
        "disk_low": disk_low(),
        "starved": [queue for queue in queues if queue.n_waiting and not queue.served],
        "nodes": short_list(rows, request.GET, orders=_ORDERS, default="kind", text=_text),
        "kept": _kept(),
        "instance_types": _instance_types(actor, {queue.name: queue for queue in queues}),
    }
    return page_response(request, "workers/list.html", context)


def _row(node: Node, alive: set[int]) -> NodeRow:
    off_s = abs(float(node.info.get(CLOCK, 0.0)))
    return NodeRow(
        node,
        _status(node, alive),
        clock_off=time_text(off_s) if off_s > SKEW_S and node.pk in alive else None,
        other_version=node.version != VERSION and node.pk in alive,
    )


def _status(node: Node, alive: set[int]) -> str:
    if node.pk in alive:
        return "Alive"
    return "Ended" if node_is_gone(node) else "Silent"


def _kept() -> list[KeptRow]:
    state = SweepState.objects.filter(name=RETENTION).first()
    done = state.detail if state else {}
    return [
        KeptRow(rule, *((found["removed"], parse_datetime(found["at"])) if found else (None, None)))
        for rule in retention_rules()
        if rule.setting or rule.days
        for found in [done.get(rule.name)]
    ]


def _text(row: NodeRow) -> str:
    return f"{row.node.name} {row.node.hostname} {row.node.kind} {' '.join(row.node.queues)}"


def _instance_types(actor: Actor, queues: Mapping[str, QueueState]) -> list[InstanceTypeRow]:
    usage = instance_type_usage(project=actor.project)
    return [
        InstanceTypeRow(kind, usage.get(kind.name, 0), queues[kind.queue].served, queues[kind.queue].hosted)
        for kind in instance_types_priced()
    ]
