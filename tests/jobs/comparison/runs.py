"""Runs in the fewest words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.comparison.runs import Run

AT = datetime(2026, 11, 30, tzinfo=UTC)


def run(
    name: str, parameters: dict[str, str] | None = None, metrics: dict[str, float] | None = None, **more: Any
) -> Run:
    """Created as many minutes after `AT` as its name has letters."""
    given = {
        "status": "Completed",
        "ended": True,
        "created_at": AT + timedelta(minutes=len(name)),
        "about": "knn",
    }
    return Run(name=name, parameters=parameters or {}, metrics=metrics or {}, **(given | more))


def runs_with(key: str, *values: str | None) -> list[Run]:
    """A run for each value of one parameter; None for a run without it."""
    return [run(f"r{place}", {} if value is None else {key: value}) for place, value in enumerate(values)]


def measured(key: str, *values: float | None) -> list[Run]:
    """A run for each value of one metric."""
    return [run(f"r{place}", {}, {} if value is None else {key: value}) for place, value in enumerate(values)]
