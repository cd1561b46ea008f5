"""What the try-it panel makes of an endpoint's answer, and the confusion matrix of a table run. Pure."""

from __future__ import annotations

import json

from mlplatform.web.answers import ROWS_MAX, answer_of
from mlplatform.web.charts.confusion import confusion_rows

LABELS = ["setosa", "versicolor", "virginica"]


def test_codes_are_shown_as_the_labels_of_the_training_data() -> None:
    body = b'{"predictions":[{"predicted_label":0.0},{"predicted_label":2.0}]}'
    answer = answer_of(status=200, body=body, labels=LABELS)
    assert [(one.row, one.label) for one in answer.rows] == [(1, "setosa"), (2, "virginica")]
    assert answer.message == ""


def test_numbers_stay_numbers_without_text_labels() -> None:
    answer = answer_of(status=200, body=b'{"predictions":[{"predicted_label":9.25},{"predicted_label":3.0}]}')
    assert [one.label for one in answer.rows] == ["9.25", "3"]


def test_a_code_that_no_label_has_is_shown_as_it_is() -> None:
    answer = answer_of(status=200, body=b'{"predictions":[{"predicted_label":7.0}]}', labels=LABELS)
    assert answer.rows[0].label == "7"


def test_neighbours_of_a_verbose_answer_keep_their_order() -> None:
    body = b'{"predictions":[{"predicted_label":1.0,"distances":[0.1,0.4],"labels":[1.0,2.0]}]}'
    neighbours = answer_of(status=200, body=body, labels=LABELS).rows[0].neighbours
    assert [(one.distance, one.label) for one in neighbours] == [(0.1, "versicolor"), (0.4, "virginica")]


def test_json_lines_are_rows_too() -> None:
    answer = answer_of(status=200, body=b'{"predicted_label":0.0}\n{"predicted_label":1.0}\n', labels=LABELS)
    assert [one.label for one in answer.rows] == ["setosa", "versicolor"]


def test_a_long_answer_is_cut_and_says_how_long_it_is() -> None:
    body = json.dumps({"predictions": [{"predicted_label": 0.0}] * (ROWS_MAX + 7)}).encode()
    answer = answer_of(status=200, body=body)
    assert (len(answer.rows), answer.n_rows) == (ROWS_MAX, ROWS_MAX + 7)


def test_an_error_names_the_row_and_the_feature() -> None:
    body = json.dumps({"message": "'abc' is not a number", "row": 2, "column": "1"}).encode()
    answer = answer_of(status=400, body=body, feature_names=["length", "width"])
    assert (answer.message, answer.row, answer.column) == ("'abc' is not a number", 2, "width (1)")
    assert answer.rows == []


def test_an_error_of_the_models_own_is_shown_in_its_words() -> None:
    body = json.dumps({"message": "from primary", "OriginalMessage": "IndexError: list index"}).encode()
    assert answer_of(status=424, body=body).message == "IndexError: list index"


def test_a_score_alone_is_the_prediction_and_beside_a_label_it_is_not() -> None:
    body = json.dumps({"predictions": [{"score": 4.25}]}).encode()
    assert answer_of(status=200, body=body).rows[0].label == "4.25"
    body = json.dumps({"predictions": [{"score": [0.1, 0.9], "predicted_label": 1.0}]}).encode()
    assert answer_of(status=200, body=body).rows[0].label == "1"


def test_a_body_that_is_no_json_is_shown_as_text() -> None:
    answer = answer_of(status=502, body=b"<h1>Bad Gateway\xff</h1>")
    assert answer.message == answer.text == "<h1>Bad Gateway\ufffd</h1>"


def test_other_shapes_do_no_harm() -> None:
    for body in (b"", b"null", b"[]", b'{"predictions": 3}', b'{"predictions": [1, null]}', b'[{"a": 1}]'):
        answer = answer_of(status=200, body=body, labels=LABELS)
        assert answer.rows == [] and answer.n_rows == 0
    assert answer_of(status=400, body=b"[1]").message == ""
    odd = b'{"predictions":[{"predicted_label":null,"distances":"x","labels":[0]}]}'
    assert answer_of(status=200, body=odd, labels=LABELS).rows[0].label == "None"


def test_the_confusion_matrix_is_shaded_by_the_share_of_its_label() -> None:
    summary = {"labels": ["a", "b"], "confusion": [[200, 1], [5, 5]]}
    rows = confusion_rows(summary)
    assert [(row.label, row.total) for row in rows] == [("a", 201), ("b", 10)]
    assert [[cell.count for cell in row.cells] for row in rows] == summary["confusion"]
    assert [[cell.shade for cell in row.cells] for row in rows] == [[6, 1], [3, 3]]
    assert [[cell.right for cell in row.cells] for row in rows] == [[True, False], [False, True]]


def test_a_label_without_rows_has_no_shade() -> None:
    rows = confusion_rows({"labels": [0, 1], "confusion": [[0, 0], [0, 4]]})
    assert [cell.shade for cell in rows[0].cells] == [0, 0]
