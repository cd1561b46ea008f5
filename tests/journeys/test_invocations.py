"""Predictions: every form of asking, every form of answer, and every way of asking wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.journeys.street import Street

ROW = "5.9,3.0,4.2,1.5"
VERBOSE = "application/json; verbose=true"
MIB_6 = 6 * 1024 * 1024


@pytest.fixture(scope="module")
def k5(street: Street) -> str:
    """An endpoint with five neighbours."""
    street.served("k5", train="iris-train", hyperparameters={"k": 5})
    return "k5"


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/csv", ROW),
        ("text/csv", ROW + "\n"),
        ("text/csv", ROW + "\r\n"),
        ("text/csv; charset=utf-8", ROW),
        ("text/csv", '"5.9", 3.0 ,4.2,1.5'),
        ("text/csv; label_size=1", "1," + ROW),
        ("application/json", f'{{"instances": [{{"features": [{ROW}]}}]}}'),
        ("application/json", f'{{"instances": [{{"data": {{"features": {{"values": [{ROW}]}}}}}}]}}'),
        ("application/json", '{"instances": [{"features": {"keys": [0,1,2,3], "values": [5.9,3,4.2,1.5]}}]}'),
        ("application/jsonlines", f'{{"features": [{ROW}]}}\n'),
        ("application/jsonlines", f'{{"data": {{"features": {{"values": [{ROW}]}}}}}}'),
    ],
)
def test_every_way_of_saying_a_row_gets_the_same_answer(street: Street, content_type: str, body: str) -> None:
    answer = street.invoke("iris-knn", body, content_type=content_type)
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == {"predictions": [{"predicted_label": 1.0}]}


def test_a_verbose_answer_has_the_neighbours_nearest_first(street: Street, k5: str) -> None:
    answer = street.invoke(k5, f"{ROW}\n6.3,2.9,5.6,1.8", accept=VERBOSE)
    assert answer.status == 200, answer.text
    predictions = answer.json["predictions"]
    assert len(predictions) == 2
    for found in predictions:
        assert len(found["distances"]) == len(found["labels"]) == 5
        assert found["distances"] == sorted(found["distances"])
        assert found["predicted_label"] == max(set(found["labels"]), key=found["labels"].count)


def test_json_lines_answer_one_prediction_per_line(street: Street, k5: str) -> None:
    answer = street.invoke(k5, f"{ROW}\n{ROW}\n", accept="application/jsonlines")
    assert answer.headers["Content-Type"] == "application/jsonlines"
    assert [json.loads(line) for line in answer.text.splitlines()] == [{"predicted_label": 1.0}] * 2
    verbose = street.invoke(k5, f"{ROW}\n{ROW}\n", accept="application/jsonlines; verbose=true")
    assert [len(json.loads(line)["distances"]) for line in verbose.text.splitlines()] == [5, 5]


@pytest.mark.parametrize(
    ("body", "content_type", "row", "column", "words"),
    [
        pytest.param("1,2,3", "text/csv", 1, None, ("3", "4"), id="too few columns"),
        pytest.param(f"{ROW}\n1,2,3,4,5", "text/csv", 2, None, ("5", "4"), id="too many columns in row 2"),
        pytest.param(f"{ROW}\n5.9,NaN,4.2,1.5", "text/csv", 2, "1", ("nan", "finite"), id="NaN"),
        pytest.param("5.9,3.0,inf,1.5", "text/csv", 1, "2", ("finite",), id="infinity"),
        pytest.param("5.9,3.0,1e39,1.5", "text/csv", 1, "2", ("float32",), id="out of float32"),
        pytest.param("5.9,x,4.2,1.5", "text/csv", 1, "1", ("'x'", "number"), id="text"),
        pytest.param("5.9,,4.2,1.5", "text/csv", 1, "1", ("number",), id="nothing"),
        pytest.param("a,b,c,d\n" + ROW, "text/csv", 1, "0", ("header",), id="a header"),
        pytest.param("", "text/csv", None, None, ("4",), id="no body"),
        pytest.param("\n\n", "text/csv", None, None, ("4",), id="empty lines"),
        pytest.param(
            '{"instances": []}', "application/json", None, None, ("at least one",), id="no instance"
        ),
        pytest.param(
            '{"instances": [{"features": [1, 2]}]}', "application/json", 1, None, ("2", "4"), id="short"
        ),
        pytest.param(
            '{"instances": [{"features": [1, 2, 3, null]}]}', "application/json", 1, "3", ("null",), id="null"
        ),
        pytest.param(
            '{"instances": [{"features": [1, 2, 3, true]}]}', "application/json", 1, "3", ("true",), id="true"
        ),
        pytest.param(
            '{"instances": [{"features": [1, NaN, 3, 4]}]}',
            "application/json",
            1,
            "1",
            ("finite",),
            id="JSON NaN",
        ),
        pytest.param('{"instances": 3}', "application/json", None, None, ("instances",), id="instances is 3"),
        pytest.param("[" * 5000, "application/json", None, None, ("JSON",), id="deep"),
        pytest.param("{", "application/json", None, None, ("JSON",), id="broken JSON"),
        pytest.param(
            f'{{"features": [{ROW}]}}\n{{"features": ',
            "application/jsonlines",
            2,
            None,
            ("JSON",),
            id="broken line",
        ),
    ],
)
def test_a_row_that_cannot_be_predicted_is_named(
    street: Street, body: str, content_type: str, row: int | None, column: str | None, words: tuple[str, ...]
) -> None:
    answer = street.invoke("iris-knn", body, content_type=content_type)
    assert answer.status == 400, answer.text
    assert answer.headers["x-amzn-ErrorType"] == "ValidationError"
    assert (answer.json.get("row"), answer.json.get("column")) == (row, column)
    for word in words:
        assert word in answer.json["message"]
    assert "Traceback" not in answer.text


def test_a_body_of_six_mebibytes_is_taken_and_one_byte_more_is_not(street: Street) -> None:
    line = (ROW + "\n").encode()
    body = (line * (MIB_6 // len(line)))[: MIB_6 - MIB_6 % len(line)]
    body += b"\n" * (MIB_6 - len(body))
    assert len(body) == MIB_6
    taken = street.invoke("iris-knn", body)
    assert taken.status == 200, taken.text[:500]
    assert len(taken.json["predictions"]) == MIB_6 // len(line)
    refused = street.invoke("iris-knn", body + b"\n")
    assert refused.status == 413, refused.text[:500]
    assert "6" in refused.json["message"]


@pytest.mark.parametrize("kind", ["application/x-npy", "image/png", "text/plain", ""])
def test_a_content_type_that_the_model_does_not_read_is_415_and_names_those_it_does(
    street: Street, kind: str
) -> None:
    answer = street.invoke("iris-knn", ROW, content_type=kind)
    assert answer.status == 415, answer.text
    assert "text/csv" in answer.json["message"]


def test_an_answer_that_cannot_be_given_is_406_and_names_those_that_can(street: Street) -> None:
    answer = street.invoke("iris-knn", ROW, accept="image/png")
    assert answer.status == 406, answer.text
    assert "application/jsonlines" in answer.json["message"]


@pytest.mark.parametrize("name", ["ghost", "..", "a%2fb", "iris-knn%00", "%2e%2e%2firis-knn"])
def test_an_endpoint_that_is_not_there_is_404(street: Street, name: str) -> None:
    assert street.invoke(name, ROW).status == 404


def test_other_methods_than_post_do_not_predict(street: Street) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = street.client.send(method, f"{street.base}/endpoints/iris-knn/invocations")
        assert answer.status in {404, 405}, answer.text


def test_a_variant_that_is_not_there_is_refused_with_those_that_are(street: Street) -> None:
    answer = street.invoke("iris-knn", ROW, query="?variant=ghost")
    assert answer.status == 400, answer.text
    assert "AllTraffic" in answer.json["message"]


def test_every_request_is_counted_with_its_error(street: Street, k5: str) -> None:
    def counts() -> dict[str, Any]:
        return dict(street.get(f"endpoints/{k5}/metrics/").json)

    from tests.polling import wait_until

    before = counts()
    for body in (ROW, ROW, "1,2"):
        street.invoke(k5, body)
    wait_until(
        lambda: counts()["requests"] >= before["requests"] + 3, timeout_s=10, what=lambda: str(counts())
    )
    after = counts()
    assert after["requests"] == sum(point["requests"] for point in after["points"])
    assert after["errors_4xx"] >= before["errors_4xx"] + 1
    assert after["p50_ms"] <= after["p90_ms"] <= after["p99_ms"]
