"""Which parameters differ."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.comparison.parameters import parameters_of
from jobs.comparison.runs import finite_metrics, number_of
from tests.jobs.comparison.runs import run, runs_with


@pytest.mark.parametrize(
    ("values", "differs"),
    [
        (("1", "1", "1"), False),
        (("1", "2"), True),
        (("0.10", "0.1"), False),
        (("1e3", "1000"), False),
        (("auto", "auto"), False),
        (("auto", "1"), True),
        (("true", "True"), True),
        (("1", None), True),
        (("精度", "精度"), False),
        (("５", "5"), True),  # another text, and no number of a request
    ],
)
def test_a_parameter_differs_where_two_runs_have_another_value(
    values: tuple[str | None, ...], differs: bool
) -> None:
    (parameter,) = parameters_of(runs_with("k", *values))
    assert parameter.differs is differs
    assert parameter.values == values


def test_every_parameter_of_any_run_is_there_in_the_order_of_the_runs() -> None:
    found = parameters_of([run("a", {"k": "1", "index": "flat"}), run("b", {"epochs": "9", "k": "1"})])
    assert [parameter.name for parameter in found] == ["k", "index", "epochs"]
    assert [parameter.differs for parameter in found] == [False, True, True]


@given(
    st.lists(
        st.dictionaries(st.sampled_from("abcde"), st.sampled_from(["1", "1.0", "x"])), min_size=1, max_size=6
    )
)
def test_what_differs_does_not_depend_on_the_order_of_runs(parameters: list[dict[str, str]]) -> None:
    runs = [run(f"r{place}", one) for place, one in enumerate(parameters)]
    there = {parameter.name: parameter.differs for parameter in parameters_of(runs)}
    back = {parameter.name: parameter.differs for parameter in parameters_of(runs[::-1])}
    assert there == back
    assert set(there) == {name for one in parameters for name in one}


@pytest.mark.parametrize("text", ["5", "-1", "+1", ".5", "5.", "1e-3", "0.25", "1E5"])
def test_numbers_of_requests_are_numbers(text: str) -> None:
    assert number_of(text) == float(text)


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "-inf", "1_000", "１", "1e999", "0x10", "1 2", "auto", "1,5"]
)
def test_anything_else_is_text(text: str) -> None:
    assert number_of(text) is None


def test_only_finite_numbers_are_metrics() -> None:
    values = {"a": 1, "b": 0.5, "c": None, "d": float("nan"), "e": float("inf"), "f": True, "g": "1"}
    assert finite_metrics(values) == {"a": 1.0, "b": 0.5}
