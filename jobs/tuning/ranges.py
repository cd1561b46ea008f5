"""What a hyperparameter may be in a tuning job: its range, on which scale it is searched, and its values as text.

Django-free and without Optuna, so that requests are checked and pages drawn by it too; what Optuna gets of a range is
`jobs.tuning.space`. A range is stored as `to_json` has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any, Final, Literal, TypeAlias

Scaling = Literal["Linear", "Logarithmic", "ReverseLogarithmic"]
TYPES: Final = ("Integer", "Continuous", "Categorical")
SCALINGS: Final = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
_DIGITS: Final = 9
"""So many digits of a number matter: of where it is within a linear range, or of its distance to 0 or 1."""
_DECADES: Final = 2
"""A range of so many powers of ten is searched logarithmically where nobody says how."""


@dataclass(frozen=True)
class IntegerRange:
    """Whole numbers from `min` to `max`, both included, every `step`-th of them."""

    name: str
    min: int
    max: int
    scaling: Scaling = "Linear"
    step: int = 1
    asked: str = "Linear"

    @property
    def n_values(self) -> int:
        return (self.max - self.min) // self.step + 1

    def values(self) -> Iterator[int]:
        """All values, in their order."""
        return iter(range(self.min, self.max + 1, self.step))

    def text(self, internal: Any) -> str:
        """The hyperparameter as a job gets it, of what the sampler chose."""
        return str(min(self.max, max(self.min, int(internal))))

    def internal(self, text: str) -> int | None:
        """What the sampler would have chosen, or None for a text that is not in the range."""
        try:
            value = int(float(text)) if float(text).is_integer() else None
        except (ValueError, OverflowError):
            return None
        inside = value is not None and self.min <= value <= self.max
        return value if inside and (value - self.min) % self.step == 0 else None  # type: ignore[operator]

    def to_json(self) -> dict[str, Any]:
        step = {} if self.step == 1 else {"step": self.step}
        return _numeric("Integer", self) | step


@dataclass(frozen=True)
class ContinuousRange:
    """Numbers from `min` to `max`, both included; with a `step` only those that are whole steps from `min`.

    The sampler sees the distance to 1 where the scale is reverse-logarithmic, and the number itself otherwise.
    """

    name: str
    min: float
    max: float
    scaling: Scaling = "Linear"
    step: float | None = None
    asked: str = "Linear"

    @property
    def n_values(self) -> int | None:
        """How many there are; None where there is no step."""
        if self.step is None:
            return None
        return (
            int(
                ((_decimal(self.max) - _decimal(self.min)) / _decimal(self.step)).to_integral_value(
                    ROUND_FLOOR
                )
            )
            + 1
        )

    def values(self) -> Iterator[float]:
        """All values of a range with a step, in their order, each as near to the decimal number as can be."""
        assert self.step is not None
        for place in range(self.n_values or 0):
            yield float(_decimal(self.min) + place * _decimal(self.step))

    def text(self, internal: Any) -> str:
        """The hyperparameter as a job gets it: every digit that matters, and never outside the range."""
        value = float(internal)
        if self.step is not None:
            place = round((value - self.min) / self.step)
            value = float(_decimal(self.min) + place * _decimal(self.step))
        elif self.scaling == "ReverseLogarithmic":
            value = _rounded(1.0 - value, near=value)
        elif self.scaling == "Logarithmic":
            value = _rounded(value, near=value)
        else:
            value = _rounded(value, near=self.max - self.min)
        return repr(min(self.max, max(self.min, value)))

    def internal(self, text: str) -> float | None:
        """What the sampler would have chosen, or None for a text that is not in the range."""
        try:
            value = float(text)
        except ValueError:
            return None
        if not self.min <= value <= self.max:
            return None
        if self.step is not None:
            offset = (_decimal(value) - _decimal(self.min)) / _decimal(self.step)
            return value if offset == offset.to_integral_value() else None
        return 1.0 - value if self.scaling == "ReverseLogarithmic" else value

    def to_json(self) -> dict[str, Any]:
        step = {} if self.step is None else {"step": self.step}
        return _numeric("Continuous", self) | step


@dataclass(frozen=True)
class CategoricalRange:
    """One of `values`, texts as a job gets them."""

    name: str
    choices: tuple[str, ...]

    @property
    def n_values(self) -> int:
        return len(self.choices)

    def values(self) -> Iterator[str]:
        return iter(self.choices)

    def text(self, internal: Any) -> str:
        return str(internal)

    def internal(self, text: str) -> str | None:
        return text if text in self.choices else None

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "type": "Categorical", "values": list(self.choices)}


Range: TypeAlias = IntegerRange | ContinuousRange | CategoricalRange


def range_from_json(stored: Mapping[str, Any]) -> Range:
    """The inverse of `to_json`."""
    name = str(stored["name"])
    if stored["type"] == "Categorical":
        return CategoricalRange(name, tuple(stored["values"]))
    scaling: Scaling = stored.get("chosen", stored["scaling"])
    if stored["type"] == "Integer":
        return IntegerRange(
            name, stored["min"], stored["max"], scaling, stored.get("step", 1), stored["scaling"]
        )
    return ContinuousRange(name, stored["min"], stored["max"], scaling, stored.get("step"), stored["scaling"])


def ranges_from_json(stored: Sequence[Mapping[str, Any]]) -> tuple[Range, ...]:
    return tuple(map(range_from_json, stored))


def grid_size(ranges: Sequence[Range]) -> int | None:
    """How many points the grid of the ranges has; None where one has no steps."""
    counts = [found.n_values for found in ranges]
    return None if None in counts else math.prod(count for count in counts if count is not None)


def scaling_chosen(
    kind: str, low: float, high: float, *, declared: str = "", stepped: bool = False
) -> Scaling:
    """The scale of a range whose scaling is Auto: as its hyperparameter is declared where the range allows that, else
    logarithmic where its ends (or their distances to 1) are powers of ten apart, else linear.
    """
    if stepped:
        return "Linear"
    reversible = kind == "Continuous" and 0 <= low < high < 1
    if declared == "reverse_logarithmic" and reversible:
        return "ReverseLogarithmic"
    if declared == "logarithmic" and low > 0:
        return "Logarithmic"
    if low > 0 and high / low >= 10**_DECADES:
        return "Logarithmic"
    if reversible and (1 - low) / (1 - high) >= 10**_DECADES:
        return "ReverseLogarithmic"
    return "Linear"


def _numeric(kind: str, found: IntegerRange | ContinuousRange) -> dict[str, Any]:
    stored = {"name": found.name, "type": kind, "min": found.min, "max": found.max, "scaling": found.asked}
    return stored if found.asked == found.scaling else stored | {"chosen": found.scaling}


def _decimal(value: float) -> Decimal:
    """The shortest decimal number that is the float."""
    return Decimal(repr(value))


def _rounded(value: float, *, near: float) -> float:
    """`value` to so many decimals that `_DIGITS` digits of `near` are kept."""
    if near == 0 or not math.isfinite(near):
        return value
    decimals = _DIGITS - math.floor(math.log10(abs(near)))
    return round(value, decimals) if decimals < 300 else value
