"""What the form of a new tuning job begins with and offers: rows, metrics, choices. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.hyperparameters import Hyperparameter
from jobs.comparison.metrics import direction_guess
from mlplatform.web.forms.tuning_jobs import TuningJobForm
from mlplatform.web.forms.tuning_rows import FIXED, ParameterRow

NAME_MAX: Final = 32
RANGES_FIRST: Final = 2
"""So many ranges a new form begins with: enough to see what they are."""
_KINDS: Final = {"integer": "Integer", "continuous": "Continuous", "categorical": "Categorical"}
_SCALINGS: Final = {"logarithmic": "Logarithmic", "reverse_logarithmic": "ReverseLogarithmic"}


@dataclass(frozen=True)
class MetricChoice:
    """A metric that can be the objective. `direction` of one that no algorithm declares is guessed from its name, and
    empty where that says nothing.
    """

    name: str
    direction: str
    help: str = ""


@dataclass(frozen=True)
class Sample:
    """What somebody without data of their own begins with: a sample dataset, split in two, and what is tuned on it."""

    dataset: str
    metric: str
    fixed: Mapping[str, str]

    @property
    def halves(self) -> tuple[str, str]:
        return f"{self.dataset}-train", f"{self.dataset}-test"

    @property
    def rows(self) -> list[ParameterRow]:
        return [
            ParameterRow(name="eta", kind="Continuous", min="0.2", max="0.3"),
            ParameterRow(name="max_depth", kind="Integer", min="3", max="4"),
            *(ParameterRow(name=name, value=value) for name, value in self.fixed.items()),
        ]


SAMPLES: Final = (
    Sample("diabetes", "validation:rmse", {"num_round": "40", "objective": "reg:squarederror"}),
    Sample(
        "iris", "validation:mlogloss", {"num_round": "40", "objective": "multi:softprob", "num_class": "3"}
    ),
)


def default_name(stem: str, at: datetime) -> str:
    """`stem` with a time, at most 32 characters, as the service's own tools name tuning jobs."""
    tail = f"{at:%y%m%d-%H%M}-{secrets.token_hex(2)}"
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in stem).strip("-")
    return f"{kept[: NAME_MAX - len(tail) - 1].strip('-') or 'tuning'}-{tail}"[:NAME_MAX]


def metric_choices(spec: AlgorithmSpec, definitions: Sequence[Mapping[str, str]]) -> list[MetricChoice]:
    """Those that the algorithm declares, then the person's own."""
    declared = [MetricChoice(one.name, one.direction, one.help) for one in spec.metrics]
    taken = {one.name for one in declared}
    own = [
        MetricChoice(one["name"], direction_guess(one["name"]) or "")
        for one in definitions
        if one.get("name") and one["name"] not in taken
    ]
    return [*declared, *own]


def direction_of(spec: AlgorithmSpec, metric: str) -> str:
    """As the algorithm declares it; empty for a metric of the person's own."""
    return next((one.direction for one in spec.metrics if one.name == metric), "")


def first_rows(spec: AlgorithmSpec, suggested: Mapping[str, str]) -> list[ParameterRow]:
    """Ranges of what is most often tuned, and the values that fit the data."""
    ranges = [
        row
        for declared in sorted(_visible(spec), key=lambda one: one.required)
        if (row := range_row(declared)) and declared.relevant(_values(spec, suggested))
    ][:RANGES_FIRST]
    tuned = {row.name for row in ranges}
    fixed = [ParameterRow(name=name, value=value) for name, value in suggested.items() if name not in tuned]
    return [*ranges, *fixed]


def with_ranges(spec: AlgorithmSpec, rows: Sequence[ParameterRow]) -> list[ParameterRow]:
    """The rows of a job that was not tuned, some of its fixed values made ranges."""
    if any(row.is_range for row in rows):
        return list(rows)
    given = {row.name: row.value for row in rows}
    ranges = [row for row in first_rows(spec, given) if row.is_range]
    tuned = {row.name for row in ranges}
    return [*ranges, *(row for row in rows if row.name not in tuned)]


def with_fixed(rows: Sequence[ParameterRow], suggested: Mapping[str, str]) -> list[ParameterRow]:
    """The rows, and those of suggested values that no row has yet."""
    taken = {row.name for row in rows}
    return [
        *rows,
        *(ParameterRow(name=name, value=value) for name, value in suggested.items() if name not in taken),
    ]


def range_row(declared: Hyperparameter) -> ParameterRow | None:
    """The range in which a declared hyperparameter is usually tuned; None where it has none."""
    about = declared.describe()
    kind = _KINDS.get(about["type"])
    if not declared.tunable or kind is None:
        return None
    if kind == "Categorical":
        return ParameterRow(name=declared.name, kind=kind, values=", ".join(about["values"] or ()))
    low, high = about.get("tune_min"), about.get("tune_max")
    if low is None or high is None or low >= high:
        return None
    scaling = _SCALINGS.get(about.get("scale") or "", "Auto")
    return ParameterRow(name=declared.name, kind=kind, min=f"{low:g}", max=f"{high:g}", scaling=scaling)


def declared_options(spec: AlgorithmSpec) -> list[dict[str, Any]]:
    """The hyperparameters of the algorithm for the list that names are chosen from, each with the row it begins as."""
    return [
        {
            "name": declared.name,
            "help": declared.help,
            "row": range_row(declared) or ParameterRow(name=declared.name, kind=FIXED),
            "default": "" if declared.default is None else str(declared.default),
        }
        for declared in _visible(spec)
    ]


def hints_of(spec: AlgorithmSpec, rows: Iterable[ParameterRow]) -> dict[str, str]:
    """What each named hyperparameter does, where it is declared."""
    known = {declared.name: declared.help for declared in spec.hyperparameters}
    return {row.name: known[row.name] for row in rows if row.name in known}


def resource_choices(spec: AlgorithmSpec, form: TuningJobForm) -> list[str]:
    """The hyperparameters of which one may be what Hyperband gives a job more or less of: whole numbers, not tuned."""
    ranges = {row.name for row in form.rows if row.is_range}
    declared = [one.name for one in _visible(spec) if one.type == "integer"]
    fixed = [row.name for row in form.rows if row.name and row.value.isdecimal()]
    return [name for name in dict.fromkeys([*fixed, *declared]) if name not in ranges]


def _visible(spec: AlgorithmSpec) -> list[Hyperparameter]:
    return [declared for declared in spec.hyperparameters if not declared.hidden]


def _values(spec: AlgorithmSpec, given: Mapping[str, str]) -> dict[str, Any]:
    return {declared.name: given.get(declared.name, declared.default) for declared in spec.hyperparameters}
