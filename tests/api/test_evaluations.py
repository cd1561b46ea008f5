"""Evaluations by REST, with the result that a worker stores."""

from __future__ import annotations

import csv
import io
from array import array
from pathlib import Path
from typing import Any

import pytest

from endpoints.evaluation.predictions import PredictionsHeader, predictions_write
from endpoints.models import Endpoint, Evaluation
from mlplatform.core import clock
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text as _
from mlplatform.core.text import to_json
from tests.api.conftest import Person

LABELS = ("setosa", "versicolor", "virginica")
TRUTH = [0, 1, 2, 2]
PREDICTED = {1: [0, 1, 2, 2], 2: [0, 1, 1, 2]}
RESULT: dict[str, Any] = {
    "kind": "classification",
    "quality": {
        "k": [1, 2],
        "accuracy": [1.0, 0.75],
        "f1_weighted": [1.0, 0.74],
        "f1_macro": [1.0, 0.77],
        "f1_micro": [1.0, 0.75],
        "intervals": {"accuracy": [[0.51, 1.0], [0.3, 0.95]]},
        "confidence": 0.95,
    },
    "labels": list(LABELS),
    "confusions": {"1": [[1, 0, 0], [0, 1, 0], [0, 0, 2]], "2": [[1, 0, 0], [0, 1, 0], [0, 1, 1]]},
    "classes": {
        "2": [
            {"label": name, "precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "intervals": {}}
            for name in LABELS
        ]
    },
    "latency": {
        "batch_size": 4,
        "n_batches": 1,
        "batch_mean_ms": 2.5,
        "batch_p50_ms": 2.5,
        "batch_p90_ms": 2.5,
        "batch_p99_ms": 2.5,
        "n_single": 0,
        "single_mean_ms": None,
        "single_p50_ms": None,
        "single_p90_ms": None,
        "single_p99_ms": None,
        "rows_per_s": 1600.0,
        "intervals": {"batch_mean_ms": [None, None]},
        "batch_ms": [2.5],
        "single_histogram": None,
    },
    "warnings": [to_json(_("Rows without a label, which are not scored: {n}", n=3)), {"template": "{0.x}"}],
}


@pytest.fixture
def served(alice_at_street: Person) -> Person:
    """Alice, whose endpoint `knn` is InService by its row."""
    endpoint = Endpoint.objects.get(name="knn")
    Endpoint.objects.filter(pk=endpoint.pk).update(status="InService", live=endpoint.wanted)
    return alice_at_street


@pytest.fixture
def measured(served: Person, tmp_path: Path) -> Person:
    """And an evaluation `done` that a worker has carried out."""
    made = served.post("evaluations/", {"name": "done", "endpoint": "knn", "dataset": "knn-test"})
    assert made.status_code == 201, made.content
    header = PredictionsHeader(4, 2, (1, 2), LABELS, "u1")
    file = tmp_path / "predictions.bin"
    predictions_write(file, header, array("B", TRUTH), [array("B", row) for row in PREDICTED.values()])
    stored = object_store().put_file(file, uri(served.project.bucket, f"evaluations/{26 * 'a'}/1/p.bin"))
    summary = {"kind": "classification", "k": 2, "k_best": 1, "best": 1.0, "value": 0.75}
    Evaluation.objects.update(
        status="Completed", result=RESULT, summary=summary, result_uri=stored.uri, ended_at=clock.now()
    )
    return served


def test_a_new_evaluation_waits_for_a_worker(served: Person) -> None:
    asked = {"endpoint": "knn", "dataset": "knn-test@1", "k_max": 1, "tags": {"study": "one"}}
    made = served.post("evaluations/", asked)
    assert made.status_code == 201, made.content
    found = made.json()
    assert found["name"].startswith("knn-")
    assert (found["status"], found["dataset"], found["variant"]) == ("InProgress", "knn-test@1", "AllTraffic")
    assert (found["k_max"], found["batches"], found["single_requests"]) == (1, 100, 2000)
    assert (found["quality"], found["latency"], found["summary"], found["progress"]) == (None, None, None, {})
    assert (found["facts"]["k"], found["facts"]["sample_size"]) == (1, 112)
    assert found["facts"]["hyperparameters"]["predictor_type"] == "classifier"
    assert (found["model"], found["training_job"], found["tags"]) == ("knn", "knn", {"study": "one"})
    assert "manage.py worker" in found["waiting_reason"]
    assert served.get(f"evaluations/{found['name']}/").json() == found
    (listed,) = served.get("evaluations/").json()["items"]
    assert listed == {name: found[name] for name in listed}
    assert {"quality", "facts"}.isdisjoint(listed)


def test_a_request_that_is_repeated_makes_one(served: Person) -> None:
    asked = {"endpoint": "knn", "dataset": "knn-test"}
    first, again = (served.post("evaluations/", asked, **{"Idempotency-Key": "e-1"}) for _turn in range(2))
    assert first.json() == again.json()
    assert Evaluation.objects.count() == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"endpoint": "ghost"}, "endpoint"),
        ({"dataset": "ghost"}, "dataset"),
        ({"k_max": 2}, "k_max"),
        ({"k_max": 0}, "k_max"),
        ({"k_max": "1"}, "k_max"),
        ({"batches": 10_001}, "batches"),
        ({"single_requests": 100_001}, "single_requests"),
        ({"variant": "B"}, "variant"),
        ({"name": "no name"}, "name"),
        ({"latency": True}, "latency"),
    ],
)
def test_a_field_that_is_wrong_is_named(served: Person, changed: dict[str, Any], field: str) -> None:
    answer = served.post("evaluations/", {"endpoint": "knn", "dataset": "knn-test"} | changed)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_an_endpoint_that_is_not_in_service_is_a_conflict(alice_at_street: Person) -> None:
    answer = alice_at_street.post("evaluations/", {"endpoint": "knn", "dataset": "knn-test"})
    assert answer.status_code == 409
    assert "wait until it is InService" in answer.json()["detail"]


