"""The table of a comparison as its page shows it: runs beside one another, marks on cells. Pure: runs in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext as _

from endpoints.selectors.evaluation_tables import ERRORS
from endpoints.selectors.evaluation_tables import METRICS as SCORES
from jobs.comparison.axes import METRIC
from jobs.comparison.metrics import Delta, Metric, delta_of, metrics_of
from jobs.comparison.parameters import Parameter, parameters_of
from jobs.comparison.runs import Interval, Run, number_of
from mlplatform.web.comparison_words import metric_title, parameter_title
from mlplatform.web.templatetags.figures import MISSING, fixed, score, significant

FEW: Final = 6
"""So many runs stand in columns, which is easier to compare; more of them stand in rows."""
_MINUS: Final = "−"


@dataclass(frozen=True)
class Cell:
    """What one run has of one parameter or metric.

    Args:
        full: All digits, where `text` has fewer.
        note: A metric's interval, or how far it is from the reference run's; of a parameter that it is the default.
        better: Than the reference run's value; None where that is not said.
        changed: A parameter that is another than the reference run's.
    """

    text: str
    full: str = ""
    numeric: bool = False
    best: bool = False
    note: str = ""
    better: bool | None = None
    changed: bool = False


@dataclass(frozen=True)
class Line:
    """One parameter or metric of all runs. `numeric` where all of it are numbers, which stand at the right."""

    key: str
    title: str
    hint: str
    numeric: bool
    cells: list[Cell]


@dataclass(frozen=True)
class Head:
    """One run. `mark` is its colour, dash and marker as `charts.run_colours` gives it."""

    run: Run
    mark: int
    is_base: bool


@dataclass(frozen=True)
class ComparedTable:
    """`n_equal` parameters are the same in all runs; they are among `parameters` only where they were asked for."""

    heads: list[Head]
    metrics: list[Line]
    parameters: list[Line]
    n_differing: int
    n_equal: int

    @property
    def few(self) -> bool:
        return len(self.heads) <= FEW

    @property
    def lines(self) -> list[Line]:
        return [*self.metrics, *self.parameters]

    @property
    def rows(self) -> Iterator[tuple[Head, list[Cell]]]:
        """A row per run, with a cell for each of `lines`."""
        for place, head in enumerate(self.heads):
            yield head, [line.cells[place] for line in self.lines]


def compared_table(
    runs: Sequence[Run], marks: Mapping[str, int], *, base: str = "", every_parameter: bool = False
) -> ComparedTable:
    """The table of `runs`, the reference run `base` first where there is one."""
    ordered = sorted(runs, key=lambda run: run.name != base)
    base_place = 0 if ordered and ordered[0].name == base else None
    parameters = parameters_of(ordered)
    differing = [parameter for parameter in parameters if parameter.differs]
    return ComparedTable(
        heads=[Head(run, marks[run.name], run.name == base) for run in ordered],
        metrics=[_metric_line(metric, ordered, base_place) for metric in metrics_of(ordered)],
        parameters=[
            _parameter_line(parameter, ordered, base_place)
            for parameter in (parameters if every_parameter else differing)
        ],
        n_differing=len(differing),
        n_equal=len(parameters) - len(differing),
    )


def _metric_line(metric: Metric, runs: Sequence[Run], base_place: int | None) -> Line:
    best = metric.best
    base = None if base_place is None else metric.values[base_place]
    cells = []
    for place, (value, run) in enumerate(zip(metric.values, runs, strict=True)):
        if value is None:
            cells.append(Cell(MISSING, numeric=True))
            continue
        delta = delta_of(value, base, metric.direction) if place != base_place else None
        cells.append(
            Cell(
                metric_text(metric.name, value),
                full=_full(value),
                numeric=True,
                best=place in best,
                note=_delta_text(delta)
                if delta
                else _interval_text(metric.name, run.intervals.get(metric.name)),
                better=delta.better if delta else None,
            )
        )
    words = {"Maximize": _("higher is better"), "Minimize": _("lower is better")}
    hint = words[metric.direction] if metric.direction else ""
    return Line(METRIC + metric.name, metric_title(metric.name), hint, True, cells)


def _parameter_line(parameter: Parameter, runs: Sequence[Run], base_place: int | None) -> Line:
    base = parameter.values[base_place] if base_place is not None else None
    numeric = all(value is None or number_of(value) is not None for value in parameter.values)
    cells = [
        Cell(
            MISSING if value is None else _parameter_text(value),
            numeric=numeric,
            note=_("default") if parameter.name in run.defaults else "",
            changed=base_place is not None and value != base,
        )
        for value, run in zip(parameter.values, runs, strict=True)
    ]
    return Line(parameter.name, parameter_title(parameter.name), "", numeric, cells)


def _parameter_text(value: str) -> str:
    """A whole number with separators; anything else as it was given."""
    return f"{int(value):,}" if value.isascii() and value.isdecimal() and len(value) <= 15 else value


def _delta_text(delta: Delta) -> str:
    if delta.absolute == 0:
        return "±0"
    sign = "+" if delta.absolute > 0 else _MINUS
    text = sign + _short(abs(delta.absolute))
    return text if delta.relative is None else f"{text} ({sign}{abs(delta.relative) * 100:.3g} %)"


def _interval_text(name: str, interval: Interval | None) -> str:
    return f"{metric_text(name, interval[0])} – {metric_text(name, interval[1])}" if interval else ""


def metric_text(name: str, value: float) -> str:
    """As the page of an evaluation has it: a score to four places, an error to four digits; else as any number."""
    metric = name.removeprefix("best_")
    if metric not in SCORES:
        return _short(value)
    return fixed(value) if metric in ERRORS else score(value)


def _short(value: float) -> str:
    return significant(value).replace("-", _MINUS) if value < 0 else significant(value)


def _full(value: float) -> str:
    return "" if _short(value).replace(",", "") == repr(value).removesuffix(".0") else repr(value)
