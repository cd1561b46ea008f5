"""Predictions to bodies, and which body `Accept` asks for."""

from __future__ import annotations

import json

import numpy as np
import pytest

from endpoints.serving.answers import ModelFault, NotAcceptable
from endpoints.serving.encode import Format, encode, format_choose

PREDICTION = {
    "predicted_label": np.array([0, 2], dtype=np.float32),
    "distances": np.array([[0.5, 1.5], [0, 3]], dtype=np.float32),
    "labels": np.array([[0, 1], [2, 2]], dtype=np.float32),
}
PLAIN = ("predicted_label",)


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


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_answer_that_is_not_finite_is_the_models_fault(bad: float) -> None:
    prediction = {"score": np.array([1.0, bad], dtype=np.float32)}
    with pytest.raises(ModelFault, match="score that is not a finite number for row 2"):
        encode(prediction, ("score",), Format("application/json", verbose=False))


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
