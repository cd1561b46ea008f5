"""The quick reading of our own k-NN's answer gives what the thorough one gives, or leaves it to that one."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endpoints.evaluation.answers import answer_read
from endpoints.evaluation.verbose_answers import verbose_read
from endpoints.serving.encode import encode, format_choose

_ACCEPT = b"application/json; verbose=true"


def _body(labels: np.ndarray, own: np.ndarray | None = None, accept: bytes = _ACCEPT) -> bytes:
    """As the model server writes it."""
    distances = np.random.default_rng(0).gamma(1, 1e6, labels.shape).astype(np.float32)
    prediction = {
        "predicted_label": labels[:, 0] if own is None else own,
        "distances": distances,
        "labels": labels,
    }
    prediction["rows"] = np.arange(labels.size).reshape(labels.shape)
    answer = format_choose(accept)
    return encode(prediction, answer.columns(prediction, plain=["predicted_label"]), answer)


@settings(max_examples=100, deadline=None)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 30),
    values=st.sampled_from(
        [[0], [1, 2, 9], [9, 10, 11], [-1, 1], [-0.0, 0.0], [0.5, 1], [1e-30, 3e38], [16777216, 1]]
    ),
    seed=st.integers(0, 1000),
)
def test_labels_and_predictions_are_those_that_were_written(
    n: int, k: int, values: list[float], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    labels = chance.choice(np.array(values, np.float32), (n, k))
    own = chance.normal(0, 1, n).astype(np.float32)
    found = verbose_read(_body(labels, own), n)
    assert found is not None
    assert (found[0] == own).all()
    assert (found[1] == labels).all()
    assert (found[0].dtype, found[1].dtype) == (np.float32, np.float32)


def test_a_classifier_s_large_answer_is_read() -> None:
    labels = np.random.default_rng(1).integers(1, 8, (582, 100)).astype(np.float32)
    found = verbose_read(_body(labels), 582)
    assert found is not None
    assert (found[1] == labels).all()


@pytest.mark.parametrize(
    "predictions",
    [
        [{"predicted_label": 1, "labels": [1], "distances": [1]}],
        [{"predicted_label": 1, "distances": [1], "labels": [1], "more": 1}],
        [{"predicted_label": 1, "distances": [[1], [2]], "labels": [1]}],
        [{"predicted_label": 1, "distances": [1], "labels": [[1]]}],
        [{"predicted_label": [1], "distances": [1], "labels": [1]}],
        [{"predicted_label": "1", "distances": [1], "labels": [1]}],
        [{"predicted_label": 1, "distances": [1], "labels": []}],
        [{"predicted_label": 1, "distances": [1], "labels": ["1.0"]}],
        [{"predicted_label": 1, "distances": [1], "labels": [None]}],
        [{"predicted_label": 1, "distances": ["],", '"labels":['], "labels": [1]}],
        [{"predicted_label": 1, "inner": {"distances": [1], "labels": [1]}}],
        [{"predicted_label": 1, "distances": [1], "labels": [1]}, {"predicted_label": 1}],
        [{"predicted_label": 1, "distances": [1], "labels": [1, 2]}, {"predicted_label": 1, "labels": [1]}],
        [{"predicted_label": 1e300, "distances": [1], "labels": [1]}],
        [{"predicted_label": 1, "distances": [1], "labels": [1e300]}],
        [{"score": 1}],
        [],
    ],
)
def test_another_form_is_left_to_the_thorough_reading(predictions: list[Any]) -> None:
    body = json.dumps({"predictions": predictions}, separators=(",", ":")).encode()
    assert verbose_read(body, len(predictions)) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.replace(b",", b", "),
        lambda body: body + b"\n",
        lambda body: body[:-1],
        lambda body: body.replace(b"2.0,", b"2.x,", 1),
        lambda body: body.replace(b'"labels":[2.0', b'"labels":[2 0', 1),
        lambda body: body.replace(b'{"predicted_label":2.0', b'{"predicted_label":2-0', 1),
    ],
)
def test_what_is_not_to_the_byte_is_left_to_the_thorough_reading(change: Any) -> None:
    body = _body(np.full((3, 2), 2, np.float32))
    assert verbose_read(body, 3) is not None
    assert verbose_read(change(body), 3) is None


def test_another_number_of_rows_is_left_to_the_thorough_reading() -> None:
    body = _body(np.full((3, 2), 2, np.float32))
    assert verbose_read(body, 2) is None
    assert verbose_read(body, 4) is None


def test_answers_with_more_columns_are_read_all_the_same() -> None:
    labels = np.array([[1, 2], [3, 1]], np.float32)
    body = _body(labels, accept=_ACCEPT + b"; rows=true")
    assert verbose_read(body, 2) is None
    neighbours = answer_read(body, 2).neighbours
    assert neighbours is not None
    assert (neighbours == labels).all()
