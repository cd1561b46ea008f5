"""The figures of a whole experiment that its overview begins with, each with the cell that it is of. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mlplatform.web.experiment_cells import CellView, best_first, is_smallest_best
from mlplatform.web.own_k import own_k
from mlplatform.web.templatetags.experiments import quality
from mlplatform.web.templatetags.figures import millis_text, significant


@dataclass(frozen=True)
class Tile:
    """A figure of the whole experiment and the cell that it is of."""

    title: str
    value: str
    unit: str = ""
    view: CellView | None = None
    note: str = ""
    beside: str = ""
    """What is to be known with it."""


def tiles_of(views: Sequence[CellView]) -> list[Tile]:
    """The best, the fastest and the cheapest; a dash for each while nothing is measured."""
    best = next(iter(best_first(views)), None)
    fastest = _least(views, lambda view: view.summary.get("single_mean_ms"))
    cheapest = _least(views, lambda view: view.cost_per_million_rows)
    title = _("Smallest RMSE") if is_smallest_best(views) else _("Best accuracy")
    tiles = [
        Tile(
            title,
            quality(best.summary["best"], best.summary["metric"]),
            view=best,
            note=_at_k(best),
            beside=_at_own_k(best),
        )
        if best
        else Tile(title, "–"),
        Tile(_("Fastest, one row"), millis_text(fastest.summary["single_mean_ms"]), view=fastest)
        if fastest
        else Tile(_("Fastest, one row"), "–"),
    ]
    if cheapest is not None and cheapest.cost_per_million_rows is not None:
        cost = significant(float(cheapest.cost_per_million_rows), 3)
        return [*tiles, Tile(_("Cheapest, a million rows"), cost, cheapest.currency, view=cheapest)]
    return [*tiles, Tile(_("Cheapest, a million rows"), "–")]


def _at_k(view: CellView) -> str:
    return f"k = {view.summary['k_best']}" if view.summary.get("k_best") else ""


def _at_own_k(view: CellView) -> str:
    """What an endpoint of it would answer, where the best is at another k."""
    other = own_k(view.summary)
    return (
        _("at the model's k = %(k)s: %(quality)s") % {"k": other.k, "quality": other.quality} if other else ""
    )


def _least(views: Sequence[CellView], measure: Any) -> CellView | None:
    known = [
        (measure(view), view.place, view) for view in views if view.measured and measure(view) is not None
    ]
    return min(known)[2] if known else None
