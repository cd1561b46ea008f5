"""What is compared: a run, be it a training job or an evaluation, as flat names with texts and numbers. Django-free.

Made by `jobs.selectors.comparison` and `endpoints.selectors.comparison`; the rest of this package works on it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

Direction = Literal["Maximize", "Minimize"]
"""Which values of a metric are better, in the service's words."""
Interval = tuple[float, float]
N_MIN: Final = 2
N_MAX: Final = 500
_NUMBER: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True)
class Run:
    """One run.

    Args:
        about: What it is a run of, in a few words: an algorithm, an endpoint.
        parameters: What was given, by flat names (`algorithm`, `hyperparameters.k`, `channels.train`).
        metrics: What was measured; finite numbers only.
        intervals: Of metrics, where they are known.
        defaults: The names of parameters that were not given, so that their default holds.
        directions: Of metrics, as declared by the run's algorithm.
    """

    name: str
    status: str
    ended: bool
    created_at: datetime
    about: str
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    defaults: frozenset[str] = frozenset()
    directions: Mapping[str, Direction] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """One metric of one run: `points` are (x, value), a value that was not finite is None.

    `intervals` has [low, high] for each point where they are known.
    """

    run: str
    points: list[tuple[float, float | None]]
    intervals: list[list[float | None]] | None = None


def number_of(text: str) -> float | None:
    """The finite number that a parameter's text is in ASCII digits, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def finite_metrics(values: Mapping[str, object]) -> dict[str, float]:
    """Those of `values` that are finite numbers."""
    return {
        name: float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
