"""Whether the parts of the platform answer: real checks, all at once, within one time limit.

Called by the health view and by nothing else; the doctor asks the same probes and says more, to operators only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from mlplatform.core.health.bounded import Late, bounded_calls
from mlplatform.core.health.probes import broker_probe, database_probe, store_probe
from mlplatform.core.keeping.disk_room import disk_room_for_jobs
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import nodes_alive

LIMIT_S = 2.0
KEPT_S = 1.0
PARTS = ("database", "broker", "store", "workers", "hosts")


@dataclass(frozen=True)
class ComponentHealth:
    """`ok`; `degraded` where its disk is below the floor, so that nothing new is taken in; `failing` where it answers
    wrongly or not at all; `away` where nobody of the kind is running.
    """

    status: str
    detail: str = ""
    latency_ms: float | None = None


_kept: tuple[float, dict[str, ComponentHealth]] | None = None
_lock = threading.Lock()


def health() -> dict[str, ComponentHealth]:
    """Every component's state, at most `KEPT_S` old: anybody may ask, so asking must cost little."""
    global _kept
    with _lock:
        if _kept is None or time.monotonic() - _kept[0] > KEPT_S:
            _kept = (time.monotonic(), _check_all())
        return _kept[1]


def overall(components: dict[str, ComponentHealth]) -> str:
    """`failing` without the database or the store, `degraded` while anything else is not in order."""
    if any(components[name].status == "failing" for name in ("database", "store")):
        return "failing"
    return "ok" if all(component.status == "ok" for component in components.values()) else "degraded"


def _check_all() -> dict[str, ComponentHealth]:
    ends = bounded_calls(
        {
            "health-database": _records,
            "health-broker": lambda: {"broker": _answered(broker_probe)},
            "health-store": lambda: {"store": _store()},
        },
        limit_s=LIMIT_S,
    )
    found: dict[str, ComponentHealth] = {}
    for name, end in ends.items():
        found |= {name.removeprefix("health-"): _failing(end)} if isinstance(end, Exception) else end
    return {name: found.get(name) or found["database"] for name in PARTS}


def _records() -> dict[str, ComponentHealth]:
    """The database, and what it knows of processes, over one connection."""
    return {
        "database": _answered(database_probe),
        "workers": _alive(NodeKind.WORKER),
        "hosts": _alive(NodeKind.HOST),
    }


def _store() -> ComponentHealth:
    latency_ms, low = store_probe(), disk_room_for_jobs()
    if low is None:
        return ComponentHealth("ok", latency_ms=latency_ms)
    return ComponentHealth("degraded", f"the disk of {low.place} is below its floor", latency_ms)


def _alive(kind: NodeKind) -> ComponentHealth:
    begin = time.monotonic()
    n_alive = nodes_alive(kind=kind).count()
    latency_ms = round((time.monotonic() - begin) * 1000, 2)
    return ComponentHealth("ok" if n_alive else "away", f"{n_alive}", latency_ms)


def _answered(probe: Callable[[], float]) -> ComponentHealth:
    return ComponentHealth("ok", latency_ms=probe())


def _failing(error: Exception) -> ComponentHealth:
    # Only the kind of error is told: the text of a driver's error has addresses in it.
    return ComponentHealth("failing", str(error) if isinstance(error, Late) else type(error).__name__)
