"""Comparisons as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from endpoints.selectors.comparison import RunKind
from jobs.comparison.metrics import metrics_of
from jobs.comparison.parameters import parameters_of
from jobs.comparison.runs import Curve, Run
from mlplatform.api.presenters.instants import instant


def comparison_json(
    kind: RunKind, runs: Sequence[Run], *, curve_metrics: Sequence[str], metric: str, curves: Sequence[Curve]
) -> dict[str, Any]:
    """What differs, what is the same, what is best; with the curves of `metric` where there is one."""
    parameters = parameters_of(runs)
    return {
        "kind": kind.value,
        "runs": [_run(run) for run in runs],
        "differing": [parameter.name for parameter in parameters if parameter.differs],
        "equal": {parameter.name: parameter.values[0] for parameter in parameters if not parameter.differs},
        "metrics": [
            {
                "name": found.name,
                "direction": found.direction,
                "best": [run.name for place, run in enumerate(runs) if place in found.best],
            }
            for found in metrics_of(runs)
        ],
        "curve_metrics": list(curve_metrics),
        "curves": _curves(kind, metric, curves) if metric else None,
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "status": run.status,
        "created_at": instant(run.created_at),
        "parameters": dict(run.parameters),
        "metrics": dict(run.metrics),
        "intervals": {name: list(interval) for name, interval in run.intervals.items()},
    }


def _curves(kind: RunKind, metric: str, curves: Sequence[Curve]) -> dict[str, Any]:
    return {
        "metric": metric,
        "x": "k" if kind is RunKind.EVALUATIONS else "step",
        "series": [
            {"name": curve.run, "points": [list(point) for point in curve.points]} for curve in curves
        ],
    }
