"""Filters of records: what each step chooses, and what is said of a text that is no filter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.transform.filters import FilterError, FilterMiss, all_but, filter_parse

ROW = ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    ("text", "record", "chosen"),
    [
        ("$", {"a": 1}, {"a": 1}),
        ("$.a", {"a": 1, "b": 2}, 1),
        ("$.a.b", {"a": {"b": [1]}}, [1]),
        ("$['a','b']", {"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 2}),
        ('$["a b"]', {"a b": 1}, 1),
        ("$[1]", ROW, "b"),
        ("$[-1]", ROW, "e"),
        ("$[1,3]", ROW, ["b", "d"]),
        ("$[2:5]", ROW, ["c", "d", "e"]),
        ("$[1:]", ROW, ["b", "c", "d", "e"]),
        ("$[:-1]", ROW, ["a", "b", "c", "d"]),
        ("$[ 0:2 , 3:5 ]", ROW, ["a", "b", "d", "e"]),
        ("$[2:99]", ROW, ["c", "d", "e"]),
        ("$.*", {"a": 1, "b": 2}, [1, 2]),
        ("$[*]", ROW, ROW),
        ("$.rows[*].x", {"rows": [{"x": 1}, {"x": 2}]}, [1, 2]),
        ("$.rows[0,1].x", {"rows": [{"x": 1}, {"x": 2}]}, [1, 2]),
    ],
)
def test_a_filter_chooses(text: str, record: Any, chosen: Any) -> None:
    assert filter_parse(text).apply(record) == chosen


def test_columns_of_a_row_with_names_may_be_named() -> None:
    names = {"width": 0, "length": 1}
    assert filter_parse("$.length").apply([1, 2], names=names) == 2
    assert filter_parse("$['length','width']").apply([1, 2], names=names) == [2, 1]


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("", 1),
        ("a", 1),
        ("$a", 2),
        ("$.", 3),
        ("$..a", 3),
        ("$[", 3),
        ("$['a", 3),
        ("$[1", 4),
        ("$[]", 3),
        ("$[*", 4),
    ],
)
def test_a_text_that_is_no_filter_is_refused_with_the_place(text: str, position: int) -> None:
    with pytest.raises(FilterError) as refused:
        filter_parse(text)
    assert f"at character {position}," in refused.value.message


def test_names_and_numbers_are_not_mixed_and_length_is_limited() -> None:
    with pytest.raises(FilterError, match="not both"):
        filter_parse("$['a',1]")
    with pytest.raises(FilterError, match="at most 63"):
        filter_parse("$" + ".a" * 40)


@pytest.mark.parametrize(
    ("text", "record", "said"),
    [
        ("$.b", {"a": 1}, "it has a"),
        ("$[9]", ROW, "has 5 items"),
        ("$.a", ROW, "no object"),
        ("$[0]", {"a": 1}, "no list"),
    ],
)
def test_a_record_without_it_says_what_it_has(text: str, record: Any, said: str) -> None:
    with pytest.raises(FilterMiss) as missed:
        filter_parse(text).apply(record)
    assert said in missed.value.message


@given(st.integers(1, 40).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n - 1))))
def test_all_but_one_leaves_every_other_column(given: tuple[int, int]) -> None:
    n_columns, position = given
    if n_columns == 1:
        return
    kept = filter_parse(all_but(position, n_columns)).columns(n_columns)
    assert kept == [column for column in range(n_columns) if column != position]


@given(st.lists(st.integers(), max_size=9), st.integers(-12, 12), st.integers(-12, 12))
def test_ranges_are_those_of_python(row: list[int], begin: int, end: int) -> None:
    assert filter_parse(f"$[{begin}:{end}]").apply(row) == row[begin:end]


@given(st.text(max_size=20))
def test_any_text_is_a_filter_or_is_refused_in_words(text: str) -> None:
    try:
        filter_parse(f"${text}")
    except FilterError as error:
        assert error.message
