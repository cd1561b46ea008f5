"""Bodies of requests to rows: what is accepted, and that every refusal names its row and column."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from endpoints.serving.decode import decode
from mlplatform.core.errors import DataError, UnsupportedMediaType

CSV, JSON, LINES = b"text/csv", b"application/json", b"application/jsonlines"

floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
tables = st.integers(1, 5).flatmap(
    lambda d: st.lists(st.lists(floats, min_size=d, max_size=d), min_size=1, max_size=8)
)


def rows(body: bytes, kind: bytes = CSV, d: int = 2) -> list[list[float]]:
    X = decode(body, kind, d)
    assert X.dtype == np.float32
    return X.tolist()


@given(tables)
def test_csv_gives_back_the_numbers_that_were_written(table: list[list[float]]) -> None:
    body = "\n".join(",".join(map(repr, row)) for row in table).encode()
    assert rows(body, CSV, len(table[0])) == table


@given(tables)
def test_json_gives_back_the_numbers_that_were_written(table: list[list[float]]) -> None:
    body = json.dumps({"instances": [{"features": row} for row in table]}).encode()
    assert rows(body, JSON, len(table[0])) == table
    nested = json.dumps({"instances": [{"data": {"features": {"values": row}}} for row in table]}).encode()
    assert rows(nested, JSON, len(table[0])) == table
    lines = "\n".join(json.dumps({"features": row}) for row in table).encode()
    assert rows(lines, LINES, len(table[0])) == table


@given(st.binary(max_size=300), st.sampled_from([CSV, JSON, LINES]), st.integers(1, 4))
def test_any_bytes_are_either_finite_rows_or_a_data_error(body: bytes, kind: bytes, d: int) -> None:
    try:
        X = decode(body, kind, d)
    except DataError as error:
        assert error.message
    else:
        assert X.shape[1] == d
        assert np.isfinite(X).all()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["features", "data", "values", "keys", "shape", "instances"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(json_values, st.integers(1, 3))
def test_any_json_is_either_finite_rows_or_a_data_error(content: object, d: int) -> None:
    for body, kind in (
        (json.dumps(content), JSON),
        (json.dumps({"instances": [content]}), JSON),
        (json.dumps(content), LINES),
    ):
        try:
            X = decode(body.encode(), kind, d)
        except DataError:
            continue
        assert X.shape[1] == d
        assert np.isfinite(X).all()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"1,2", [[1, 2]]),
        (b"1,2\n", [[1, 2]]),
        (b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
        (b" 1 ,\t2 \n3,4\n\n", [[1, 2], [3, 4]]),
        (b"\xef\xbb\xbf1,2", [[1, 2]]),
        (b'"1","2"\n3,4', [[1, 2], [3, 4]]),
        (b"-1e3,.5", [[-1000, 0.5]]),
        (b"+1,2.\n-0,007", [[1, 2], [0, 7]]),
        (b"1,18446744073709551616", [[1, 2.0**64]]),
    ],
)
def test_csv_as_people_write_it(body: bytes, expected: list[list[float]]) -> None:
    assert rows(body) == expected


def test_columns_declared_as_labels_are_skipped() -> None:
    assert rows(b"9,1,2\n8,3,4", b"text/csv;label_size=1") == [[1, 2], [3, 4]]
    assert rows(b"1,2", b"text/csv; label_size=0; charset=utf-8") == [[1, 2]]


number_like = st.one_of(
    st.from_regex(r"[+-]?[0-9]{0,4}\.?[0-9]{0,4}([eE][+-]?[0-9]{1,2})?", fullmatch=True),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["nan", "inf", "-Infinity", "1_0", "true", "null", "[1", "2]", "0x1", "1 2", "", " 7\t"]),
)


@given(
    st.lists(st.lists(number_like, min_size=1, max_size=3), min_size=1, max_size=4),
    st.sampled_from(["\n", "\r\n"]),
)
def test_a_batch_is_read_as_its_cells_are_one_by_one(table: list[list[str]], end: str) -> None:
    """Whatever way is taken for speed, the numbers are Python's, and what one cell alone is refused for all are."""
    assume("".join(table[-1]).strip())
    try:
        found = rows(end.join(",".join(row) for row in table).encode(), CSV, len(table[0]))
    except DataError:
        found = None
    assert found == _one_by_one(table)


