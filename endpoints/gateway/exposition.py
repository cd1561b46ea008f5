"""What the gateway has counted and holds, as Prometheus text. No sockets, no clock, no database.

Written by hand and variant by variant, because it happens on the event loop between invocations: a library's rendering
of a thousand variants takes half a second, on a thread too most of it from the loop. `metrics.py` lets others go first
after every few variants.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Final

from endpoints.gateway.histogram import RELATIVE_ERROR, Histogram
from endpoints.gateway.tally import MinuteCounts

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
VARIANTS_MAX: Final = 2000
"""So many variants have series of their own; of others it is only told how many there are."""

_LOG_GAMMA: Final = log((1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR))
_WISHED_MS: Final = (
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0),
    *(1000.0, 2500.0, 5000.0, 10_000.0, 30_000.0, 60_000.0),
)
BOUNDS: Final = tuple(round(log(wished) / _LOG_GAMMA) for wished in _WISHED_MS)
"""Borders of the sketch's own buckets nearest to round figures: so the cumulative counts are exact."""

_FAMILIES: Final = {
    "requests_total": ("counter", "Invocations by how they were answered"),
    "request_duration_seconds": ("histogram", "From arrival to the answer of a replica"),
    "cold_requests_total": ("counter", "Invocations that waited for a model server to start"),
    "model_seconds_total": ("counter", "Time in model servers, of all invocations together"),
    "requests_in_flight": ("gauge", "Invocations that a replica works on"),
    "requests_waiting": ("gauge", "Invocations that wait for a first replica"),
    "replicas_ready": ("gauge", "Replicas that the gateway may send to"),
}


@dataclass(frozen=True)
class VariantFigures:
    """A variant of an endpoint as the gateway sees it now; `counts` since the gateway started."""

    project: str
    endpoint: str
    variant: str
    counts: MinuteCounts
    n_in_flight: int = 0
    n_waiting: int = 0
    n_ready: int = 0


class VariantText:
    """The families of the variants, as they are added; `text` has each family's lines together, as the format wants."""

    def __init__(self) -> None:
        self._lines: dict[str, list[str]] = {name: [] for name in _FAMILIES}

    def add(self, each: VariantFigures) -> None:
        """Takes less than a tenth of a millisecond."""
        labels = ",".join(
            f'{name}="{_escaped(value)}"'
            for name, value in (
                ("project", each.project),
                ("endpoint", each.endpoint),
                ("variant", each.variant),
            )
        )
        counts = each.counts
        for code, n in codes(counts).items():
            self._put("requests_total", f'{labels},code="{code}"', n)
        name = "mlplatform_endpoint_request_duration_seconds"
        buckets = "".join(
            f'{name}_bucket{{{labels},le="{le}"}} {n}\n' for le, n in cumulative(counts.latency)
        )
        ends = f"{name}_sum{{{labels}}} {counts.latency.sum_ms / 1000!r}\n{name}_count{{{labels}}} {counts.latency.n}\n"
        self._lines["request_duration_seconds"].append(buckets + ends)
        self._put("cold_requests_total", labels, counts.n_cold)
        self._put("model_seconds_total", labels, counts.busy_ms / 1000)
        self._put("requests_in_flight", labels, each.n_in_flight)
        self._put("requests_waiting", labels, each.n_waiting)
        self._put("replicas_ready", labels, each.n_ready)

    def text(self) -> str:
        return "".join(
            f"{_head(f'mlplatform_endpoint_{name}', kind, said)}{''.join(self._lines[name])}"
            for name, (kind, said) in _FAMILIES.items()
        )

    def _put(self, name: str, labels: str, value: float) -> None:
        self._lines[name].append(f"mlplatform_endpoint_{name}{{{labels}}} {value!r}\n")


def gauges_text(gauges: Mapping[str, tuple[str, float]]) -> str:
    """Gauges without labels, by name: what they mean and their value."""
    return "".join(
        f"{_head(f'mlplatform_{name}', 'gauge', said)}mlplatform_{name} {float(value)!r}\n"
        for name, (said, value) in gauges.items()
    )


def process_text() -> bytes:
    """The usual `process_…` figures of this process. Loads the library; for a thread."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    return bytes(generate_latest(registry))


def codes(counts: MinuteCounts) -> dict[str, int]:
    """Answers by class; 429 (throttled) and 424 (the model's own error) are not in `4xx`."""
    n_errors = counts.n_4xx + counts.n_5xx + counts.n_model_errors
    return {
        "2xx": counts.n_requests - n_errors,
        "4xx": counts.n_4xx - counts.n_throttled,
        "424": counts.n_model_errors,
        "429": counts.n_throttled,
        "5xx": counts.n_5xx,
    }


def cumulative(histogram: Histogram) -> list[tuple[str, int]]:
    """(`le`, how many values lie at or below it), with `+Inf` at the end."""
    counts = sorted(histogram.buckets.items())
    found, seen, at = [], 0, 0
    for bound, le in zip(BOUNDS, _LE, strict=True):
        while at < len(counts) and counts[at][0] <= bound:
            seen += counts[at][1]
            at += 1
        found.append((le, seen))
    return [*found, ("+Inf", histogram.n)]


def le_text(bound: int) -> str:
    """A border in seconds, as the label `le` says it."""
    return f"{exp(bound * _LOG_GAMMA) / 1000:.4g}"


_LE: Final = tuple(map(le_text, BOUNDS))


def _head(name: str, kind: str, said: str) -> str:
    return f"# HELP {name} {said}\n# TYPE {name} {kind}\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
