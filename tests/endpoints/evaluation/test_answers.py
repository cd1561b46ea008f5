"""Any engine's answer is read, or refused with what it was."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from endpoints.evaluation.answers import answer_read
from endpoints.evaluation.failure import RunFailed


def _body(*predictions: Any) -> bytes:
    return json.dumps({"predictions": list(predictions)}).encode()


def test_predictions_and_neighbours_are_arrays() -> None:
    answer = answer_read(
        _body(
            {"predicted_label": 1.0, "distances": [0.5, 2], "labels": [1.0, 3.0]},
            {"predicted_label": 7, "distances": [0.5, 2], "labels": [7, 1]},
        ),
        2,
    )
    assert (answer.own.dtype, answer.own.tolist()) == (np.float32, [1, 7])
    assert answer.neighbours is not None
    assert (answer.neighbours.dtype, answer.neighbours.tolist()) == (np.float32, [[1, 3], [7, 1]])


@pytest.mark.parametrize("one", [2.5, {"score": 2.5}, {"score": 2.5, "predicted_label": None}, True])
def test_one_number_is_enough_whatever_it_is_called(one: Any) -> None:
    assert answer_read(_body(one), 1).own.tolist() == [2.5 if one is not True else 1.0]


@pytest.mark.parametrize(
    "labels",
    [
        [[1, 2], [1]],
        [[], []],
        [["1", "2"], ["1", "2"]],
        [[1, None], [1, 2]],
        [[[1], [2]], [[1], [2]]],
        [1, 2],
        [[1e300, 1], [1, 1]],
    ],
)
def test_labels_that_are_not_the_same_number_of_numbers_are_no_neighbours(labels: list[Any]) -> None:
    answer = answer_read(_body(*[{"predicted_label": 1, "labels": each} for each in labels]), 2)
    assert answer.neighbours is None
    assert answer.own.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "no list of predictions"),
        (b'{"predictions": 3}', "no list of predictions"),
        (_body(), "0 predictions for 1 rows"),
        (_body(1, 2), "2 predictions for 1 rows"),
        (_body({"cluster": "a"}), "no predicted label"),
        (_body({"predicted_label": "setosa"}), "no predicted label"),
        (_body({"predicted_label": [1]}), "no predicted label"),
        (_body([1, 2]), "no predicted label"),
        (_body(None), "no predicted label"),
        (_body({"predicted_label": 1e300}), "no predicted label"),
        (_body({"predicted_label": 10**400}), "(no predicted label|is not JSON)"),
    ],
)
def test_what_has_no_number_for_each_row_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(RunFailed, match=message):
        answer_read(body, 1)
