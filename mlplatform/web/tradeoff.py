"""The trade-off of an experiment as its page asks for it: which measures, which limits; and the answer in words.

All of it is in the address, so that it is a permalink. The maths is `endpoints.tradeoff`, the picture
`charts.tradeoff`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from endpoints.tradeoff import Point, cheapest, pareto_front
from jobs.pricing import CURRENCY_SHIPPED
from mlplatform.web.charts.tradeoff import Axes, Limits, Spot
from mlplatform.web.experiment_cells import CellView, is_smallest_best
from mlplatform.web.own_k import OwnK, own_k
from mlplatform.web.sliders import Slider, latency_slider, quality_slider
from mlplatform.web.templatetags.figures import millis_text, significant

LATENCIES: Final = {
    "single": ("single_mean_ms", gettext_lazy("one row, mean")),
    "p50": ("single_p50_ms", gettext_lazy("one row, p50")),
    "p90": ("single_p90_ms", gettext_lazy("one row, p90")),
    "p99": ("single_p99_ms", gettext_lazy("one row, p99")),
    "batch": ("batch_mean_ms", gettext_lazy("batch, mean")),
}
COSTS: Final = {
    "hour": gettext_lazy("%(currency)s per hour"),
    "million": gettext_lazy("%(currency)s per million rows"),
}
QUALITIES: Final = {
    "own": gettext_lazy("at the model's k"),
    "best": gettext_lazy("at the best k"),
}
"""An endpoint answers with the model's k, whatever the best one is; so that is the one compared unless asked."""
_AT_K: Final = {
    "own": gettext_lazy("%(metric)s at the model's k"),
    "best": gettext_lazy("%(metric)s at the best k"),
}


@dataclass(frozen=True)
class Measures:
    """Which of the measures are compared; a name that there is not means the first."""

    at: str = "own"
    latency: str = "single"
    cost: str = "hour"

    @classmethod
    def of(cls, query: Mapping[str, Any]) -> Measures:
        return cls(
            at=_one_of(query.get("at"), QUALITIES),
            latency=_one_of(query.get("x"), LATENCIES),
            cost=_one_of(query.get("cost"), COSTS),
        )


@dataclass(frozen=True)
class Verdict:
    """The answer: the cheapest cell within the limits, or else the one that misses them by the least.

    Attributes:
        own_k: What its endpoint would answer, where the facts are of another k.
    """

    sentence: str
    view: CellView | None
    facts: str
    within: bool
    own_k: OwnK | None = None


