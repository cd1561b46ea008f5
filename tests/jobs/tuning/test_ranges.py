"""Ranges: what is refused, which scale Auto means, and that a text is within its range whatever was drawn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.algorithms.registry import algorithm_get
from jobs.tuning.range_checks import ranges_check
from jobs.tuning.ranges import (
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    grid_size,
    range_from_json,
    scaling_chosen,
)
from mlplatform.core.errors import FieldError

ETA = {"name": "eta", "type": "Continuous", "min": 0.2, "max": 0.3}
DEPTH = {"name": "max_depth", "type": "Integer", "min": 3, "max": 10}
KIND = {"name": "booster", "type": "Categorical", "values": ["gbtree", "dart"]}


def check(*ranges: dict[str, Any], grid: bool = False) -> tuple[list[Any], list[FieldError]]:
    errors: list[FieldError] = []
    spec = algorithm_get("xgboost")
    declared = {found.name: found for found in spec.hyperparameters}
    return ranges_check(list(ranges), grid=grid, declared=declared, errors=errors), errors


@pytest.mark.parametrize(
    ("given_range", "field", "words"),
    [
        (ETA | {"min": 0.4}, "min", "0.4 is above max, 0.3"),
        (ETA | {"min": 0.3}, "max", "nothing to search"),
        (ETA | {"min": None}, "min", "is missing"),
        (ETA | {"min": "0.2"}, "min", "is not a number"),
        (ETA | {"min": float("nan")}, "min", "is not a number"),
        (ETA | {"max": 1e300}, "max", "too large"),
        (ETA | {"min": 0, "scaling": "Logarithmic"}, "scaling", "needs a min above 0, and min is 0"),
        (ETA | {"max": 1, "scaling": "ReverseLogarithmic"}, "scaling", "max < 1"),
        (ETA | {"min": -0.1, "scaling": "ReverseLogarithmic"}, "scaling", "0 ≤ min"),
        (DEPTH | {"scaling": "ReverseLogarithmic"}, "scaling", "type Continuous"),
        (ETA | {"scaling": "Sideways"}, "scaling", "use one of Auto, Linear"),
        (ETA | {"step": 0.5}, "step", "at most 0.1"),
        (ETA | {"step": 0}, "step", "above 0"),
        (ETA | {"step": 0.01, "scaling": "Logarithmic"}, "scaling", "no step"),
        (DEPTH | {"min": 3.5}, "min", "whole number"),
        (ETA | {"type": "Float"}, "type", "use one of Integer"),
        (ETA | {"values": ["a"]}, "values", "is not a field of a range of type Continuous"),
        (KIND | {"values": []}, "values", "is empty"),
        (KIND | {"values": ["a", "b", "a"]}, "values", "'a' more than once"),
        (KIND | {"values": [str(n) for n in range(31)]}, "values", "31 values; use at most 30"),
        (KIND | {"values": [""]}, "values", "no text"),
        (KIND | {"min": 1}, "min", "is not a field of a range of type Categorical"),
        (ETA | {"name": ""}, "name", "1 to 256"),
    ],
)
def test_what_is_wrong_with_a_range_is_said(given_range: dict[str, Any], field: str, words: str) -> None:
    ranges, errors = check(DEPTH | {"name": "other"}, given_range)
    assert [found.name for found in ranges] == ["other"]
    (error,) = errors
    assert error.field == f"ranges.1.{field}" and words in error.message


def test_no_ranges_too_many_and_one_twice() -> None:
    assert check()[1][0].message.startswith("is empty")
    many = [DEPTH | {"name": f"p{n}"} for n in range(31)]
    assert "31 ranges; use at most 30" in check(*many)[1][0].message
    (error,) = check(ETA, ETA)[1]
    assert error.field == "ranges.1.name" and "has a range already" in error.message


def test_a_grid_needs_steps_of_what_is_continuous() -> None:
    assert check(ETA, grid=True)[1][0].field == "ranges.0.step"
    ranges, errors = check(ETA | {"step": 0.05}, DEPTH, KIND, grid=True)
    assert not errors
    assert grid_size(ranges) == 3 * 8 * 2
    assert list(ranges[0].values()) == [0.2, 0.25, 0.3]


def test_a_hundred_million_steps_are_counted_without_being_made() -> None:
    wide = ContinuousRange("x", 0.0, 1.0, step=1e-9)
    assert grid_size([wide]) == 10**9 + 1
    assert grid_size([ContinuousRange("x", 0.0, 1.0)]) is None


@pytest.mark.parametrize(
    ("kind", "low", "high", "declared", "scaling"),
    [
        ("Continuous", 0.001, 0.1, "", "Logarithmic"),
        ("Continuous", 0.2, 0.3, "", "Linear"),
        ("Continuous", 0.2, 0.3, "logarithmic", "Logarithmic"),
        ("Continuous", 0.0, 0.3, "logarithmic", "Linear"),
        ("Continuous", 0.5, 0.999, "", "ReverseLogarithmic"),
        ("Continuous", 0.5, 0.9, "reverse_logarithmic", "ReverseLogarithmic"),
        ("Integer", 1, 1000, "", "Logarithmic"),
        ("Integer", 0, 1000, "", "Linear"),
        ("Integer", 3, 4, "reverse_logarithmic", "Linear"),
    ],
)
def test_auto_never_means_a_scale_that_would_be_refused(
    kind: str, low: float, high: float, declared: str, scaling: str
) -> None:
    assert scaling_chosen(kind, low, high, declared=declared) == scaling
    again, errors = check({"name": "x", "type": kind, "min": low, "max": high, "scaling": scaling})
    assert again and not errors


ends = st.floats(-1e6, 1e6, allow_nan=False).map(lambda value: round(value, 6))


@given(ends, ends, st.floats(0, 1))
def test_a_text_is_within_its_linear_range_and_close_to_what_was_drawn(
    a: float, b: float, share: float
) -> None:
    low, high = sorted((a, b))
    if low == high:
        return
    drawn = min(high, low + share * (high - low))
    text = ContinuousRange("x", low, high).text(drawn)
    assert low <= float(text) <= high
    assert abs(float(text) - drawn) <= 1e-8 * (high - low)


@given(st.floats(1e-12, 0.5), st.floats(0, 1))
def test_a_text_near_one_keeps_its_distance_to_one(low: float, share: float) -> None:
    found = ContinuousRange("x", 1 - 0.9, 1 - low, "ReverseLogarithmic")
    drawn = low + share * (0.9 - low)
    text = found.text(drawn)
    assert found.min <= float(text) <= found.max
    assert 1 - float(text) == pytest.approx(drawn, rel=1e-4, abs=1e-15)


@given(st.floats(1e-9, 1e3), st.floats(1.1, 1e6), st.floats(0, 1))
def test_a_text_on_a_logarithmic_scale_keeps_its_digits(low: float, ratio: float, share: float) -> None:
    high = low * ratio
    drawn = min(high, low * ratio**share)
    text = ContinuousRange("x", low, high, "Logarithmic").text(drawn)
    assert low <= float(text) <= high
    assert float(text) == pytest.approx(drawn, rel=1e-8)


def test_texts_are_short_where_few_digits_matter() -> None:
    assert IntegerRange("n", 3, 10).text(7.0) == "7"
    assert ContinuousRange("x", 0.2, 0.3).text(0.24370861069626263) == "0.2437086107"
    assert ContinuousRange("x", 0.0, 1.0, step=0.1).text(0.30000000000000004) == "0.3"
    assert CategoricalRange("c", ("a", "b")).text("b") == "b"


def test_a_text_of_another_job_is_taken_back_only_within_the_range() -> None:
    assert IntegerRange("n", 3, 10).internal("7.0") == 7
    assert IntegerRange("n", 3, 10).internal("11") is None
    assert IntegerRange("n", 2, 10, step=4).internal("4") is None
    assert ContinuousRange("x", 0.0, 0.9, "ReverseLogarithmic").internal("0.75") == 0.25
    assert ContinuousRange("x", 0.0, 0.9).internal("x") is None
    assert CategoricalRange("c", ("a",)).internal("b") is None


@pytest.mark.parametrize("stored", [ETA, DEPTH, KIND, ETA | {"step": 0.05}, DEPTH | {"max": 1000}])
def test_what_is_stored_is_the_range_again(stored: dict[str, Any]) -> None:
    (found,), errors = check(stored)
    assert not errors and range_from_json(found.to_json()) == found
