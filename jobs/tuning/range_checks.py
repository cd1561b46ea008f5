"""What ranges as asked for can be wrong about by themselves: their form, their ends, their scale. Django-free.

Whether the algorithm accepts what lies in them is `jobs.services.tuning_hyperparameters`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from jobs.algorithms.hyperparameters import Hyperparameter
from jobs.tuning.ranges import (
    SCALINGS,
    TYPES,
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    Range,
    Scaling,
    scaling_chosen,
)
from mlplatform.core.errors import FieldError
from mlplatform.core.text import text as _

RANGES_MAX: Final = 30
VALUES_MAX: Final = 30
VALUE_MAX: Final = 256
NAME_MAX: Final = 256
NUMBER_MAX: Final = 10**15
_FIELDS: Final = {
    "Integer": ("name", "type", "min", "max", "scaling", "step"),
    "Continuous": ("name", "type", "min", "max", "scaling", "step"),
    "Categorical": ("name", "type", "values"),
}


def ranges_check(
    given: Sequence[Mapping[str, Any]],
    *,
    grid: bool,
    declared: Mapping[str, Hyperparameter],
    errors: list[FieldError],
) -> list[Range]:
    """The ranges that can be used; what is wrong with the others is added to `errors`, under `ranges.<place>.<field>`.

    Args:
        grid: Whether every value is to be tried, for which a continuous range needs a step.
        declared: The algorithm's hyperparameters by name, of which Auto asks for the scale.
    """
    if not given:
        errors.append(FieldError("ranges", _("is empty; give the range of at least one hyperparameter")))
    if len(given) > RANGES_MAX:
        errors.append(
            FieldError("ranges", _("has {n} ranges; use at most {limit}", n=len(given), limit=RANGES_MAX))
        )
        return []
    checks = [_RangeCheck(place, found, grid, declared, errors) for place, found in enumerate(given)]
    ranges = [found for check in checks if (found := check.range()) is not None]
    _names_unique(given, errors)
    return ranges


def _names_unique(given: Sequence[Mapping[str, Any]], errors: list[FieldError]) -> None:
    seen: set[str] = set()
    for place, found in enumerate(given):
        name = str(found.get("name"))
        if name in seen:
            message = _("{name} has a range already; give each hyperparameter one", name=repr(name[:80]))
            errors.append(FieldError(f"ranges.{place}.name", message))
        seen.add(name)


class _RangeCheck:
    """One range as asked for."""

    def __init__(
        self,
        place: int,
        given: Mapping[str, Any],
        grid: bool,
        declared: Mapping[str, Hyperparameter],
        errors: list[FieldError],
    ) -> None:
        self._place = place
        self._given = given
        self._grid = grid
        self._declared = declared
        self._errors = errors
        self._n_before = len(errors)

    def range(self) -> Range | None:
        name, kind = self._given.get("name"), self._given.get("type")
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX or not name.isprintable():
            self._refuse("name", _("must be a text of 1 to {n} printable characters", n=NAME_MAX))
            return None
        if kind not in TYPES:
            self._refuse("type", _not_one_of(kind, TYPES))
            return None
        self._unknown(str(kind))
        found = self._categorical(name) if kind == "Categorical" else self._numeric(name, str(kind))
        return found if len(self._errors) == self._n_before else None

    def _unknown(self, kind: str) -> None:
        accepted = _FIELDS[kind]
        for field, value in self._given.items():
            if field not in accepted and value not in (None, "", []):
                message = _(
                    "is not a field of a range of type {type}; use {fields}",
                    type=kind,
                    fields=", ".join(accepted),
                )
                self._refuse(field, message)

    def _categorical(self, name: str) -> Range | None:
        values = self._given.get("values")
        if not isinstance(values, list | tuple) or not values:
            self._refuse("values", _("is empty; give the values to choose from"))
            return None
        if len(values) > VALUES_MAX:
            self._refuse("values", _("has {n} values; use at most {limit}", n=len(values), limit=VALUES_MAX))
            return None
        texts = [_as_text(value) for value in values]
        for text in texts:
            if text is None or not 0 < len(text) <= VALUE_MAX:
                self._refuse("values", _("has a value that is no text of 1 to {n} characters", n=VALUE_MAX))
                return None
        twice = sorted({str(text) for text in texts if texts.count(text) > 1})
        if twice:
            self._refuse("values", _("has {value} more than once", value=repr(twice[0][:80])))
            return None
        return CategoricalRange(name, tuple(str(text) for text in texts))

    def _numeric(self, name: str, kind: str) -> Range | None:
        low, high = self._number("min", kind), self._number("max", kind)
        if low is None or high is None:
            return None
        if low > high:
            self._refuse("min", _("{min} is above max, {max}", min=_shown(low), max=_shown(high)))
            return None
        if low == high:
            message = _(
                "min and max are both {value}, so that there is nothing to search; give it as a static "
                "hyperparameter",
                value=_shown(low),
            )
            self._refuse("max", message)
            return None
        step = self._step(kind, low, high)
        scaling = self._scaling(name, kind, low, high, stepped=step is not None)
        if scaling is None:
            return None
        asked = str(self._given.get("scaling") or "Auto")
        if kind == "Integer":
            return IntegerRange(name, int(low), int(high), scaling, int(step or 1), asked)
        if self._grid and step is None:
            message = _(
                "is required by the strategy Grid, which tries every value: give the distance between two of them"
            )
            self._refuse("step", message)
            return None
        return ContinuousRange(name, float(low), float(high), scaling, step, asked)

    def _number(self, field: str, kind: str) -> float | int | None:
        value = self._given.get(field)
        if value is None or value == "":
            self._refuse(field, _("is missing; give a number"))
            return None
        whole = kind == "Integer"
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            self._refuse(field, _("{value} is not a number", value=repr(str(value)[:40])))
            return None
        if abs(value) > NUMBER_MAX:
            message = _(
                "{value} is too large; use numbers up to {limit}",
                value=str(value)[:40],
                limit=f"{NUMBER_MAX:,}",
            )
            self._refuse(field, message)
            return None
        if whole and not float(value).is_integer():
            self._refuse(
                field, _("{value} is not a whole number; a range of type Integer has whole ends", value=value)
            )
            return None
        return int(value) if whole else float(value)

    def _step(self, kind: str, low: float, high: float) -> float | None:
        if self._given.get("step") in (None, ""):
            return None
        step = self._number("step", kind)
        if step is None:
            return None
        if not 0 < step <= high - low:
            message = _(
                "{value} is not accepted; use a step above 0 and at most {width}, the width of the range",
                value=_shown(step),
                width=_shown(high - low),
            )
            self._refuse("step", message)
            return None
        return None if kind == "Integer" and step == 1 else step

    def _scaling(self, name: str, kind: str, low: float, high: float, *, stepped: bool) -> Scaling | None:
        asked = self._given.get("scaling") or "Auto"
        if asked not in SCALINGS:
            self._refuse("scaling", _not_one_of(asked, SCALINGS))
            return None
        if asked == "Auto":
            declared = getattr(self._declared.get(name), "scale", "")
            return scaling_chosen(kind, low, high, declared=declared, stepped=stepped)
        reason = _scaling_refusal(str(asked), kind, low, high, stepped=stepped)
        if reason:
            self._refuse("scaling", reason)
            return None
        return cast(Scaling, asked)

    def _refuse(self, field: str, message: str) -> None:
        self._errors.append(FieldError(f"ranges.{self._place}.{field[:80]}", message))


def _scaling_refusal(asked: str, kind: str, low: float, high: float, *, stepped: bool) -> str:
    if asked != "Linear" and stepped:
        return _("{scaling} goes with no step; leave the step out, or use Linear", scaling=asked)
    if asked == "Logarithmic" and low <= 0:
        return _("Logarithmic needs a min above 0, and min is {min}; use Linear", min=_shown(low))
    if asked == "ReverseLogarithmic" and kind == "Integer":
        return _("ReverseLogarithmic is for ranges of type Continuous; use Linear or Logarithmic")
    if asked == "ReverseLogarithmic" and not 0 <= low < high < 1:
        return _(
            "ReverseLogarithmic needs 0 ≤ min and max < 1, and the range is {min} to {max}; use Linear",
            min=_shown(low),
            max=_shown(high),
        )
    return ""


def _not_one_of(value: Any, accepted: Sequence[str]) -> str:
    return _(
        "{value} is not accepted; use one of {accepted}",
        value=repr(str(value)[:40]),
        accepted=", ".join(accepted),
    )


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None


def _shown(value: float) -> str:
    return f"{value:.12g}"
