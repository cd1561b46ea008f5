"""Health, instance types and workers as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from jobs.instance_types import InstanceType
from mlplatform.api.presenters.instants import instant
from mlplatform.core import clock
from mlplatform.core.models import Node
from mlplatform.core.nodes import ALIVE_S


def instance_type_json(
    instance_type: InstanceType,
    *,
    in_use: Mapping[str, int] | None,
    workers: frozenset[str],
    hosts: frozenset[str],
) -> dict[str, Any]:
    """`workers`, `hosts`: the queues that living ones serve."""
    return {
        "name": instance_type.name,
        "queue": instance_type.queue,
        "vcpus": instance_type.vcpus,
        "memory_mb": instance_type.memory_mb,
        "gpus": instance_type.gpus,
        "price_per_hour": instance_type.price_per_hour,
        "limit": instance_type.limit,
        "in_use": None if in_use is None else in_use.get(instance_type.name, 0),
        "served": {
            "by_worker": instance_type.queue in workers,
            "by_host": instance_type.queue in hosts,
        },
    }


def worker_json(node: Node) -> dict[str, Any]:
    return {
        "kind": node.kind,
        "name": node.name,
        "alive": clock.now() - node.seen_at <= timedelta(seconds=ALIVE_S),
        "queues": node.queues,
        "hostname": node.hostname,
        "pid": node.pid,
        "version": node.version,
        "concurrency": node.concurrency,
        "started_at": instant(node.started_at),
        "seen_at": instant(node.seen_at),
    }
