"""Whether the parts of the platform answer: real checks, all at once, each with its own time limit.

Called by the health view and by nothing else. A check that hangs is left behind in its thread, as failing.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from celery import current_app
from django.db import connection

from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import nodes_alive
from mlplatform.core.objects import object_store

LIMIT_S = 2.0
KEPT_S = 1.0
_PROBE = "s3://mlplatform-health/probe"


@dataclass(frozen=True)
class ComponentHealth:
    """`ok`; `failing` where it answers wrongly or not at all; `away` where nobody of the kind is running."""

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
    if any(components[name].status != "ok" for name in ("database", "store")):
        return "failing"
    return "ok" if all(component.status == "ok" for component in components.values()) else "degraded"


def _check_all() -> dict[str, ComponentHealth]:
    database = _timed(_database)
    nodes = database if database.status != "ok" else None
    bounded = _bounded({"broker": _broker, "store": _store})
    return {
        "database": database,
        "broker": bounded["broker"],
        "store": bounded["store"],
        "workers": nodes or _timed(lambda: _alive(NodeKind.WORKER)),
        "hosts": nodes or _timed(lambda: _alive(NodeKind.HOST)),
    }


def _database() -> ComponentHealth:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return ComponentHealth("ok")


def _alive(kind: NodeKind) -> ComponentHealth:
    n_alive = nodes_alive(kind=kind).count()
    return ComponentHealth("ok", f"{n_alive}") if n_alive else ComponentHealth("away", "0")


def _broker() -> ComponentHealth:
    limits = {"socket_connect_timeout": 1, "socket_timeout": 1}
    with current_app.connection(transport_options=limits) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=1)
        redis = getattr(broker.default_channel, "client", None)
        if redis is not None:
            # Redis connects at the first command only.
            redis.ping()
    return ComponentHealth("ok")


def _store() -> ComponentHealth:
    written = secrets.token_bytes(8)
    address = f"{_PROBE}-{written.hex()}"
    store = object_store()
    store.put_bytes(written, address)
    try:
        read = store.get_bytes(address)
    finally:
        store.delete([address])
    return ComponentHealth("ok") if read == written else ComponentHealth("failing", "other bytes came back")


def _bounded(checks: dict[str, Callable[[], ComponentHealth]]) -> dict[str, ComponentHealth]:
    """All checks side by side; what has not answered after `LIMIT_S` is failing."""
    found: dict[str, ComponentHealth] = {}

    def run(name: str, check: Callable[[], ComponentHealth]) -> None:
        found[name] = _timed(check)

    threads = {
        name: threading.Thread(target=run, args=(name, check), daemon=True, name=f"health-{name}")
        for name, check in checks.items()
    }
    until = time.monotonic() + LIMIT_S
    for thread in threads.values():
        thread.start()
    for thread in threads.values():
        thread.join(max(0.0, until - time.monotonic()))
    late = ComponentHealth("failing", f"no answer within {LIMIT_S:g} s")
    return {name: found.get(name, late) for name in checks}


def _timed(check: Callable[[], ComponentHealth]) -> ComponentHealth:
    begin = time.monotonic()
    try:
        result = check()
    except Exception as error:
        # Only the kind of error is told: the text of a driver's error has addresses in it.
        return ComponentHealth("failing", type(error).__name__)
    return ComponentHealth(result.status, result.detail, round((time.monotonic() - begin) * 1000, 2))
