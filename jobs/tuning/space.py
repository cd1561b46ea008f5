"""Ranges as Optuna's distributions and grids. Imported in the process `python -m jobs.tuning` only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from jobs.tuning.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range


def distributions_of(ranges: Sequence[Range]) -> dict[str, BaseDistribution]:
    """By hyperparameter, in the order of the ranges."""
    return {found.name: _distribution(found) for found in ranges}


def grid_of(ranges: Sequence[Range]) -> dict[str, list[Any]]:
    """Every value of every hyperparameter. Ranges without steps have none to list."""
    return {found.name: list(found.values()) for found in ranges}


def internal_of(ranges: Sequence[Range], parameters: dict[str, str]) -> dict[str, Any] | None:
    """What Optuna would have chosen where a job got `parameters`; None where one is missing or outside its range."""
    internal = {found.name: found.internal(parameters.get(found.name, "")) for found in ranges}
    return None if None in internal.values() else internal


def _distribution(found: Range) -> BaseDistribution:
    match found:
        case IntegerRange(_name, low, high, scaling, step):
            log = scaling == "Logarithmic"
            return IntDistribution(low, low + (high - low) // step * step, log=log, step=step)
        case ContinuousRange(_name, low, high, "ReverseLogarithmic"):
            return FloatDistribution(1.0 - high, 1.0 - low, log=True)
        case ContinuousRange(_name, low, high, scaling, None):
            return FloatDistribution(low, high, log=scaling == "Logarithmic")
        case ContinuousRange(_name, low):
            *_between, last = found.values()
            return FloatDistribution(low, last, step=found.step)
        case CategoricalRange(_name, choices):
            return CategoricalDistribution(choices)
    raise AssertionError(found)
