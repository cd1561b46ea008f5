"""What charts of a tuning job are drawn from: trials as numbers and texts, parameters as axes. Pure.

Made from rows by `web.tuning_trials`; drawn by `charts.tuning`, `charts.tuning_contour` and `charts.tuning_timeline`.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from jobs.comparison.axes import LOG_SPREAD
from jobs.comparison.runs import number_of

Kind = Literal["linear", "log", "category"]
CATEGORIES_SHOWN: Final = 30
TICKS_MAX: Final = 12
MARGIN: Final = 0.04
"""Of the length of an axis, so that a point at its end is whole."""


@dataclass(frozen=True)
class TrialPoint:
    """One trial. `value` is the objective, None while there is none; `parameters` are texts, as its job has them."""

    number: int
    status: str
    value: float | None
    parameters: Mapping[str, str]
    is_best: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def is_measured(self) -> bool:
        return self.value is not None and math.isfinite(self.value)


@dataclass(frozen=True)
class Objective:
    """What is looked for. `smallest` where less is better."""

    name: str
    smallest: bool

    def better(self, one: float, other: float) -> bool:
        return one < other if self.smallest else one > other


@dataclass(frozen=True)
class Dimension:
    """A parameter as an axis: numbers, equal steps or equal factors, or categories in their order."""

    name: str
    kind: Kind
    low: float = 0.0
    high: float = 1.0
    categories: tuple[str, ...] = field(default=())
    is_whole: bool = False

    def number(self, text: str | None) -> float | None:
        """Where a value lies: the number itself, or the place of the category; None where it is none of them."""
        if text is None:
            return None
        if self.kind == "category":
            return float(self.categories.index(text)) if text in self.categories else None
        found = number_of(text)
        return None if found is None or (self.kind == "log" and found <= 0) else found

    def place(self, number: float) -> float:
        """From 0 to 1 along the axis."""
        if self.kind == "category":
            return number / max(len(self.categories) - 1, 1)
        if self.kind == "log":
            return _share(math.log(number), math.log(self.low), math.log(self.high))
        return _share(number, self.low, self.high)

    def at(self, place: float) -> float:
        """The number at a place from 0 to 1."""
        if self.kind == "log":
            return float(self.low * (self.high / self.low) ** place)
        return self.low + (self.high - self.low) * place

    def axis(self) -> dict[str, Any]:
        """The layout of a Plotly axis, as long as the range and a little more."""
        found: dict[str, Any] = {"title": {"text": plain(self.name)}, "automargin": True}
        if self.kind == "category":
            named = [plain(one) for one in self.categories[:CATEGORIES_SHOWN]]
            return found | {"type": "category", "categoryorder": "array", "categoryarray": named}
        ticks = (
            {"dtick": 1}
            if self.is_whole and self.kind == "linear" and self.high - self.low <= TICKS_MAX
            else {}
        )
        return found | {"type": self.kind, "range": self._ends(), **ticks}

    def _ends(self) -> list[float]:
        low, high = (
            (math.log10(self.low), math.log10(self.high)) if self.kind == "log" else (self.low, self.high)
        )
        margin = MARGIN * (high - low) or 0.5
        return [low - margin, high + margin]

    def shown(self, text: str) -> float | str:
        """A value as Plotly takes it on this axis."""
        number = number_of(text)
        return plain(text) if self.kind == "category" or number is None else number


def dimensions_of(ranges: Sequence[Mapping[str, Any]], trials: Sequence[TrialPoint] = ()) -> list[Dimension]:
    """An axis for each range of a tuning job, in its order.

    Args:
        trials: What was tried, of which a value may lie outside of the range (taken over from another tuning job).
    """
    return [_dimension(one, trials) for one in ranges]


def plain(text: str) -> str:
    """Text that Plotly shows as it is: neither its mark-up nor its `%{…}`."""
    return html.escape(text, quote=False).replace("%{", "% {")


def _dimension(given: Mapping[str, Any], trials: Sequence[TrialPoint]) -> Dimension:
    name = str(given["name"])
    if given.get("type") == "Categorical":
        return Dimension(name, "category", categories=tuple(str(one) for one in given.get("values") or ()))
    tried = [number_of(trial.parameters[name]) for trial in trials if name in trial.parameters]
    numbers = [float(given["min"]), float(given["max"]), *(one for one in tried if one is not None)]
    low, high = min(numbers), max(numbers)
    scaling = given.get("scaling") or "Auto"
    wide = low > 0 and high / low > LOG_SPREAD
    logarithmic = low > 0 and (scaling == "Logarithmic" or (scaling == "Auto" and wide))
    whole = given.get("type") == "Integer"
    return Dimension(name, "log" if logarithmic else "linear", low, high, is_whole=whole)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5
