"""Runs in the order of a parameter or a metric. Django-free, pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from jobs.comparison.axes import METRIC
from jobs.comparison.runs import Run, number_of

_OWN = ("name", "created", "status")


def runs_ordered(runs: Sequence[Run], order: str) -> list[Run]:
    """`runs` by a key: an axis's, `name`, `status` or `created`; a leading hyphen for descending.

    Runs without a value come last either way, numbers before texts; an unknown key changes nothing.
    """
    key, descending = order.removeprefix("-"), order.startswith("-")
    with_value = [run for run in runs if _value(run, key) is not None]
    without = [run for run in runs if _value(run, key) is None]
    return [*sorted(with_value, key=lambda run: _comparable(_value(run, key)), reverse=descending), *without]


def _value(run: Run, key: str) -> Any:
    if key in _OWN:
        return {"name": run.name, "created": run.created_at, "status": run.status}[key]
    if key.startswith(METRIC):
        return run.metrics.get(key.removeprefix(METRIC))
    text = run.parameters.get(key)
    if text is None:
        return None
    number = number_of(text)
    return text if number is None else number


def _comparable(value: Any) -> tuple[bool, float, str]:
    if isinstance(value, datetime):
        return False, value.timestamp(), ""
    if isinstance(value, str):
        return True, 0.0, value
    return False, value, ""
