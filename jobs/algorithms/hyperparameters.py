"""Declarations of hyperparameters: one declaration validates, draws the form, spans tuning ranges and writes
the docs.

Not the values of one job (those are a plain dict, see `AlgorithmSpec.validate`) and not the rules between
several hyperparameters (those are the algorithm's own). Imports nothing heavy: web, workers and job processes
all read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from mlplatform.core.text import text as _

Scale = Literal["linear", "logarithmic", "reverse_logarithmic"]
Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """What every declaration has.

    Args:
        name: As in a request.
        help: One or two English sentences, marked with `_`.
        required: A request must give it.
        default: Its value when a request does not; None = absent.
        example: What a form may offer where there is no default.
        tunable: A tuning job may vary it.
        relevant_if: It matters only while each of these hyperparameters has one of the values named. The value of one
            may be a list: items separated by commas, with or without a name (`a, name=b`).
        hidden: Accepted and documented, but not drawn in forms.
    """

    type: ClassVar[str]
    name: str
    help: str
    required: bool = False
    default: Value | None = None
    example: Value | None = None
    tunable: bool = False
    relevant_if: Mapping[str, tuple[str, ...]] | None = None
    hidden: bool = False

    def parse(self, text: str) -> Value:
        """The value that `text` stands for, as sent in a request. Raises ValueError saying what would be
        accepted.
        """
        raise NotImplementedError

    def accepts(self) -> str:
        """What is accepted, in words, to end an error message with."""
        raise NotImplementedError

    def relevant(self, values: Mapping[str, Any]) -> bool:
        """Whether it matters, given the values of the others."""
        return all(
            not set(wanted).isdisjoint(_items(str(values.get(name))))
            for name, wanted in (self.relevant_if or {}).items()
        )

    def describe(self) -> dict[str, Any]:
        """The declaration as JSON-ready data."""
        return {
            "name": self.name,
            "type": self.type,
            "help": self.help,
            "required": self.required,
            "default": self.default,
            "example": self.example,
            "tunable": self.tunable,
            "hidden": self.hidden,
            "relevant_if": {name: list(wanted) for name, wanted in (self.relevant_if or {}).items()},
            "min": None,
            "max": None,
            "values": None,
            "scale": None,
        }


@dataclass(frozen=True, kw_only=True)
class Integer(Hyperparameter):
    """A whole number between `min` and `max`, or one of `words` (such as `auto`).

    With `values` only those numbers are accepted. `tune_min` and `tune_max` bound a tuning range.
    """

    type: ClassVar[str] = "integer"
    min: int | None = None
    max: int | None = None
    values: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    scale: Scale = "linear"
    tune_min: int | None = None
    tune_max: int | None = None

    def parse(self, text: str) -> Value:
        stripped = text.strip()
        if stripped in self.words:
            return stripped
        value = _whole_number(stripped)
        if value is None or not self._within(value):
            raise _refused(text, self.accepts())
        return value

    def accepts(self) -> str:
        if self.values:
            numbers: str = _("one of {values}", values=", ".join(map(str, self.values)))
        else:
            numbers = _whole_between(self.min, self.max)
        return _or(numbers, self.words)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "min": self.min,
            "max": self.max,
            "values": list(self.values) or None,
            "words": list(self.words),
            "scale": self.scale,
            "tune_min": self.min if self.tune_min is None else self.tune_min,
            "tune_max": self.max if self.tune_max is None else self.tune_max,
        }

    def _within(self, value: int) -> bool:
        if self.values:
            return value in self.values
        return (self.min is None or value >= self.min) and (self.max is None or value <= self.max)


@dataclass(frozen=True, kw_only=True)
class Continuous(Hyperparameter):
    """A finite number between `min` and `max`, both included unless `exclusive_min`, or one of `words`."""

    type: ClassVar[str] = "continuous"
    min: float | None = None
    max: float | None = None
    exclusive_min: bool = False
    words: tuple[str, ...] = ()
    scale: Scale = "linear"
    tune_min: float | None = None
    tune_max: float | None = None

    def parse(self, text: str) -> Value:
        stripped = text.strip()
        if stripped in self.words:
            return stripped
        try:
            value = float(stripped)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or not self._within(value):
            raise _refused(text, self.accepts())
        return value

    def accepts(self) -> str:
        numbers = _number_between(self.min, self.max)
        if self.exclusive_min:
            numbers = _("{numbers} (not {min} itself)", numbers=numbers, min=self.min)
        return _or(numbers, self.words)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {
            "min": self.min,
            "max": self.max,
            "exclusive_min": self.exclusive_min,
            "words": list(self.words),
            "scale": self.scale,
            "tune_min": self.min if self.tune_min is None else self.tune_min,
            "tune_max": self.max if self.tune_max is None else self.tune_max,
        }

    def _within(self, value: float) -> bool:
        if self.min is not None and (value < self.min or (self.exclusive_min and value == self.min)):
            return False
        return self.max is None or value <= self.max


@dataclass(frozen=True, kw_only=True)
class Categorical(Hyperparameter):
    """One of a list of texts."""

    type: ClassVar[str] = "categorical"
    values: tuple[str, ...]

    def parse(self, text: str) -> Value:
        stripped = text.strip()
        if stripped not in self.values:
            raise _refused(text, self.accepts())
        return stripped

    def accepts(self) -> str:
        return _("one of {values}", values=", ".join(self.values))

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"values": list(self.values)}


@dataclass(frozen=True, kw_only=True)
class Text(Hyperparameter):
    """Free text of at most `max_length` characters."""

    type: ClassVar[str] = "text"
    max_length: int = 1024

    def parse(self, text: str) -> Value:
        if len(text) > self.max_length:
            raise ValueError(
                _(
                    "{value} has {n} characters; use {accepted}",
                    value=_shown(text),
                    n=len(text),
                    accepted=self.accepts(),
                )
            )
        return text

    def accepts(self) -> str:
        return _("text of at most {n} characters", n=self.max_length)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"max_length": self.max_length}


def _items(text: str) -> list[str]:
    """Those of a list, or the one value."""
    return [item.rpartition("=")[2].strip() for item in text.split(",")]


def _whole_number(text: str) -> int | None:
    """`text` as a whole number; also `10.0` and `1e5`, which clients send. None where it is none."""
    if len(text) > 40:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if math.isfinite(value) and value.is_integer() else None


def _whole_between(low: int | None, high: int | None) -> str:
    if low is not None and high is not None:
        return _("a whole number from {low} to {high}", low=f"{low:,}", high=f"{high:,}")
    if low is not None:
        return _("a whole number of at least {low}", low=f"{low:,}")
    return (
        _("a whole number of at most {high}", high=f"{high:,}") if high is not None else _("a whole number")
    )


def _number_between(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return _("a number from {low} to {high}", low=f"{low:,}", high=f"{high:,}")
    if low is not None:
        return _("a number of at least {low}", low=f"{low:,}")
    return _("a number of at most {high}", high=f"{high:,}") if high is not None else _("a number")


def _or(numbers: str, words: tuple[str, ...]) -> str:
    for word in words:
        numbers = _("{numbers} or {word}", numbers=numbers, word=f"'{word}'")
    return numbers


def _refused(text: str, accepted: str) -> ValueError:
    return ValueError(_("{value} is not accepted; use {accepted}", value=_shown(text), accepted=accepted))


def _shown(text: str) -> str:
    return json.dumps(text if len(text) <= 80 else text[:77] + "...", ensure_ascii=False)
