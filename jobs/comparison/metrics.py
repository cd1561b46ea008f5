"""Metrics of runs side by side: which values are better, which are the best, how far each is from a baseline.

Django-free, pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from jobs.comparison.runs import Direction, Run

_ERRORS: Final = frozenset(
    ["loss", "logloss", "perplexity", "error", "errors", "err", "rmse", "mae", "mse", "mape"]
)
_SCORES: Final = frozenset(["accuracy", "acc", "f1", "auc", "precision", "recall", "r2", "ndcg"])
_LOWER: Final = _ERRORS | frozenset(["latency", "ms", "duration", "runtime", "seconds", "price", "cost"])
_HIGHER: Final = _SCORES | frozenset(["throughput", "rps"])
_PER_SECOND: Final = ("_per_s", "_per_second")
_WORD: Final = re.compile(r"[a-z0-9]+")


@dataclass(frozen=True)
class Metric:
    """One metric of all runs. `values` has a number for each run, None for a run without it."""

    name: str
    direction: Direction | None
    values: tuple[float | None, ...]

    @property
    def best(self) -> frozenset[int]:
        return best_places(self.values, self.direction)


@dataclass(frozen=True)
class Delta:
    """How far a value is from the baseline's. `relative` is None where the baseline is zero.

    `better` is None where neither is better: equal values, or a metric of no known direction.
    """

    absolute: float
    relative: float | None
    better: bool | None


def metrics_of(runs: Sequence[Run]) -> list[Metric]:
    """Every metric that any run has, in the order in which the runs name them."""
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return [
        Metric(name, _direction(name, runs), tuple(run.metrics.get(name) for run in runs)) for name in names
    ]


def best_places(values: Sequence[float | None], direction: Direction | None) -> frozenset[int]:
    """Where the best values are: all that tie. Nothing is best without a direction, or where all that are known tie."""
    known = [value for value in values if value is not None]
    if direction is None or len(set(known)) < 2:
        return frozenset()
    best = max(known) if direction == "Maximize" else min(known)
    return frozenset(place for place, value in enumerate(values) if value == best)


def key_metric(metrics: Sequence[Metric]) -> Metric | None:
    """The metric that most likely says how good a run is: the first score or error, else the first with a direction."""
    directed = [metric for metric in metrics if metric.direction]
    good = (metric for metric in directed if _words(metric.name) & (_SCORES | _ERRORS))
    return next(good, next(iter(directed or metrics), None))


def delta_of(value: float | None, base: float | None, direction: Direction | None) -> Delta | None:
    """None where either is missing."""
    if value is None or base is None:
        return None
    absolute = value - base
    better = None if direction is None or absolute == 0 else (absolute > 0) == (direction == "Maximize")
    return Delta(absolute, absolute / abs(base) if base else None, better)


def direction_guess(name: str) -> Direction | None:
    """Which values of a metric are better, by the words of its name; None where they say nothing, or both."""
    words = _words(name)
    higher = bool(words & _HIGHER) or name.lower().endswith(_PER_SECOND)
    lower = bool(words & _LOWER)
    if higher == lower:
        return None
    return "Maximize" if higher else "Minimize"


def _words(name: str) -> set[str]:
    return set(_WORD.findall(name.lower()))


def _direction(name: str, runs: Sequence[Run]) -> Direction | None:
    """As the runs' algorithms declare it, None where they disagree; guessed from the name where none declares it."""
    declared = {run.directions[name] for run in runs if name in run.directions and name in run.metrics}
    if len(declared) > 1:
        return None
    return declared.pop() if declared else direction_guess(name)
