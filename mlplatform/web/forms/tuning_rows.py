"""Rows of a tuning job's form: a hyperparameter that has one value, or a range of them. Pure.

Texts until the service has checked them; only what is no number at all is refused here, at the place where it stands.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.http import QueryDict

from mlplatform.core.errors import FieldError
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

FIXED: Final = "Fixed"
KINDS: Final = (FIXED, "Integer", "Continuous", "Categorical")
SCALINGS: Final = ("Auto", "Linear", "Logarithmic", "ReverseLogarithmic")
ROWS_MAX: Final = 200
TEXT_MAX: Final = 4000
COLUMNS: Final = ("name", "kind", "value", "min", "max", "step", "scaling", "values")
_BETWEEN_VALUES: Final = re.compile(r"[,、;\n]+")
_BOUNDS: Final = ("min", "max", "step")


@dataclass
class ParameterRow:
    """One hyperparameter. `kind` is `Fixed` or the type of a range; the texts of other kinds are kept, not sent."""

    name: str = ""
    kind: str = FIXED
    value: str = ""
    min: str = ""
    max: str = ""
    step: str = ""
    scaling: str = "Auto"
    values: str = ""

    @classmethod
    def from_range(cls, given: Mapping[str, Any]) -> ParameterRow:
        return cls(
            name=str(given.get("name", "")),
            kind=str(given.get("type", "Continuous")),
            min=_text(given.get("min")),
            max=_text(given.get("max")),
            step=_text(given.get("step")),
            scaling=str(given.get("scaling") or "Auto"),
            values=", ".join(str(one) for one in given.get("values") or ()),
        )

    @property
    def is_range(self) -> bool:
        return self.kind != FIXED

    @property
    def is_empty(self) -> bool:
        return not any((self.name, self.value, self.min, self.max, self.step, self.values))

    @property
    def choices(self) -> list[str]:
        """The values of a category, each once."""
        return list(
            dict.fromkeys(part for one in _BETWEEN_VALUES.split(self.values) if (part := one.strip()))
        )

    @property
    def size(self) -> int | None:
        """How many values a grid would have of it; None where that cannot be said (yet)."""
        if self.kind == "Categorical":
            return len(self.choices) or None
        low, high, step = (_number(text) for text in (self.min, self.max, self.step))
        if low is None or high is None or high < low:
            return None
        if self.kind == "Integer":
            return int((high - low) // max(step or 1, 1)) + 1
        return math.floor((high - low) / step + 1e-9) + 1 if step and step > 0 else None

    def as_range(self, place: int, errors: list[FieldError]) -> dict[str, Any]:
        """The entry of a request's `ranges`. `place` is where it stands in them."""
        if self.kind == "Categorical":
            return {"name": self.name, "type": self.kind, "values": self.choices}
        found: dict[str, Any] = {"name": self.name, "type": self.kind, "scaling": self.scaling or "Auto"}
        for bound in _BOUNDS:
            text = getattr(self, bound)
            if text or bound != "step":
                found[bound] = _bound(
                    f"ranges.{place}.{bound}", text, whole=self.kind == "Integer", errors=errors
                )
        return found


def rows_posted(post: QueryDict) -> list[ParameterRow]:
    """The rows that have something in them."""
    columns = [post.getlist(f"param.{column}")[:ROWS_MAX] for column in COLUMNS]
    rows = [
        ParameterRow(**{column: folded(text[:TEXT_MAX]) for column, text in zip(COLUMNS, texts, strict=True)})
        for texts in zip(*columns, strict=False)
    ]
    for row in rows:
        row.kind = row.kind if row.kind in KINDS else FIXED
    return [row for row in rows if not row.is_empty]


def rows_of(fixed: Mapping[str, Any], ranges: Iterable[Mapping[str, Any]]) -> list[ParameterRow]:
    """Ranges first: they are what the form is about."""
    return [
        *(ParameterRow.from_range(one) for one in ranges),
        *(ParameterRow(name=name, value=str(value)) for name, value in fixed.items()),
    ]


def ranges_of(rows: Sequence[ParameterRow], errors: list[FieldError]) -> list[dict[str, Any]]:
    """The field `ranges` of the request."""
    return [row.as_range(place, errors) for place, row in enumerate(row for row in rows if row.is_range)]


def fixed_of(rows: Sequence[ParameterRow], errors: list[FieldError]) -> dict[str, str]:
    """The field `static_hyperparameters`; a mapping cannot have a name twice, so that is said here."""
    found: dict[str, str] = {}
    for row in rows:
        if row.is_range or not (row.name or row.value):
            continue
        if row.name in found:
            errors.append(
                FieldError(f"static_hyperparameters.{row.name}", _("is given twice; give every name once"))
            )
        if row.value:
            found[row.name] = row.value
    return found


def whole(field: str, text: str, errors: list[FieldError]) -> Any:
    """The whole number that a text is; the text itself, and an error, where it is none."""
    return _bound(field, text, whole=True, errors=errors)


def decimal(field: str, text: str, errors: list[FieldError]) -> Any:
    """The finite number that a text is; the text itself, and an error, where it is none."""
    return _bound(field, text, whole=False, errors=errors)


def _bound(field: str, text: str, *, whole: bool, errors: list[FieldError]) -> Any:
    number = _number(text)
    if number is not None and not whole:
        return number
    if number is not None and number == int(number) and abs(number) < 2**53:
        return int(number)
    message = (
        _("{value} is not a whole number", value=repr(text[:40]))
        if whole
        else _("{value} is not a number", value=repr(text[:40]))
    )
    errors.append(FieldError(field, message))
    return text


def _number(text: str) -> float | None:
    try:
        value = float(text) if len(text) <= 40 and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.15g}" if isinstance(value, float) else str(value)
