"""Where on the form of a tuning job stands what its service has refused. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from django.utils.translation import gettext as _

from mlplatform.core.errors import FieldError
from mlplatform.web.forms.tuning_rows import ParameterRow

_FIXED = ("static_hyperparameters.", "hyperparameters.")
_IN_ROWS = ("ranges", "static_hyperparameters", "hyperparameters")
_NAMES = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
_COLUMN_OF = {"type": "kind"}
_NUMBERS = frozenset({"name", "kind", "min", "max", "step", "scaling"})
_SHOWN = {
    "Fixed": frozenset({"name", "kind", "value"}),
    "Integer": _NUMBERS,
    "Continuous": _NUMBERS,
    "Categorical": frozenset({"name", "kind", "values"}),
}
"""The columns that a row of each kind shows."""


def rows_with_errors(
    rows: Sequence[ParameterRow], errors: Mapping[str, str]
) -> tuple[list[tuple[ParameterRow, dict[str, str]]], list[str]]:
    """Each row with what is wrong with it by column, and what is wrong with no row: a hyperparameter that is missing.

    Errors come as `ranges.<place among the ranges>.<part>`, `static_hyperparameters.<name>` or
    `hyperparameters.<name>`; what belongs to no column of a row stands below `name`.
    """
    left = {name: message for name, message in errors.items() if name.split(".")[0] in _IN_ROWS}
    placed = []
    place = 0
    for row in rows:
        found: dict[str, str] = {}
        if row.is_range:
            _take(left, found, f"ranges.{place}", "", _SHOWN[row.kind])
            place += 1
        for prefix in _FIXED:
            if row.name:
                _take(left, found, f"{prefix}{row.name}", "" if row.is_range else "value", _SHOWN[row.kind])
        placed.append((row, found))
    return placed, [_named(name, message) for name, message in left.items()]


def _take(
    left: dict[str, str], found: dict[str, str], prefix: str, column: str, shown: frozenset[str]
) -> None:
    """Moves the errors of `prefix` and its parts from what is left to what was found for a row, of whose columns only
    some are shown.
    """
    for name in [name for name in left if name == prefix or name.startswith(f"{prefix}.")]:
        part = name.removeprefix(prefix).removeprefix(".").partition(".")[0]
        place = _COLUMN_OF.get(part, part) or column or "name"
        place = place if place in shown else "name"
        message = left.pop(name)
        found[place] = " ".join(filter(None, (found.get(place), message)))


def _named(name: str, message: str) -> str:
    for prefix in _FIXED:
        if name.startswith(prefix):
            return f"{name.removeprefix(prefix)}: {message}"
    return message


def with_labels(message: str) -> str:
    """What was refused with the labels of the form in place of the names that the fields have in a request."""
    labels = {
        "max_jobs": _("Trials at most"),
        "max_parallel_jobs": _("Trials at a time"),
        "max_runtime_s": _("Maximum run time in all (seconds)"),
        "job_max_runtime_s": _("Maximum run time of a job (seconds)"),
        "early_stopping": _("Early stopping"),
        "random_seed": _("Random seed"),
        "objective_metric": _("Objective metric"),
        "objective_type": _("Direction"),
        "max_jobs_not_improving": _("Trials without an improvement"),
        "min_resource": _("Least resource"),
        "max_resource": _("Most resource"),
        "reduction_factor": _("Reduction factor"),
    }
    return _NAMES.sub(lambda found: f"“{labels[found[0]]}”" if found[0] in labels else found[0], message)


def errors_below(errors: Mapping[str, str], *names: str) -> str:
    """What is wrong with fields and their parts, each once."""
    found = [
        message
        for key, message in errors.items()
        if any(key == name or key.startswith(f"{name}.") for name in names)
    ]
    return " ".join(dict.fromkeys(found))


def unplaced(errors: Iterable[FieldError], placed: Iterable[str]) -> list[FieldError]:
    """The errors of no field of the form."""
    whole = (*placed, *_IN_ROWS)
    below = tuple(f"{name}." for name in whole)
    return [one for one in errors if one.field not in whole and not one.field.startswith(below)]
