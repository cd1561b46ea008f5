"""Axes: their kind, their ends, which are shown, where they are labelled."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.comparison.axes import AXES_SHOWN, CATEGORIES_MAX, axes_of, ticks_of
from jobs.comparison.order import runs_ordered
from jobs.comparison.table import comparison_table
from tests.jobs.comparison.runs import measured, run, runs_with

FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize(
    ("values", "kind", "ends"),
    [
        (("1", "3", "2"), "linear", (1.0, 3.0)),
        (("1", "100"), "linear", (1.0, 100.0)),
        (("1", "101"), "log", (1.0, 101.0)),
        (("0", "1000"), "linear", (0.0, 1000.0)),
        (("-1", "1000"), "linear", (-1.0, 1000.0)),
        (("1", None), "linear", (1.0, 1.0)),
        (("auto", "10", "9"), "category", (0.0, 2.0)),
        (("flat", None), "category", (0.0, 0.0)),
    ],
)
def test_an_axis_is_logarithmic_linear_or_of_categories(
    values: tuple[str | None, ...], kind: str, ends: tuple[float, float]
) -> None:
    (axis,) = axes_of(runs_with("k", *values))
    assert (axis.kind, (axis.low, axis.high)) == (kind, ends)


def test_categories_stand_by_number_then_by_letter_and_missing_values_stay_missing() -> None:
    (axis,) = axes_of(runs_with("k", "auto", None, "10", "9", "auto"))
    assert axis.categories == ("9", "10", "auto")
    assert axis.values == ("auto", None, "10", "9", "auto")


def test_texts_that_are_all_different_are_no_axis() -> None:
    assert axes_of(runs_with("uri", *(f"s3://b/{n}" for n in range(CATEGORIES_MAX + 1)))) == []


def test_what_is_the_same_everywhere_is_no_axis_but_a_metric_is_one_that_is_not_shown() -> None:
    runs = [
        run("a", {"k": "1", "n": "1"}, {"accuracy": 0.5}),
        run("b", {"k": "1", "n": "2"}, {"accuracy": 0.5}),
    ]
    assert [(axis.key, axis.shown) for axis in axes_of(runs)] == [("n", True), ("metrics.accuracy", False)]


@pytest.mark.parametrize(
    ("n_parameters", "n_metrics", "shown"),
    [(3, 2, (3, 2)), (30, 2, (10, 2)), (2, 30, (2, 10)), (30, 30, (6, 6))],
)
def test_at_most_so_many_are_shown_shared_between_parameters_and_metrics(
    n_parameters: int, n_metrics: int, shown: tuple[int, int]
) -> None:
    runs = [
        run(
            name,
            {f"p{n}": value for n in range(n_parameters)},
            {f"m{n}": float(value) for n in range(n_metrics)},
        )
        for name, value in (("a", "1"), ("b", "2"))
    ]
    found = [axis for axis in axes_of(runs) if axis.shown]
    assert (sum(not axis.is_metric for axis in found), sum(axis.is_metric for axis in found)) == shown
    assert len(found) <= AXES_SHOWN


@given(st.lists(FLOATS, min_size=2, max_size=40))
def test_ticks_lie_on_the_axis_in_order_and_are_few(values: list[float]) -> None:
    (axis,) = axes_of(measured("loss", *values))
    ticks = ticks_of(axis)
    assert ticks == sorted(ticks) and len(ticks) <= 7
    margin = 1e-9 * max(abs(axis.low), abs(axis.high))
    assert all(axis.low - margin <= tick <= axis.high + margin for tick in ticks)
    assert axis.kind != "log" or axis.low > 0


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([1, 3, 5, 10, 100], [1, 3, 5, 10, 100]),
        ([n / 10 for n in range(11)], [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ([10.0**n for n in range(7)], [1, 100, 10_000, 1_000_000]),
        ([950 + 5 * n for n in range(20)], [960, 980, 1000, 1020, 1040]),
    ],
)
def test_ticks_are_the_values_themselves_or_round_numbers(values: list[float], ticks: list[float]) -> None:
    (axis,) = axes_of(measured("loss", *values))
    assert ticks_of(axis) == pytest.approx(ticks)


def test_runs_are_ordered_by_number_then_text_with_missing_values_last_either_way() -> None:
    runs = runs_with("k", "10", None, "auto", "9")
    assert [one.name for one in runs_ordered(runs, "k")] == ["r3", "r0", "r2", "r1"]
    assert [one.name for one in runs_ordered(runs, "-k")] == ["r2", "r0", "r3", "r1"]
    assert runs_ordered(runs, "no-such-key") == runs_ordered(runs, "") == runs


def test_runs_are_ordered_by_metric_name_and_age() -> None:
    runs = [run("bb", {}, {"loss": 2}), run("a", {}, {"loss": 3}), run("ccc")]
    for order, names in {
        "metrics.loss": ["bb", "a", "ccc"],
        "-metrics.loss": ["a", "bb", "ccc"],
        "name": ["a", "bb", "ccc"],
        "-created": ["ccc", "bb", "a"],
    }.items():
        assert [one.name for one in runs_ordered(runs, order)] == names


def test_the_table_has_every_parameter_and_metric_with_the_best_marked() -> None:
    table = comparison_table([run("a", {"k": "1"}, {"loss": 0.5}), run("b", {"n": "=2"}, {"loss": 0.25})])
    assert [column.key for column in table.columns] == [
        "name",
        "status",
        "created_at",
        "k",
        "n",
        "metrics.loss",
    ]
    assert [record["metrics.loss"] for record in table.records()] == [0.5, 0.25]
    assert table.to_json()["marks"] == [{"row": 1, "column": "metrics.loss", "mark": "best"}]
    text = b"".join(table.to_csv(bom=False)).decode()
    assert "'=2" in text  # no formula for a spreadsheet
    assert math.isclose(float(text.splitlines()[2].split(",")[-1]), 0.25)
