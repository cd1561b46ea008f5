"""Predictions to bodies, and which body `Accept` asks for."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from endpoints.serving.answers import ModelFault, NotAcceptable
from endpoints.serving.encode import Format, encode, format_choose

PREDICTION = {
    "predicted_label": np.array([0, 2], dtype=np.float32),
    "distances": np.array([[0.5, 1.5], [0, 3]], dtype=np.float32),
    "labels": np.array([[0, 1], [2, 2]], dtype=np.float32),
}
PLAIN = ("predicted_label",)
JSON, LINES = Format("application/json", verbose=False), Format("application/jsonlines", verbose=False)


def test_json_has_one_prediction_per_row() -> None:
    body = encode(PREDICTION, PLAIN, Format("application/json", verbose=False))
    assert body == b'{"predictions":[{"predicted_label":0.0},{"predicted_label":2.0}]}'


def test_verbose_json_has_distances_and_labels_of_each_row() -> None:
    body = encode(PREDICTION, PREDICTION, Format("application/json", verbose=True))
    assert json.loads(body)["predictions"][0] == {
        "predicted_label": 0.0,
        "distances": [0.5, 1.5],
        "labels": [0.0, 1.0],
    }


def test_json_lines_have_one_line_per_row() -> None:
    body = encode(PREDICTION, PLAIN, Format("application/jsonlines", verbose=False))
    assert body == b'{"predicted_label":0.0}\n{"predicted_label":2.0}\n'


def test_csv_has_the_values_of_a_row_on_a_line() -> None:
    assert (
        encode(PREDICTION, ("predicted_label", "labels"), Format("text/csv", verbose=False))
        == b"0.0,0.0,1.0\n2.0,2.0,2.0\n"
    )


def test_a_float32_comes_back_as_it_was() -> None:
    value = np.array([0.1], dtype=np.float32)
    body = encode({"score": value}, ("score",), Format("application/json", verbose=False))
    assert np.float32(json.loads(body)["predictions"][0]["score"]) == value[0]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=30))
def test_any_float32_comes_back_from_every_form_as_it_was(numbers: list[float]) -> None:
    column = np.array(numbers, np.float32)
    prediction = {"one": column, "many": np.stack([column, column[::-1]], axis=1)}
    whole = json.loads(encode(prediction, list(prediction), JSON))["predictions"]
    lines = [json.loads(line) for line in encode(prediction, list(prediction), LINES).splitlines()]
    assert whole == lines
    assert np.array_equal(np.array([row["one"] for row in whole], np.float32), column)
    assert np.array_equal(np.array([row["many"] for row in whole], np.float32), prediction["many"])


@pytest.mark.parametrize("odd", [None, 10.0, 0.5, -1.0, -0.0, 9.0, 65536.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_labels_of_one_digit_are_written_as_any_others(odd: float | None, dtype: type) -> None:
    labels = np.random.default_rng(0).integers(0, 10, (50, 41)).astype(dtype)
    if odd is not None:
        labels[49, 40] = odd
    expected = json.dumps(
        {"predictions": [{"labels": row} for row in labels.tolist()]}, separators=(",", ":")
    )
    for column in (labels, np.asfortranarray(labels)):
        assert encode({"labels": column}, ("labels",), JSON).decode() == expected
        back = json.loads(encode({"labels": column}, ("labels",), JSON))["predictions"]
        assert np.array_equal(np.array([row["labels"] for row in back], dtype), labels)
    lines = encode({"labels": labels[:, :25]}, ("labels",), LINES).splitlines()
    assert [json.loads(line)["labels"] for line in lines] == labels[:, :25].tolist()


def test_bits_of_all_kinds_come_back_through_a_float64_too() -> None:
    """A client reads a number as float64 and only then rounds it: that must not make another float32 of it."""
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)
    column = bits[np.isfinite(bits)]
    back = json.loads(encode({"score": column}, ("score",), JSON))["predictions"]
    assert np.array_equal(np.array([row["score"] for row in back], np.float64).astype(np.float32), column)


def test_a_float32_is_written_as_short_as_can_be() -> None:
    assert (
        encode({"score": np.array([0.1], np.float32)}, ("score",), JSON) == b'{"predictions":[{"score":0.1}]}'
    )


def test_columns_of_other_types_are_written_too() -> None:
    prediction = {
        "rows": np.array([[1, 2], [3, 4]], np.int64).T,
        "sure": np.array([True, False]),
        "name": np.array(["a", "é"]),
        "wide": np.zeros((2, 1, 2), np.float64),
    }
    assert json.loads(encode(prediction, list(prediction), JSON))["predictions"] == [
        {"rows": [1, 3], "sure": True, "name": "a", "wide": [[0.0, 0.0]]},
        {"rows": [2, 4], "sure": False, "name": "é", "wide": [[0.0, 0.0]]},
    ]


def test_what_json_cannot_say_is_the_models_fault() -> None:
    with pytest.raises(ModelFault, match="cannot be written as JSON"):
        encode({"score": np.array([1 + 2j])}, ("score",), JSON)


@pytest.mark.parametrize(
    ("accept", "columns"),
    [
        ("application/json", ["predicted_label"]),
        ("application/json; rows=true", ["predicted_label"]),
        ("application/json; verbose=true", ["predicted_label", "distances", "labels"]),
        ("application/json; verbose=true; rows=false", ["predicted_label", "distances", "labels"]),
        ("application/json; verbose=true; rows=true", ["predicted_label", "distances", "labels", "rows"]),
        (
            "application/jsonlines; rows=TRUE; verbose=true",
            ["predicted_label", "distances", "labels", "rows"],
        ),
    ],
)
def test_rows_of_the_neighbours_are_written_where_they_are_asked_for(accept: str, columns: list[str]) -> None:
    prediction = {**PREDICTION, "rows": np.array([[7, 1], [3, 2]], np.int64)}
    answer = format_choose(accept.encode())
    assert list(answer.columns(prediction, plain=PLAIN)) == columns
    body = encode(prediction, answer.columns(prediction, plain=PLAIN), answer)
    first = json.loads(body.splitlines()[0])
    assert list(first.get("predictions", [first])[0]) == columns
    assert ("rows" in columns) == (b'"rows":[7,1]' in body)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_the_models_fault(bad: float) -> None:
    prediction = {"score": np.array([1.0, bad], dtype=np.float32)}
    with pytest.raises(ModelFault, match="score that is not a finite number for row 2"):
        encode(prediction, ("score",), Format("application/json", verbose=False))
    many = {"distances": np.array([[1.0, 2.0], [1.0, bad], [3.0, 4.0]], dtype=np.float32)}
    for answer in (JSON, LINES):
        with pytest.raises(ModelFault, match="distances that is not a finite number for row 2"):
            encode(many, ("distances",), answer)


@pytest.mark.parametrize(
    ("accept", "kind", "verbose"),
    [
        (None, "application/json", False),
        (b"", "application/json", False),
        (b"*/*", "application/json", False),
        (b"application/*", "application/json", False),
        (b"application/json", "application/json", False),
        (b"application/json; verbose=true", "application/json", True),
        (b"application/json;verbose=True", "application/json", True),
        (b"application/json; verbose=false", "application/json", False),
        (b"application/jsonlines", "application/jsonlines", False),
        (b"application/jsonlines; verbose=true", "application/jsonlines", True),
        (b"text/html, application/json;q=0.9", "application/json", False),
        (b"application/json;q=0.1, application/jsonlines", "application/jsonlines", False),
        (b"text/html,*/*;q=0.8", "application/json", False),
        (b"APPLICATION/JSON", "application/json", False),
    ],
)
def test_accept_chooses_the_format(accept: bytes | None, kind: str, verbose: bool) -> None:
    assert format_choose(accept) == Format(kind, verbose)


@pytest.mark.parametrize(
    "accept", [b"text/csv", b"image/png", b"application/json;q=0", b"\xff", b";", b"application/json;q=x"]
)
def test_what_cannot_be_produced_is_refused(accept: bytes) -> None:
    with pytest.raises(NotAcceptable, match="application/json, application/jsonlines"):
        format_choose(accept)


def test_an_algorithm_that_answers_csv_may() -> None:
    assert format_choose(b"text/csv", ("text/csv", "application/json")).kind == "text/csv"
    assert format_choose(None, ("text/csv",)).kind == "text/csv"