def _one_by_one(table: list[list[str]]) -> list[list[float]] | None:
    cells = [[_number(cell) for cell in row] for row in table]
    if any(len(row) != len(table[0]) or None in row for row in cells):
        return None
    with np.errstate(over="ignore"):
        X = np.array(cells, np.float64).astype(np.float32)
    return X.tolist() if np.isfinite(X).all() else None


def _number(cell: str) -> float | None:
    try:
        return None if "_" in cell else float(cell)
    except ValueError:
        return None


BAD_CSV = [
    (b"", None, None, "empty"),
    (b"\n\n", None, None, "empty"),
    (b"1,2\n1,2,3\n", 2, None, "has 3 columns; the model expects 2"),
    (b"1\n", 1, None, "has 1 columns; the model expects 2"),
    (b"1,2\n\n3,4", 2, None, "has 0 columns"),
    (b"sepal,petal\n1,2", 1, "0", "'sepal' is not a number (rows are sent without a header)"),
    (b"1,2\n3,x", 2, "1", "'x' is not a number"),
    (b"1,2\n3,", 2, "1", "is empty"),
    (b"1,2\nnan,3", 2, "0", "not finite"),
    (b"1,-inf", 1, "1", "not finite"),
    (b"1,1e39", 1, "1", "float32"),
    (b"1,1_000", 1, "1", "'1_000' is not a number"),
    ("1,１".encode(), 1, "1", "is not a number"),
    (b"1,\x00", 1, "1", "is not a number"),
    (b"1,\xff", 1, None, "not UTF-8"),
    (b'1,"2', 1, None, "not CSV"),
    (b"1;2\n3;4", 1, None, "has 1 columns"),
]


@pytest.mark.parametrize(("body", "row", "column", "words"), BAD_CSV)
def test_bad_csv_is_refused_with_row_and_column(
    body: bytes, row: int | None, column: str | None, words: str
) -> None:
    with pytest.raises(DataError) as caught:
        decode(body, CSV, 2)
    assert (caught.value.row, caught.value.column) == (row, column)
    assert words in caught.value.message


BAD_JSON = [
    (b"", None, None, "not JSON"),
    (b"[1,2]", None, None, '{"instances"'),
    (b"[" * 100_000, None, None, "nested too deeply"),
    (b'{"instances": 3}', None, None, "is not a list"),
    (b'{"instances": []}', None, None, "no instances"),
    (b'{"instances": [{"features": [1]}]}', 1, None, "has 1 columns; the model expects 2"),
    (b'{"instances": [[1,2],{"x": 1}]}', 2, None, "is not an instance"),
    (b'{"instances": [[1,2],[1,"2"]]}', 2, "1", "is not a number"),
    (b'{"instances": [[1,true]]}', 1, "1", "'true' is not a number"),
    (b'{"instances": [[null,1]]}', 1, "0", "'null' is not a number"),
    (b'{"instances": [[1,NaN]]}', 1, "1", "not finite"),
    (b'{"instances": [[1,1e400]]}', 1, "1", "not finite"),
    (b'{"instances": [[1,1' + b"0" * 400 + b"]]}", None, None, "too large"),
    (
        b'{"features": {"keys": [2], "values": [1], "shape": [2]}}',
        1,
        None,
        "key '2' is not a column from 0 to 1",
    ),
    (b'{"features": {"keys": [0], "values": [1], "shape": [3]}}', 1, None, "the model expects [2]"),
    (b'{"features": {"keys": [0, 1], "values": [1]}}', 1, None, "same length"),
    (b'{"features": {"keys": [true], "values": [1]}}', 1, None, "is not a column"),
    (b"\xff", None, None, "not UTF-8"),
    (b'{"instances": [[1,' + b"[" * 1015 + b"]" * 1015 + b"]]}", None, None, "nested too deeply"),
    (b'{"instances": [{"x": ' + b"[" * 1015 + b"]" * 1015 + b"}]}", None, None, "nested too deeply"),
    (b'{"instances": [[1,1' + b"0" * 5000 + b"]]}", None, None, "not JSON"),
    (b'{"instances": [[1,18446744073709551616000000000000000000000]]}', 1, "1", "float32"),
    (b'{"instances": [[1,01]]}', None, None, "not JSON"),
]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_json_in_another_unicode_is_read_too(encoding: str) -> None:
    assert rows('{"instances": [[1, 2]], "é": "\\ud800"}'.encode(encoding), JSON) == [[1, 2]]


