"""When a tuning job has found enough: its target is reached, nothing gets better, it has converged. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Any, Final

from mlplatform.core.text import text as _

CONVERGENCE_TRIALS: Final = 30
"""So many trials must have a value before convergence is looked for."""
CONVERGENCE_WINDOW: Final = 20
CONVERGENCE_SHARE: Final = 0.01
"""Converged: the last `CONVERGENCE_WINDOW` values made the best one better by less than this share of the distance
between the lower and the upper quartile of all values.
"""


@dataclass(frozen=True)
class Criteria:
    """None, or False, where a criterion was not asked for."""

    target_value: float | None = None
    max_jobs_not_improving: int | None = None
    on_convergence: bool = False

    @classmethod
    def from_json(cls, completion: Mapping[str, Any]) -> Criteria:
        return cls(
            completion.get("target_value"),
            completion.get("max_jobs_not_improving"),
            bool(completion.get("on_convergence")),
        )


NO_CRITERIA: Final = Criteria()


def criterion_met(criteria: Criteria, values: Sequence[tuple[int, float | None]], *, direction: str) -> str:
    """Which criterion ends the tuning job, in words; empty where none does.

    Args:
        values: Number and value of every trial that has ended, None for one without a value; by number.
        direction: `Minimize` or `Maximize`.
    """
    sign = 1.0 if direction == "Minimize" else -1.0
    costs = [(number, sign * value) for number, value in values if value is not None]
    if not costs:
        return ""
    best_number, best = min(costs, key=lambda found: (found[1], found[0]))
    if criteria.target_value is not None and best <= sign * criteria.target_value:
        return _(
            "trial {n} has reached the target of {target} with {value}",
            n=best_number,
            target=criteria.target_value,
            value=sign * best,
        )
    n_since = sum(number > best_number for number, _value in values)
    if criteria.max_jobs_not_improving is not None and n_since >= criteria.max_jobs_not_improving:
        return _("{n} trials in turn were no better than trial {best}", n=n_since, best=best_number)
    if criteria.on_convergence and _converged([cost for _number, cost in costs]):
        return _(
            "the tuning job has converged: the last {n} trials with a value made the best one hardly better",
            n=CONVERGENCE_WINDOW,
        )
    return ""


def _converged(costs: Sequence[float]) -> bool:
    if len(costs) < CONVERGENCE_TRIALS:
        return False
    before = min(costs[:-CONVERGENCE_WINDOW])
    lower, _middle, upper = quantiles(costs, n=4)
    return before - min(costs) <= CONVERGENCE_SHARE * (upper - lower)
