"""Which parameters of runs differ, and which are the same in all of them. Django-free, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.comparison.runs import Run, number_of


@dataclass(frozen=True)
class Parameter:
    """One parameter of all runs. `values` has a text for each run, None for a run without it."""

    name: str
    values: tuple[str | None, ...]

    @property
    def differs(self) -> bool:
        """Whether two runs have another value. The same number written in two ways is one value; none is another."""
        return len({_same(value) for value in self.values}) > 1


def parameters_of(runs: Sequence[Run]) -> list[Parameter]:
    """Every parameter that any run has, in the order in which the runs name them."""
    names = dict.fromkeys(name for run in runs for name in run.parameters)
    return [Parameter(name, tuple(run.parameters.get(name) for run in runs)) for name in names]


def _same(value: str | None) -> str | float | None:
    if value is None:
        return None
    number = number_of(value)
    return value if number is None else number
