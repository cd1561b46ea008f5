"""What is told of an evaluation's progress, by a clock that the test turns."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.evaluation.progress import Progress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _begun(n_batches: int = 10, n_single: int = 100) -> tuple[Progress, Clock, list[dict[str, Any]]]:
    said: list[dict[str, Any]] = []
    clock = Clock()
    progress = Progress(said.append, n_rows=58, n_batches=n_batches, n_single=n_single, clock=clock)
    return progress, clock, said


def test_both_stages_are_estimated_from_the_first_call_on() -> None:
    progress, clock, said = _begun()
    progress.single_takes(0.01)
    progress.begin("quality")
    assert (said[-1]["fraction"], said[-1]["eta_s"]) == (0.0, None)
    clock.now = 1.0
    progress.done("quality", 1)
    assert said[-1]["eta_s"] == pytest.approx(9 + 1 + 0.5)
    assert said[-1]["fraction"] == pytest.approx(1 / 11.5, abs=1e-4)
    assert (said[-1]["stage"], said[-1]["done"], said[-1]["total"]) == ("quality", 1, 10)


def test_no_more_than_two_lines_a_second() -> None:
    progress, clock, said = _begun(n_batches=1000)
    progress.begin("quality")
    for n in range(1, 1001):
        clock.now = n / 100
        progress.done("quality", n)
    assert len(said) <= 21


def test_the_fraction_never_falls_and_the_end_is_near_one() -> None:
    progress, clock, said = _begun(n_batches=4, n_single=4)
    progress.single_takes(0.001)
    progress.begin("quality")
    for n in range(1, 5):
        clock.now = n
        progress.done("quality", n)
    progress.begin("latency")
    for n in range(1, 5):  # a thousand times slower than it seemed
        clock.now = 4 + 2 * n
        progress.done("latency", n)
    progress.begin("statistics")
    fractions = [line["fraction"] for line in said]
    assert fractions == sorted(fractions)
    assert 0.9 < fractions[-1] < 1
    assert said[-1]["eta_s"] == 0.5


def test_without_single_calls_nothing_is_waited_for() -> None:
    progress, clock, said = _begun(n_batches=2, n_single=0)
    progress.begin("quality")
    clock.now = 1.0
    progress.done("quality", 1)
    assert said[-1]["eta_s"] == 1.5
