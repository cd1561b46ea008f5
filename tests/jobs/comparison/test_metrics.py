"""Which values are better, which are the best, how far each is from a reference."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.comparison.metrics import best_places, delta_of, direction_guess, key_metric, metrics_of
from jobs.comparison.runs import Direction
from tests.jobs.comparison.runs import measured, run

VALUES = st.lists(st.none() | st.integers(-3, 3).map(float), max_size=8)


@pytest.mark.parametrize(
    "name",
    [
        "loss",
        "train:loss",
        "validation:rmse",
        "mae",
        "test:mse",
        "logloss",
        "single_p99_ms",
        "Latency",
        "error-rate",
    ],
)
def test_losses_errors_and_times_are_better_low(name: str) -> None:
    assert direction_guess(name) == "Minimize"


@pytest.mark.parametrize(
    "name", ["accuracy", "test:accuracy", "f1_macro", "AUC", "rows_per_s", "best_accuracy"]
)
def test_scores_and_rates_are_better_high(name: str) -> None:
    assert direction_guess(name) == "Maximize"


@pytest.mark.parametrize("name", ["k_best", "精度", "", "accuracy_loss", "glossary", "n_trees", "f1_error"])
def test_what_says_nothing_or_both_has_no_direction(name: str) -> None:
    assert direction_guess(name) is None


def test_the_algorithms_own_word_counts_more_than_the_name() -> None:
    runs = [replace(one, directions={"loss": "Maximize"}) for one in measured("loss", 1, 2)]
    (metric,) = metrics_of(runs)
    assert (metric.direction, metric.best) == ("Maximize", {1})


def test_algorithms_that_disagree_leave_it_open() -> None:
    first, second = measured("score", 1, 2)
    (metric,) = metrics_of(
        [replace(first, directions={"score": "Maximize"}), replace(second, directions={"score": "Minimize"})]
    )
    assert (metric.direction, metric.best) == (None, frozenset())


@pytest.mark.parametrize(
    ("values", "direction", "best"),
    [
        ([1, 3, 2], "Maximize", {1}),
        ([1, 3, 2], "Minimize", {0}),
        ([3, 1, 3], "Maximize", {0, 2}),
        ([3, None, 1], "Maximize", {0}),
        ([2, 2, 2], "Maximize", set()),
        ([2, None], "Maximize", set()),
        ([None, None], "Minimize", set()),
        ([], "Minimize", set()),
        ([1, 2], None, set()),
    ],
)
def test_the_best_are_all_that_tie_where_there_is_a_choice(
    values: list[float | None], direction: Direction | None, best: set[int]
) -> None:
    assert best_places(values, direction) == best


@given(VALUES)
def test_the_best_of_errors_are_the_best_of_the_same_with_another_sign(values: list[float | None]) -> None:
    mirrored = [None if value is None else -value for value in values]
    assert best_places(values, "Minimize") == best_places(mirrored, "Maximize")


@given(VALUES)
def test_nothing_is_better_than_the_best(values: list[float | None]) -> None:
    best = best_places(values, "Maximize")
    for place in best:
        assert values[place] == max(value for value in values if value is not None)
    assert len(best) < max(1, len([value for value in values if value is not None]))


def test_a_difference_says_how_much_and_whether_it_is_better() -> None:
    delta = delta_of(90.0, 100.0, "Minimize")
    assert delta is not None
    assert (delta.absolute, delta.relative, delta.better) == (-10.0, -0.1, True)
    worse = delta_of(-50.0, -100.0, "Minimize")
    assert worse is not None and (worse.relative, worse.better) == (0.5, False)


def test_a_difference_of_nothing_from_nothing_or_of_no_direction_is_neither() -> None:
    same, from_zero, open_ = delta_of(1, 1, "Maximize"), delta_of(1, 0, "Maximize"), delta_of(2, 1, None)
    assert same is not None and same.better is None
    assert from_zero is not None and (from_zero.relative, from_zero.better) == (None, True)
    assert open_ is not None and open_.better is None
    assert delta_of(None, 1, "Maximize") is None and delta_of(1, None, "Maximize") is None


@pytest.mark.parametrize(
    ("names", "key"),
    [
        (["train:throughput", "test:accuracy"], "test:accuracy"),
        (["duration_s", "throughput"], "duration_s"),
        (["精度", "k_best"], "精度"),
        ([], None),
    ],
)
def test_the_key_metric_is_a_score_before_a_speed(names: list[str], key: str | None) -> None:
    found = key_metric(metrics_of([run("a", {}, dict.fromkeys(names, 1.0)), run("b")]))
    assert (found.name if found else None) == key