@dataclass(frozen=True)
class Tradeoff:
    """The measured cells as points, in the order of the grid, and what is asked of them."""

    views: Sequence[CellView]
    points: Sequence[Point]
    measures: Measures
    smallest: bool
    quality: Slider
    latency: Slider

    @classmethod
    def of(cls, views: Sequence[CellView], query: Mapping[str, Any]) -> Tradeoff:
        measures = Measures.of(query)
        smallest = is_smallest_best(views)
        pairs = [(view, point) for view in views if (point := _point(view, measures, smallest=smallest))]
        known = [point for _view, point in pairs]
        return cls(
            views=[view for view, _point in pairs],
            points=known,
            measures=measures,
            smallest=smallest,
            quality=quality_slider(
                [abs(point.quality) for point in known], query.get("quality"), smallest=smallest
            ),
            latency=latency_slider([point.latency_ms for point in known], query.get("latency")),
        )

    @property
    def metric(self) -> str:
        return "RMSE" if self.smallest else str(_("accuracy"))

    @property
    def axes(self) -> Axes:
        metric = self.metric if self.smallest else str(_("Accuracy"))
        return Axes(
            quality=str(_AT_K[self.measures.at]) % {"metric": metric} if self._has_k else metric,
            latency=_("Latency (%(measure)s), ms") % {"measure": LATENCIES[self.measures.latency][1]},
            cost=self.cost_unit,
            smallest=self.smallest,
        )

    @property
    def cost_unit(self) -> str:
        return cost_unit(self.measures.cost, self.views)

    @property
    def limits(self) -> Limits:
        return Limits(self.quality.value, self.latency.value)

    @cached_property
    def front(self) -> set[int]:
        """The places of the cells that are on the Pareto front."""
        return {int(point.key) for point in pareto_front(self.points)}

    @cached_property
    def spots(self) -> list[Spot]:
        front = self.front
        return [
            Spot(
                name=view.label,
                quality=self._shown(point.quality),
                latency_ms=point.latency_ms,
                cost=point.cost,
                colour=view.place,
                on_front=view.place in front,
            )
            for view, point in zip(self.views, self.points, strict=True)
        ]

    @cached_property
    def verdict(self) -> Verdict:
        least, most = self._asked(self.quality.value), self.latency.value
        found = cheapest(self.points, quality_least=least, latency_most=most)
        point = found or nearest(self.points, quality_least=least, latency_most=most)
        view = self._view(point)
        return Verdict(
            sentence=self._sentence(found is not None),
            view=view,
            facts=self.facts(view, point) if view and point else "",
            within=found is not None,
            own_k=own_k(view.summary) if view and self.measures.at == "best" else None,
        )

    def facts(self, view: CellView, point: Point) -> str:
        """What it costs, how good and how fast it is: `0.204 USD per hour, accuracy 0.9612 at k = 3, 0.45 ms`."""
        k = view.summary.get("k_best" if self.measures.at == "best" else "k")
        quality = f"{self.metric} {self._shown(point.quality):.4g}"
        if k:
            quality = _("%(quality)s at k = %(k)s") % {"quality": quality, "k": k}
        cost = f"{significant(float(point.cost))} {cost_unit(self.measures.cost, [view])}"
        return _("%(cost)s, %(quality)s, %(latency)s") % {
            "cost": cost,
            "quality": quality,
            "latency": millis_text(point.latency_ms),
        }

    @property
    def _has_k(self) -> bool:
        return any(view.summary.get("has_k") for view in self.views)

    def _shown(self, quality: float) -> float:
        """The quality as it was measured; a point has an error as its negative."""
        return -quality if self.smallest else quality

    _asked = _shown

    def _view(self, point: Point | None) -> CellView | None:
        return next((view for view in self.views if point and view.place == point.key), None)

    def _sentence(self, within: bool) -> str:
        given = {
            "metric": self.metric,
            "quality": f"{self.quality.value:.6g}",
            "latency": millis_text(self.latency.value),
        }
        if not self.points:
            return _("No cell has been measured yet.")
        if within and self.smallest:
            return _("Cheapest with %(metric)s of at most %(quality)s within %(latency)s:") % given
        if within:
            return _("Cheapest with %(metric)s of at least %(quality)s within %(latency)s:") % given
        if self.smallest:
            return (
                _("No cell has %(metric)s of at most %(quality)s within %(latency)s. The nearest is:") % given
            )
        return _("No cell has %(metric)s of at least %(quality)s within %(latency)s. The nearest is:") % given


def nearest(points: Sequence[Point], *, quality_least: float, latency_most: float) -> Point | None:
    """The point that misses the limits by the least: shares of the spread of qualities and of the latency asked for."""
    if not points:
        return None
    qualities = [point.quality for point in points]
    spread = (max(qualities) - min(qualities)) or abs(qualities[0]) or 1.0

    def missed(point: Point) -> float:
        short = max(0.0, quality_least - point.quality) / spread
        slow = max(0.0, point.latency_ms / latency_most - 1) if latency_most > 0 else point.latency_ms
        return short + slow

    return min(points, key=lambda point: (missed(point), point.cost, point.name))


def _point(view: CellView, measures: Measures, *, smallest: bool) -> Point | None:
    summary = view.summary
    quality = summary.get("best" if measures.at == "best" else "value")
    latency = summary.get(LATENCIES[measures.latency][0])
    cost = view.price_per_hour if measures.cost == "hour" else view.cost_per_million_rows
    if not view.measured or quality is None or latency is None or cost is None:
        return None
    made = Point(view.name, -quality if smallest else quality, latency, cost, key=view.place)
    return made if made.measured else None


def _one_of(given: Any, accepted: Mapping[str, Any]) -> str:
    return str(given) if given in accepted else next(iter(accepted))


def cost_unit(cost: str, views: Sequence[CellView]) -> str:
    """`USD per hour`; several currencies are all named, since they cannot be compared."""
    currencies = list(dict.fromkeys(view.currency for view in views)) or [CURRENCY_SHIPPED]
    return str(COSTS[cost]) % {"currency": ", ".join(currencies)}