def test_a_finished_one_has_quality_by_k_and_latency(measured: Person) -> None:
    found = measured.get("evaluations/done/").json()
    assert (found["status"], found["failure_reason"], found["summary"]["best"]) == ("Completed", None, 1.0)
    assert found["quality"]["k"] == [1, 2] and found["quality"]["accuracy"] == [1.0, 0.75]
    assert found["latency"]["batch_mean_ms"] == 2.5
    assert found["progress"] == {}
    Evaluation.objects.update(progress={"stage": "statistics", "fraction": 0.946, "eta_s": 0.5})
    told = measured.get("evaluations/done/").json()["progress"]
    assert told == {"stage": "statistics", "fraction": 1.0, "eta_s": None}
    assert found["confusions"]["2"][2] == [0, 1, 1]
    assert found["warnings"][0] == "Rows without a label, which are not scored: 3"
    assert len(found["warnings"]) == 2, "what is no plain template is shown as it is"


def test_rows_can_be_read_by_k_label_prediction_and_only_the_wrong_ones(measured: Person) -> None:
    path = "evaluations/done/rows/"
    all_rows = measured.get(path).json()
    assert (all_rows["count"], all_rows["next"]) == (4, None)
    assert all_rows["items"][2] == {
        "row": 3,
        "label": "virginica",
        "prediction": "versicolor",
        "correct": False,
    }
    for wrong in ("1", "true"):
        assert [row["row"] for row in measured.get(path, wrong=wrong).json()["items"]] == [3]
    assert measured.get(path, k=1, wrong=1).json()["count"] == 0
    assert measured.get(path, label="virginica").json()["count"] == 2
    assert measured.get(path, prediction="versicolor").json()["count"] == 2
    page = measured.get(path, offset=1, limit=2).json()
    assert ([row["row"] for row in page["items"]], page["count"]) == ([2, 3], 4)
    for field, value in {
        "k": 9,
        "label": "lily",
        "prediction": "lily",
        "limit": 1001,
        "wrong": "yes",
    }.items():
        refused = measured.get(path, **{field: value})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, field)


def test_tables_are_json_or_files(measured: Person) -> None:
    accuracy = measured.get("evaluations/done/tables/accuracy/").json()
    assert accuracy["rows"][1]["accuracy"] == 0.75 and accuracy["rows"][1]["accuracy_low"] == 0.3
    assert {"row": 0, "column": "accuracy", "mark": "best"} in accuracy["marks"]
    file = measured.get("evaluations/done/tables/confusion/", k=1, **{"as": "csv"})
    assert file["Content-Disposition"] == 'attachment; filename="done-confusion.csv"'
    rows = list(csv.reader(io.StringIO(b"".join(file.streaming_content).decode())))
    assert rows[0] == ["label", *LABELS] and rows[3] == ["virginica", "0", "0", "2"]
    assert measured.get("evaluations/done/tables/latency/").json()["rows"][0]["measure"] == "batch_mean_ms"
    assert len(measured.get("evaluations/done/tables/classes/").json()["rows"]) == 3
    assert measured.get("evaluations/done/tables/classes/", k=1).json()["rows"] == []
    assert measured.get("evaluations/done/tables/prices/").status_code == 404
    assert measured.get("evaluations/done/tables/latency/", **{"as": "xls"}).status_code == 400


def test_stopping_and_deleting(served: Person) -> None:
    served.post("evaluations/", {"name": "mine", "endpoint": "knn", "dataset": "knn-test"})
    assert served.delete("evaluations/mine/").status_code == 409
    assert served.post("evaluations/mine/stop/").json()["status"] == "Stopped"
    assert served.post("evaluations/mine/stop/", {}).json()["status"] == "Stopped"
    assert served.delete("evaluations/mine/").status_code == 204
    assert served.get("evaluations/mine/").status_code == 404


def test_one_that_has_ended_cannot_be_stopped(measured: Person) -> None:
    assert measured.post("evaluations/done/stop/").status_code == 409


def test_lists_are_searched_and_filtered(measured: Person) -> None:
    assert measured.get("evaluations/", search="don", status="Completed", endpoint="knn").json()["count"] == 1
    assert measured.get("evaluations/", status="Failed").json()["count"] == 0
    assert measured.get("evaluations/", order="-dataset").status_code == 200
    assert measured.get("evaluations/", order="uid").status_code == 400
