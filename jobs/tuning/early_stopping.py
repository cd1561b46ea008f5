"""The median rule: whether a running trial is so much worse than those before it that it is not worth its time. Pure.

The objective at the trial's newest step is held against the median of the running averages, up to the same step, of the
trials that have come as far. Source: Golovin et al., "Google Vizier" (KDD 2017), section 3.2.2; Amazon SageMaker stops
training jobs of a tuning job in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

TRIALS_NEEDED: Final = 4
"""So many trials must have come as far before any is judged."""
STEPS_NEEDED: Final = 4
"""So many steps must a trial have made before it is judged."""

Steps = Sequence[Sequence[float | None]]


def median_rule_stops(steps: Steps, others: Sequence[Steps], *, direction: str) -> bool:
    """Whether a trial with these [[step, value], …] is to be stopped.

    Args:
        steps: Of the running trial, in order; a value that is not finite is None.
        others: Those of the trials that have ended with a value.
        direction: `Minimize` or `Maximize`.
    """
    if len(steps) < STEPS_NEEDED:
        return False
    step, value = steps[-1]
    if step is None or value is None:
        return False
    averages = [
        average for average in (_running_average(other, step) for other in others) if average is not None
    ]
    if len(averages) < TRIALS_NEEDED:
        return False
    middle = median(averages)
    return value > middle if direction == "Minimize" else value < middle


def _running_average(steps: Steps, until: float) -> float | None:
    """The mean of the values up to a step; None for a trial that did not come as far."""
    if not steps or (steps[-1][0] or 0) < until:
        return None
    values = list(_up_to(steps, until))
    return sum(values) / len(values) if values else None


def _up_to(steps: Steps, until: float) -> Iterator[float]:
    for step, value in steps:
        if step is not None and step > until:
            return
        if value is not None:
            yield value
