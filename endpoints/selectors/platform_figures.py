"""How much there is of endpoints, runs and processes over all projects, for who watches the platform."""

from __future__ import annotations

from dataclasses import dataclass, field

from django.db.models import Count
from django.utils.dateparse import parse_datetime

from endpoints.models import (
    AsyncInvocation,
    DataCapture,
    Endpoint,
    Evaluation,
    Experiment,
    ProductionVariant,
    Replica,
    TableRun,
    TransformJob,
)
from endpoints.services.elastic import is_elastic
from jobs.selectors.platform_figures import JobFigures, job_figures
from mlplatform.core import clock
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import ALIVE_S
from mlplatform.core.status import ReplicaStatus

_RUNS = (
    ("transform", TransformJob),
    ("evaluation", Evaluation),
    ("experiment", Experiment),
    ("table_run", TableRun),
    ("async_invocation", AsyncInvocation),
)


@dataclass(frozen=True)
class VariantWish:
    """How many replicas a variant of an endpoint is to have now, by which its gateway's figures are judged."""

    project: str
    endpoint: str
    variant: str
    n_wanted: int


@dataclass(frozen=True)
class EndpointState:
    """`capture` is on, off or failing; None for an endpoint that never had any. `n_dropped` records were lost."""

    project: str
    endpoint: str
    status: str
    capture: str | None = None
    n_dropped: int = 0


@dataclass(frozen=True)
class ProcessFigures:
    """Processes of one kind on one machine: alive, and silent but not signed off."""

    kind: str
    machine: str
    version: str
    n_alive: int = 0
    n_silent: int = 0


@dataclass(frozen=True)
class PlatformFigures:
    """What the database knows. `sweep_age_s`: since the last sweep of a scheduler; None where none has told."""

    jobs: JobFigures
    by_status: dict[tuple[str, str], int] = field(default_factory=dict)
    endpoints: tuple[EndpointState, ...] = ()
    wishes: tuple[VariantWish, ...] = ()
    replicas: dict[str, int] = field(default_factory=dict)
    processes: tuple[ProcessFigures, ...] = ()
    sweep_age_s: float | None = None


def platform_figures() -> PlatformFigures:
    """About fifteen queries. Raises Django's database errors."""
    nodes = list(Node.objects.all())
    return PlatformFigures(
        jobs=job_figures(),
        by_status={
            (kind, status): n
            for kind, model in _RUNS
            for status, n in model._default_manager.order_by().values_list("status").annotate(n=Count("pk"))
        },
        endpoints=tuple(_endpoints()),
        wishes=tuple(_wishes()),
        replicas=dict(
            Replica.objects.exclude(status=ReplicaStatus.GONE)
            .order_by()
            .values_list("status")
            .annotate(n=Count("pk"))
        ),
        processes=tuple(_processes(nodes)),
        sweep_age_s=_sweep_age_s(nodes),
    )


def _endpoints() -> list[EndpointState]:
    captures = {capture.endpoint_id: capture for capture in DataCapture.objects.all()}
    rows = Endpoint.objects.order_by("pk").values_list("pk", "project__name", "name", "status")
    return [
        EndpointState(project, name, status, *_capture(captures.get(pk)))
        for pk, project, name, status in rows
    ]


def _capture(capture: DataCapture | None) -> tuple[str | None, int]:
    if capture is None:
        return None, 0
    state = "failing" if capture.is_on and capture.problem else "on" if capture.is_on else "off"
    return state, capture.n_dropped


def _wishes() -> list[VariantWish]:
    places: dict[int, tuple[str, str]] = {}
    rows = Endpoint.objects.values_list("live", "wanted", "project__name", "name")
    for live, wanted, project, name in rows:
        places[live or wanted] = project, name
    variants = ProductionVariant.objects.filter(config_id__in=list(places)).order_by("pk")
    return [
        VariantWish(
            *places[variant.config_id],
            variant.name,
            variant.n_wanted if is_elastic(variant) else variant.instance_count,
        )
        for variant in variants
    ]


def _processes(nodes: list[Node]) -> list[ProcessFigures]:
    now = clock.now()
    counts: dict[tuple[str, str, str], list[int]] = {}
    for node in nodes:
        is_silent = abs((now - node.seen_at).total_seconds()) > ALIVE_S
        counts.setdefault((node.kind, node.hostname, node.version), [0, 0])[is_silent] += 1
    return [ProcessFigures(*place, *n) for place, n in sorted(counts.items())]


def _sweep_age_s(nodes: list[Node]) -> float | None:
    told = [node.info.get("swept_at") for node in nodes if node.kind == NodeKind.SCHEDULER]
    swept = [at for each in told if isinstance(each, str) and (at := parse_datetime(each)) is not None]
    return max(0.0, (clock.now() - max(swept)).total_seconds()) if swept else None
