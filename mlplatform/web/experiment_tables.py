"""The table of an experiment's trade-off, for its downloads. Pure; its other tables are `endpoints.selectors`'."""

from __future__ import annotations

from typing import Final

from mlplatform.core.result_table import Cell, Column, ResultTable
from mlplatform.core.text import text as _
from mlplatform.web.tradeoff import Tradeoff

_GRID: Final = (
    Column("cell", _("Cell")),
    Column("configuration", _("Configuration")),
    Column("sample_size", _("Sample size")),
    Column("instance_type", _("Instance type")),
)


def tradeoff_table(tradeoff: Tradeoff) -> ResultTable:
    """A row per measured cell: quality, latency and cost as they are compared, and whether it is on the front."""
    head = (
        *_GRID,
        Column("k", "k"),
        Column("quality", _("Quality")),
        Column("latency_ms", _("Latency"), "ms"),
        Column(f"cost_per_{tradeoff.measures.cost}", _("Cost"), tradeoff.cost_unit),
        Column("pareto_front", _("Pareto front")),
    )
    key = "k_best" if tradeoff.measures.at == "best" else "k"
    rows = [
        tuple(
            map(
                Cell,
                (
                    view.number,
                    view.cell.configuration,
                    view.cell.sample_size,
                    view.cell.instance_type,
                    view.summary.get(key),
                    spot.quality,
                    spot.latency_ms,
                    spot.cost,
                    int(spot.on_front),
                ),
            )
        )
        for view, spot in zip(tradeoff.views, tradeoff.spots, strict=True)
    ]
    return ResultTable(head, tuple(rows))
