"""When it is enough, and which running trial is not worth its time."""

from __future__ import annotations

import pytest

from jobs.tuning.criteria import CONVERGENCE_WINDOW, NO_CRITERIA, Criteria, criterion_met
from jobs.tuning.early_stopping import median_rule_stops


def met(criteria: Criteria, *values: float | None, direction: str = "Minimize") -> str:
    return criterion_met(criteria, list(enumerate(values, start=1)), direction=direction)


def test_without_criteria_nothing_is_enough() -> None:
    assert met(NO_CRITERIA, *range(500)) == ""
    assert met(Criteria(target_value=0.0)) == ""


def test_trials_that_are_no_better_count_from_the_best_one_on_and_failed_ones_too() -> None:
    criteria = Criteria(max_jobs_not_improving=3)
    assert met(criteria, 5, 1, 2, 3) == ""
    assert met(criteria, 5, 1, 2, None, 3) == "3 trials in turn were no better than trial 2"
    assert (
        met(criteria, 1, 5, 4, 3, 2, direction="Maximize") == "3 trials in turn were no better than trial 2"
    )


def test_an_equal_value_is_no_better() -> None:
    assert met(Criteria(max_jobs_not_improving=2), 1, 1, 1)


def test_convergence_needs_many_values_that_hardly_improve() -> None:
    criteria = Criteria(on_convergence=True)
    falling = [100.0 - n for n in range(40)]
    assert met(criteria, *falling) == ""
    flat = [*falling[:20], *[80.95] * CONVERGENCE_WINDOW]
    assert "converged" in met(criteria, *flat)
    assert met(criteria, *flat[:29]) == ""
    assert "converged" in met(criteria, *[-value for value in flat], direction="Maximize")


OTHERS = [[(step, 10.0 - step) for step in range(8)] for _ in range(4)]


@pytest.mark.parametrize(
    ("value", "direction", "stops"),
    [(9.0, "Minimize", True), (7.5, "Minimize", False), (7.0, "Minimize", False), (7.0, "Maximize", True)],
)
def test_the_newest_value_is_held_against_the_median_of_running_averages(
    value: float, direction: str, stops: bool
) -> None:
    # Up to step 5 the others have (10 + … + 5) / 6 = 7.5 on average.
    steps = [(step, value) for step in range(6)]
    assert median_rule_stops(steps, OTHERS, direction=direction) is stops


def test_few_steps_few_trials_or_no_number_are_not_judged() -> None:
    bad = [(step, 99.0) for step in range(6)]
    assert median_rule_stops(bad, OTHERS, direction="Minimize")
    assert not median_rule_stops(bad[:3], OTHERS, direction="Minimize")
    assert not median_rule_stops(bad, OTHERS[:3], direction="Minimize")
    assert not median_rule_stops([*bad, (6, None)], OTHERS, direction="Minimize")
    # Trials that did not come as far say nothing.
    assert not median_rule_stops([(step, 99.0) for step in range(9)], OTHERS, direction="Minimize")


def test_values_that_are_no_numbers_are_left_out_of_averages() -> None:
    gaps = [[(step, None if step % 2 else 4.0) for step in range(8)] for _ in range(4)]
    assert median_rule_stops([(step, 4.1) for step in range(6)], gaps, direction="Minimize")
    assert not median_rule_stops([(step, 4.0) for step in range(6)], gaps, direction="Minimize")
