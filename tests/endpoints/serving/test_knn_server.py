"""The model server with the real k-NN: Iris, row by row and as one batch."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endpoints.conftest import IrisParts, TrainedModel
from tests.endpoints.serving.replica import ReplicaProcess


@pytest.fixture
def knn_server(knn_iris: TrainedModel, tmp_path: Path, socket_dir: Path) -> Iterator[ReplicaProcess]:
    with tarfile.open(knn_iris.archive) as archive:
        archive.extractall(tmp_path / "model", filter="data")
    with ReplicaProcess(socket_dir / "s", tmp_path / "model", ["--algorithm", "knn"]) as process:
        yield process.wait_ready()


def csv(rows: list[list[float]]) -> bytes:
    return "".join(",".join(map(str, row[:-1])) + "\n" for row in rows).encode()


def test_thirty_seven_of_thirty_eight_irises_are_right_one_by_one_and_together(
    knn_server: ReplicaProcess, iris: IrisParts
) -> None:
    together = json.loads(knn_server.invoke(csv(iris.test))[2])["predictions"]
    one_by_one = [json.loads(knn_server.invoke(csv([row]))[2])["predictions"][0] for row in iris.test]
    assert together == one_by_one
    n_right = sum(
        answer["predicted_label"] == row[-1] for answer, row in zip(together, iris.test, strict=True)
    )
    assert (n_right, len(iris.test)) == (37, 38)


def test_json_and_json_lines_answer_the_same_as_csv(knn_server: ReplicaProcess, iris: IrisParts) -> None:
    expected = json.loads(knn_server.invoke(csv(iris.test[:3]))[2])
    instances = [{"features": row[:-1]} for row in iris.test[:3]]
    as_json = knn_server.invoke(json.dumps({"instances": instances}).encode(), "application/json")
    assert json.loads(as_json[2]) == expected
    lines = "\n".join(map(json.dumps, instances)).encode()
    as_lines = knn_server.invoke(lines, "application/jsonlines", extra="Accept: application/jsonlines\r\n")
    assert [json.loads(line) for line in as_lines[2].splitlines()] == expected["predictions"]


def test_verbose_answers_have_the_neighbours_nearest_first(
    knn_server: ReplicaProcess, iris: IrisParts
) -> None:
    extra = "Accept: application/json; verbose=true\r\n"
    for prediction in json.loads(knn_server.invoke(csv(iris.train[:5]), extra=extra)[2])["predictions"]:
        assert set(prediction) == {"predicted_label", "distances", "labels"}
        assert prediction["distances"] == sorted(prediction["distances"])
        assert prediction["distances"][0] == pytest.approx(0, abs=1e-6)
        assert len(prediction["labels"]) == len(prediction["distances"]) == 1
        assert prediction["labels"][0] == prediction["predicted_label"]


def test_the_rows_of_the_neighbours_are_those_of_the_training_data_where_they_are_asked_for(
    knn_server: ReplicaProcess, iris: IrisParts
) -> None:
    extra = "Accept: application/json; verbose=true; rows=true\r\n"
    predictions = json.loads(knn_server.invoke(csv(iris.train[:20]), extra=extra)[2])["predictions"]
    for asked, prediction in zip(iris.train[:20], predictions, strict=True):
        assert list(prediction) == ["predicted_label", "distances", "labels", "rows"]
        [row] = prediction["rows"]
        assert iris.train[row - 1] == asked


def test_the_wrong_number_of_columns_is_refused_with_both_numbers(knn_server: ReplicaProcess) -> None:
    status, _, body = knn_server.invoke(b"1,2,3,4\n1,2,3\n")
    assert status == 400
    assert "row 2: has 3 columns; the model expects 4" in json.loads(body)["message"]


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("text/csv", b"1,2,3,4\n1,many,3,4", "row 2, column '1' (sepal_width): 'many' is not a number"),
        ("text/csv; label_size=1", b"0,1,many,3,4", "row 1, column '2': 'many' is not a number"),
    ],
)
def test_a_bad_cell_is_named_by_number_and_where_it_is_certain_by_feature(
    knn_server: ReplicaProcess, content_type: str, body: bytes, said: str
) -> None:
    assert said in json.loads(knn_server.invoke(body, content_type)[2])["message"]


def test_the_log_has_nothing_of_the_librarys_search_for_its_best_build(knn_server: ReplicaProcess) -> None:
    assert "model loaded" in knn_server.log
    assert "Could not load library" not in knn_server.log


def test_csv_is_not_an_output_type_of_knn(knn_server: ReplicaProcess) -> None:
    assert knn_server.invoke(b"1,2,3,4", extra="Accept: text/csv\r\n")[0] == 406
