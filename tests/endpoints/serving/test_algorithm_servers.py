"""The model server with every other built-in algorithm: the answers' form, one by one and together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.contracts.job_folder import JobFolder, csv_text
from tests.endpoints.conftest import IrisParts
from tests.endpoints.serving.replica import ReplicaProcess

pytestmark = pytest.mark.slow

CLASSIFIERS: dict[str, dict[str, str]] = {
    "xgboost": {"num_round": "20", "objective": "multi:softprob", "num_class": "3"},
    "catboost": {"iterations": "40", "loss_function": "MultiClass"},
    "linear-learner": {"predictor_type": "multiclass_classifier", "num_classes": "3"},
    "random-forest": {"predictor_type": "classifier", "n_estimators": "20"},
    "ensemble": {"task": "classifier", "members": "catboost,random-forest,knn", "catboost__iterations": "40"},
}
OTHERS: dict[str, dict[str, str]] = {"kmeans": {"k": "3"}, "pca": {"num_components": "2"}}


def served(
    algorithm: str, given: dict[str, str], iris: IrisParts, root: Path, socket: Path
) -> ReplicaProcess:
    rows = np.array(iris.train)
    channels = {"train": csv_text(rows[:, :-1], rows[:, -1])}
    result = JobFolder(root, algorithm, given, channels).prepare().run()
    assert result.returncode == 0, result.err
    return ReplicaProcess(socket, result.model_dir, ["--algorithm", algorithm])


def answers(server: ReplicaProcess, iris: IrisParts, top: str = "predictions") -> list[dict[str, Any]]:
    """Of all test rows together, once each has been found to be answered the same alone."""
    lines = [",".join(map(str, row[:-1])) for row in iris.test]
    together = json.loads(server.invoke("\n".join(lines).encode())[2])[top]
    alone = [json.loads(server.invoke(line.encode())[2])[top][0] for line in lines]
    assert together == alone
    as_lines = server.invoke("\n".join(lines).encode(), extra="Accept: application/jsonlines\r\n")[2]
    assert [json.loads(line) for line in as_lines.splitlines()] == together
    found: list[dict[str, Any]] = together
    return found


@pytest.mark.parametrize("algorithm", CLASSIFIERS)
def test_a_classifier_answers_probabilities_and_the_label(
    algorithm: str, iris: IrisParts, tmp_path: Path, socket_dir: Path
) -> None:
    with served(algorithm, CLASSIFIERS[algorithm], iris, tmp_path, socket_dir / "s") as server:
        found = answers(server.wait_ready(), iris)
        as_csv = server.invoke(b"5.1,3.5,1.4,0.2\n", extra="Accept: text/csv\r\n")
    assert as_csv[0] == (200 if algorithm == "xgboost" else 406)
    assert algorithm != "xgboost" or sum(map(float, as_csv[2].split(b","))) == pytest.approx(1)
    for one in found:
        assert list(one) == ["score", "predicted_label"]
        assert sum(one["score"]) == pytest.approx(1, abs=1e-5)
        assert one["predicted_label"] == int(np.argmax(one["score"]))
    assert sum(one["predicted_label"] == row[-1] for one, row in zip(found, iris.test, strict=True)) >= 35


@pytest.mark.parametrize("algorithm", ["xgboost", "catboost"])
def test_a_missing_value_is_answered(
    algorithm: str, iris: IrisParts, tmp_path: Path, socket_dir: Path
) -> None:
    with served(algorithm, CLASSIFIERS[algorithm], iris, tmp_path, socket_dir / "s") as server:
        status, _headers, body = server.wait_ready().invoke(b"5.1,,1.4,0.2\n")
        sparse = server.invoke(b"0:5.1 2:1.4 3:0.2\n", "text/libsvm")
    assert (status, json.loads(body)["predictions"][0]["predicted_label"]) == (200, 0)
    assert (sparse[0], sparse[2]) == ((200, body) if algorithm == "xgboost" else (415, sparse[2]))


def test_kmeans_answers_the_nearest_centre_and_its_distance(
    iris: IrisParts, tmp_path: Path, socket_dir: Path
) -> None:
    with served("kmeans", OTHERS["kmeans"], iris, tmp_path, socket_dir / "s") as server:
        for one in answers(server.wait_ready(), iris):
            assert list(one) == ["closest_cluster", "distance_to_cluster"]
            assert one["closest_cluster"] in {0, 1, 2} and one["distance_to_cluster"] >= 0
        as_csv = server.invoke(b"5.1,3.5,1.4,0.2\n", extra="Accept: text/csv\r\n")[2]
    assert as_csv.count(b",") == 1


def test_pca_answers_projections(iris: IrisParts, tmp_path: Path, socket_dir: Path) -> None:
    with served("pca", OTHERS["pca"], iris, tmp_path, socket_dir / "s") as server:
        for one in answers(server.wait_ready(), iris, top="projections"):
            assert list(one) == ["projection"] and len(one["projection"]) == 2
