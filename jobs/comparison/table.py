"""A comparison as one table, a row per run: for CSV files and for programs. Django-free, pure."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.comparison.metrics import metrics_of
from jobs.comparison.parameters import parameters_of
from jobs.comparison.runs import Run
from mlplatform.core.result_table import Cell, Column, ResultTable


def comparison_table(runs: Sequence[Run]) -> ResultTable:
    """Name, status and instant of each run, then every parameter (differing or not), then every metric.

    The best values of a metric are marked `best`.
    """
    parameters, metrics = parameters_of(runs), metrics_of(runs)
    columns = [Column(name, name) for name in ("name", "status", "created_at")]
    columns += [Column(parameter.name, parameter.name) for parameter in parameters]
    columns += [Column(f"metrics.{metric.name}", metric.name) for metric in metrics]
    best = [metric.best for metric in metrics]
    rows = []
    for place, run in enumerate(runs):
        cells = [Cell(run.name), Cell(run.status), Cell(run.created_at.isoformat(timespec="milliseconds"))]
        cells += [Cell(parameter.values[place]) for parameter in parameters]
        cells += [
            Cell(metric.values[place], "best" if place in marked else "")
            for metric, marked in zip(metrics, best, strict=True)
        ]
        rows.append(tuple(cells))
    return ResultTable(tuple(columns), tuple(rows))
