"""`GET /metrics` of the web process: the platform's part of what the gateway answers there, in Prometheus' format.

Without `MLPLATFORM_METRICS_TOKEN` there is no such address. The figures are kept for some seconds, so that scrapes cost
the database next to nothing however many there are; while it is away its figures are left out, and `mlplatform_up`
says so.
"""

from __future__ import annotations

import hmac
import logging
import platform
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from django.conf import settings
from django.db import Error as DatabaseFault
from django.http import HttpRequest, HttpResponse

from endpoints.selectors.platform_figures import PlatformFigures, platform_figures
from jobs.selectors.platform_figures import QueueFigures
from mlplatform.api.health import ComponentHealth, health
from mlplatform.core import clock
from mlplatform.core.health.probes import broker_state
from mlplatform.core.keeping.disk_room import disk_places
from mlplatform.core.nodes import VERSION

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

logger = logging.getLogger(__name__)
KEPT_S: Final = 10.0
ENDPOINTS_MAX: Final = 2000
_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_WELL: Final = frozenset({"ok", "degraded"})

_kept: tuple[float, bytes] | None = None
_lock = threading.Lock()


def metrics_view(request: HttpRequest) -> HttpResponse:
    """404 while metrics are off, 401 without the token; the gateway has checked it before."""
    token = settings.MLPLATFORM_METRICS_TOKEN
    if not token or request.method != "GET":
        return HttpResponse(status=404)
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    return HttpResponse(metrics_text(), content_type=_CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def metrics_text() -> bytes:
    """All families, at most `KEPT_S` old. Never raises for what is away."""
    global _kept
    with _lock:
        if _kept is None or time.monotonic() - _kept[0] > KEPT_S:
            _kept = (time.monotonic(), _rendered())
        return _kept[1]


def metrics_forget() -> None:
    """Counts anew at the next scrape; for tests."""
    global _kept
    _kept = None


def _rendered() -> bytes:
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    ProcessCollector(namespace="mlplatform_web", registry=registry)
    registry.register(_Collector())
    return bytes(generate_latest(registry))


class _Collector:
    """Gives the library the families of one scrape."""

    def collect(self) -> Iterator[Metric]:
        yield _gauge("build_info", "The version that runs", {("version", "python"): _version()})
        components = health()
        yield from _parts(components)
        yield from _disks()
        try:
            figures = platform_figures() if components["database"].status in _WELL else None
        except DatabaseFault as error:
            logger.warning("the figures of the platform could not be read: %s", type(error).__name__)
            figures = None
        if figures is not None:
            yield from _platform(figures)
        queues = tuple(queue.name for queue in figures.jobs.queues) if figures else ("cpu", "gpu")
        if components["broker"].status in _WELL:
            yield from _broker(queues)


def _version() -> dict[tuple[str, ...], float]:
    return {(VERSION, platform.python_version()): 1.0}


def _gauge(name: str, help_text: str, values: dict[tuple[str, ...], Any]) -> Metric:
    """A family; the first key of `values` names the labels and its value has the figures by their values."""
    from prometheus_client.core import GaugeMetricFamily

    [(labels, figures)] = values.items()
    family = GaugeMetricFamily(f"mlplatform_{name}", help_text, labels=list(labels))
    for label_values, value in figures.items():
        family.add_metric([str(each) for each in label_values], float(value))
    return family


def _parts(components: dict[str, ComponentHealth]) -> Iterator[Metric]:
    parts = {name: components[name] for name in ("database", "broker", "store")}
    answers = {(name,): part.status in _WELL for name, part in parts.items()}
    yield _gauge(
        "up", "Whether database, broker and object store answer the web process", {("part",): answers}
    )
    took = {(name,): part.latency_ms / 1000 for name, part in parts.items() if part.latency_ms is not None}
    yield _gauge("probe_seconds", "How long that answer took", {("part",): took})


def _disks() -> Iterator[Metric]:
    places = disk_places()
    free = {(name,): room.free_bytes for name, room in places.items()}
    floor = {(name,): room.floor_bytes for name, room in places.items()}
    yield _gauge("disk_free_bytes", "Free bytes of the web process' disks", {("place",): free})
    yield _gauge("disk_floor_bytes", "Below so many nothing new is taken in", {("place",): floor})


def _platform(figures: PlatformFigures) -> Iterator[Metric]:
    by_status = figures.jobs.by_status | figures.by_status
    yield _gauge("jobs", "Rows by kind and status, until they are deleted", {("kind", "status"): by_status})
    yield from _queues(figures.jobs.queues)
    alive = {(each.kind, each.machine, each.version): each.n_alive for each in figures.processes}
    silent = {(each.kind, each.machine, each.version): each.n_silent for each in figures.processes}
    labels = ("kind", "machine", "version")
    yield _gauge("processes", "Processes that are alive", {labels: alive})
    yield _gauge(
        "processes_silent", "Processes that have not been heard of and did not sign off", {labels: silent}
    )
    if figures.sweep_age_s is not None:
        yield _gauge(
            "scheduler_sweep_age_seconds", "Since a scheduler last swept", {(): {(): figures.sweep_age_s}}
        )
    yield from _endpoints(figures)


def _queues(queues: tuple[QueueFigures, ...]) -> Iterator[Metric]:
    now = clock.now()

    def by_queue(name: str, help_text: str, value: Any) -> Metric:
        return _gauge(name, help_text, {("queue",): {(queue.name,): value(queue) for queue in queues}})

    yield by_queue("queue_jobs_waiting", "Training jobs that nobody has begun", lambda queue: queue.n_waiting)
    yield by_queue("queue_jobs_running", "Training jobs at work", lambda queue: queue.n_running)
    yield by_queue(
        "queue_oldest_waiting_seconds",
        "Since the oldest of those that wait was created",
        lambda queue: max(0.0, (now - queue.waiting_since).total_seconds()) if queue.waiting_since else 0.0,
    )
    yield by_queue("queue_workers", "Workers alive", lambda queue: queue.n_workers)
    yield by_queue("queue_places", "Jobs that the workers may run at once", lambda queue: queue.n_places)
    yield by_queue(
        "queue_workers_without_room",
        "Workers that begin no job because a disk is below its floor",
        lambda queue: queue.n_without_room,
    )
    yield by_queue("queue_hosts", "Hosts of model servers alive", lambda queue: queue.n_hosts)


def _endpoints(figures: PlatformFigures) -> Iterator[Metric]:
    shown = figures.endpoints[:ENDPOINTS_MAX]
    counts: dict[tuple[str, ...], int] = {}
    for each in figures.endpoints:
        counts[each.status,] = counts.get((each.status,), 0) + 1
    yield _gauge("endpoints", "Endpoints by status", {("status",): counts})
    place = ("project", "endpoint")
    in_service = {(each.project, each.endpoint): each.status == "InService" for each in shown}
    yield _gauge("endpoint_in_service", "Whether the endpoint is InService", {place: in_service})
    captured = [each for each in shown if each.capture is not None]
    on = {(each.project, each.endpoint): each.capture != "off" for each in captured}
    failing = {(each.project, each.endpoint): each.capture == "failing" for each in captured}
    dropped = {(each.project, each.endpoint): each.n_dropped for each in captured}
    yield _gauge("endpoint_capture_on", "Whether requests are captured", {place: on})
    yield _gauge("endpoint_capture_problem", "Whether capturing has a problem", {place: failing})
    yield _gauge("endpoint_capture_lost_records", "Records that could not be captured", {place: dropped})
    wanted = {
        (each.project, each.endpoint, each.variant): each.n_wanted for each in figures.wishes[:ENDPOINTS_MAX]
    }
    yield _gauge("endpoint_replicas_wanted", "Replicas that there are to be", {(*place, "variant"): wanted})
    replicas = {(status,): n for status, n in figures.replicas.items()}
    yield _gauge("replicas", "Replicas by status", {("status",): replicas})


def _broker(queues: tuple[str, ...]) -> Iterator[Metric]:
    try:
        state = broker_state(queues=queues)
    except Exception as error:  # each broker's library has errors of its own
        logger.warning("the broker's queues could not be read: %s", type(error).__name__)
        return
    messages = {(queue,): n for queue, n in state.n_messages.items()}
    yield _gauge("broker_messages", "Messages that wait in the broker", {("queue",): messages})
