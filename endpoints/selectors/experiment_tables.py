"""Tables of an experiment: accuracies and latencies of its cells side by side, and the cells themselves.

Pure: cells with their evaluations in, tables out. What is marked is decided by `evaluation_tables`. Called by pages and
REST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from endpoints.models import Evaluation, ExperimentCell
from endpoints.selectors.evaluation_tables import LATENCIES, accuracy_table, latency_table
from endpoints.tradeoff import cost_per_million_rows
from mlplatform.core.result_table import Cell, Column, ResultTable, Value
from mlplatform.core.text import text as _

_MS: Final = "ms"
_CELLS: Final = (
    Column("cell", _("Cell")),
    Column("configuration", _("Configuration")),
    Column("sample_size", _("Sample size")),
    Column("instance_type", _("Instance type")),
    Column("status", _("Status")),
    Column("metric", _("Metric")),
    Column("k_best", _("Best k")),
    Column("best", _("At the best k")),
    Column("k", _("k of the model")),
    Column("value", _("At the model's k")),
    *(Column(key, title, _MS) for key, title in LATENCIES.items()),
    Column("rows_per_s", _("Rows per second")),
    Column("price_per_hour", _("Price per hour")),
    Column("price_per_million_rows", _("Price per million rows")),
    Column("currency", _("Currency")),
    Column("training_job", _("Training job")),
    Column("evaluation", _("Evaluation")),
    Column("reason", _("Reason")),
)


def experiment_accuracy_table(
    cells: Sequence[ExperimentCell], *, metric: str | None = None, k_to: int | None = None
) -> ResultTable:
    """A row per k, a column per cell that was evaluated; see `accuracy_table`. Cells come with results."""
    measured = _measured(cells)
    more = {} if k_to is None else {"k_to": k_to}
    return accuracy_table(
        [evaluation for _cell, evaluation in measured],
        metric=metric,
        names=[str(cell) for cell, _evaluation in measured],
        **more,
    )


def experiment_latency_table(cells: Sequence[ExperimentCell]) -> ResultTable:
    """A row per cell that was evaluated; see `latency_table`. Cells come with results."""
    measured = _measured(cells)
    return latency_table(
        [evaluation for _cell, evaluation in measured], names=[str(cell) for cell, _evaluation in measured]
    )


def cells_table(cells: Sequence[ExperimentCell]) -> ResultTable:
    """A row per cell, whatever became of it: what was asked for, what was measured, or why it was not."""
    rows = []
    for cell in cells:
        known = _known(cell)
        rows.append(tuple(Cell(known.get(column.key)) for column in _CELLS))
    return ResultTable(_CELLS, tuple(rows))


TABLES: Final[Mapping[str, Callable[[Sequence[ExperimentCell]], ResultTable]]] = {
    "accuracy": experiment_accuracy_table,
    "latency": experiment_latency_table,
    "cells": cells_table,
}
"""By the name in the address."""


def cell_cost_per_million_rows(evaluation: Evaluation | None) -> float | None:
    """What a million rows cost at the measured speed of whole batches; None where that is not known."""
    summary, facts = _summary(evaluation), (evaluation.facts if evaluation else None) or {}
    price, batch_ms = facts.get("price_per_hour"), summary.get("batch_mean_ms")
    batch_size = summary.get("batch_size")
    if price is None or batch_ms is None or batch_size is None:
        return None
    return cost_per_million_rows(price_per_hour=price, batch_mean_ms=batch_ms, batch_size=batch_size)


def _measured(cells: Sequence[ExperimentCell]) -> list[tuple[ExperimentCell, Evaluation]]:
    return [
        (cell, cell.evaluation)
        for cell in cells
        if cell.evaluation is not None and cell.evaluation.summary is not None
    ]


def _known(cell: ExperimentCell) -> dict[str, Value]:
    summary = _summary(cell.evaluation)
    facts = (cell.evaluation.facts if cell.evaluation else None) or {}
    measured = ("metric", "k_best", "best", "k", "value", "rows_per_s", *LATENCIES)
    return {
        **{name: summary.get(name) for name in measured},
        "cell": cell.position,
        "configuration": cell.configuration,
        "sample_size": cell.sample_size,
        "instance_type": cell.instance_type,
        "status": cell.status,
        "price_per_hour": facts.get("price_per_hour"),
        "currency": facts.get("currency"),
        "price_per_million_rows": cell_cost_per_million_rows(cell.evaluation),
        "training_job": cell.training_job.name if cell.training_job else None,
        "evaluation": cell.evaluation.name if cell.evaluation else None,
        "reason": str(cell.failure or cell.waiting) or None,
    }


def _summary(evaluation: Evaluation | None) -> Mapping[str, Any]:
    return (evaluation.summary if evaluation else None) or {}
