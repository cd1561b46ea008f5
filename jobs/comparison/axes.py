"""Axes on which runs are drawn: parameters and metrics as numbers (linear or logarithmic) or as categories.

For parallel coordinates and scatter charts. Django-free, pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from jobs.comparison.metrics import metrics_of
from jobs.comparison.parameters import Parameter, parameters_of
from jobs.comparison.runs import Direction, Run, number_of

METRIC: Final = "metrics."
"""Begins the key of a metric's axis; a parameter's key is its name, and none begins so."""
LOG_SPREAD: Final = 100.0
"""Positive numbers that spread wider than this are drawn logarithmically."""
CATEGORIES_MAX: Final = 30
"""Texts with more different values than these (names, addresses) tell runs apart but order nothing."""
AXES_SHOWN: Final = 12
_TICKS_MAX: Final = 6

Kind = Literal["linear", "log", "category"]
Value = float | str | None


@dataclass(frozen=True)
class Axis:
    """One axis. `values` has a number or a category for each run, None for a run without one.

    Args:
        low: The smallest number; for categories 0.
        high: The largest number; for categories the place of the last.
        shown: Whether it is drawn unless somebody chooses.
    """

    key: str
    kind: Kind
    low: float
    high: float
    categories: tuple[str, ...]
    values: tuple[Value, ...]
    direction: Direction | None = None
    shown: bool = True

    @property
    def name(self) -> str:
        return self.key.removeprefix(METRIC)

    @property
    def is_metric(self) -> bool:
        return self.key.startswith(METRIC)

    @property
    def numbers(self) -> list[float]:
        return [value for value in self.values if isinstance(value, int | float)]

    @property
    def constant(self) -> bool:
        return self.low == self.high


def axes_of(runs: Sequence[Run]) -> list[Axis]:
    """An axis for every parameter that differs and every metric; the first `AXES_SHOWN` that say something are shown.

    Parameters stand at the left and metrics at the right, as causes and effects. Metrics have the first claim to be
    shown: at most half of what is shown, or more where there are few parameters.
    """
    parameters = [axis for found in parameters_of(runs) if (axis := _parameter_axis(found))]
    metrics = [
        axis
        for found in metrics_of(runs)
        if (axis := _number_axis(METRIC + found.name, found.values, found.direction))
    ]
    telling = [axis for axis in metrics if not axis.constant]
    n_metrics = min(len(telling), max(AXES_SHOWN // 2, AXES_SHOWN - len(parameters)))
    shown = {axis.key for axis in parameters[: AXES_SHOWN - n_metrics]}
    shown |= {axis.key for axis in telling[:n_metrics]}
    return [replace(axis, shown=axis.key in shown) for axis in (*parameters, *metrics)]


def ticks_of(axis: Axis) -> list[float]:
    """Where a number axis is labelled: at its own values where they are few, else at round ones."""
    values = sorted(set(axis.numbers))
    if len(values) <= _TICKS_MAX:
        return values
    return _log_ticks(axis.low, axis.high) if axis.kind == "log" else _round_ticks(axis.low, axis.high)


def _parameter_axis(parameter: Parameter) -> Axis | None:
    if not parameter.differs:
        return None
    numbers = [None if value is None else number_of(value) for value in parameter.values]
    if all(
        (number is None) == (value is None) for number, value in zip(numbers, parameter.values, strict=True)
    ):
        return _number_axis(parameter.name, tuple(numbers), None)
    categories = tuple(
        sorted({value for value in parameter.values if value is not None}, key=_category_order)
    )
    if len(categories) > CATEGORIES_MAX:
        return None
    return Axis(parameter.name, "category", 0.0, float(len(categories) - 1), categories, parameter.values)


def _number_axis(key: str, values: tuple[float | None, ...], direction: Direction | None) -> Axis | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    low, high = min(known), max(known)
    kind: Kind = "log" if low > 0 and high / low > LOG_SPREAD else "linear"
    return Axis(key, kind, low, high, (), values, direction)


def _category_order(text: str) -> tuple[bool, float, str]:
    """Numbers by size before texts by letters."""
    number = number_of(text)
    return number is None, number or 0.0, text


def _round_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten, at most six of them."""
    rough = high / (_TICKS_MAX - 1) - low / (_TICKS_MAX - 1)
    power = math.floor(math.log10(rough))
    if not -300 < power < 300:  # where the arithmetic of floats ends
        return [low, high]
    step = next(factor * 10.0**power for factor in (1, 2, 5, 10) if factor * 10.0**power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [place * step if power >= 0 else round(place * step, -power) for place in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, every so many that at most six remain."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    step = max(1, math.ceil((last - first + 1) / _TICKS_MAX))
    return [10.0**power for power in range(first, last + 1, step)]