def test_of_a_key_that_is_there_twice_the_last_counts() -> None:
    assert rows(b'{"features": [1, 2], "features": [3, 4]}', JSON) == [[3, 4]]


@pytest.mark.parametrize(("body", "row", "column", "words"), BAD_JSON)
def test_bad_json_is_refused_with_row_and_column(
    body: bytes, row: int | None, column: str | None, words: str
) -> None:
    with pytest.raises(DataError) as caught:
        decode(body, JSON, 2)
    assert (caught.value.row, caught.value.column) == (row, column)
    assert words in caught.value.message


def test_a_bad_line_of_json_lines_is_named() -> None:
    with pytest.raises(DataError) as caught:
        decode(b'{"features":[1,2]}\n{"features":[1,\n', LINES, 2)
    assert caught.value.row == 2


def test_sparse_features_are_filled_up_with_zeros() -> None:
    body = b'{"instances": [{"data": {"features": {"keys": [2, 0], "values": [5, 6], "shape": [4]}}}]}'
    assert rows(body, JSON, 4) == [[6, 0, 5, 0]]


@pytest.mark.parametrize("kind", [None, b"", b"text/plain", b"application/x-www-form-urlencoded", b"\xff"])
def test_another_content_type_is_refused_with_the_accepted_ones(kind: bytes | None) -> None:
    with pytest.raises(UnsupportedMediaType, match="text/csv, application/json, application/jsonlines"):
        decode(b"1,2", kind, 2)


def test_a_type_that_the_algorithm_does_not_take_is_refused() -> None:
    with pytest.raises(UnsupportedMediaType, match="send one of text/csv"):
        decode(b"[]", JSON, 2, accepted=("text/csv",))


def test_the_value_in_a_message_is_kept_short() -> None:
    with pytest.raises(DataError) as caught:
        decode(b"1," + b"y" * 10_000, CSV, 2)
    assert len(str(caught.value)) < 200


def test_large_numbers_that_float32_holds_are_kept() -> None:
    assert math.isclose(rows(b"3.4e38,1")[0][0], 3.4e38, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/csv", b"1,,3\n , 5,nan\n"),
        ("application/json", b'{"instances": [[1, null, 3], {"features": [NaN, 5, null]}]}'),
        ("application/jsonlines", b'[1, null, 3]\n{"features": [null, 5, null]}\n'),
    ],
)
def test_a_missing_value_is_nan_for_models_that_take_one_and_refused_for_others(
    kind: str, body: bytes
) -> None:
    nan = np.nan
    found = decode(body, kind.encode(), 3, missing=True)
    np.testing.assert_array_equal(found, np.array([[1, nan, 3], [nan, 5, nan]], np.float32))
    with pytest.raises(DataError):
        decode(body, kind.encode(), 3)


@pytest.mark.parametrize("body", [b"1,x,3", b"1,inf,3", b"1,1e39,3", b"1,2"])
def test_what_is_not_missing_is_as_bad_as_ever(body: bytes) -> None:
    with pytest.raises(DataError):
        decode(body, b"text/csv", 3, missing=True)
