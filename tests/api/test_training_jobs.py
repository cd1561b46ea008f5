"""Training jobs by REST: what a finished one shows, what a request may say, stop and delete."""

from __future__ import annotations

import io
import itertools
import tarfile
from typing import Any

import pytest

from jobs.models import TrainingJob
from tests.api.conftest import Person

REQUEST = {
    "name": "job",
    "algorithm": "knn",
    "hyperparameters": {"k": 1, "predictor_type": "classifier", "feature_dim": "4", "sample_size": 112},
    "channels": {"train": {"dataset": "knn-train"}, "test": {"dataset": "knn-test", "input_mode": "Pipe"}},
}


@pytest.fixture
def alice(alice_at_street: Person) -> Person:
    return alice_at_street


def refused(answer: Any, *fields: str) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()
    assert answer.status_code == 400, found
    assert [error["field"] for error in found["errors"]] == list(fields)
    return found


def test_a_finished_job_tells_what_happened_to_it(alice: Person) -> None:
    found = alice.get("training-jobs/knn/").json()
    assert (found["status"], found["secondary_status"]) == ("Completed", "Completed")
    assert found["failure"] is found["failure_reason"] is found["waiting_reason"] is None
    steps = found["secondary_status_transitions"]
    assert [step["status"] for step in steps] == [
        "Pending",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert all(step["ended_at"] == after["started_at"] for step, after in itertools.pairwise(steps))
    assert found["hyperparameters"]["k"] == "1"
    assert found["channels"]["train"]["dataset"] == "knn-train@1"
    assert found["channels"]["train"]["uri"].startswith("s3://")
    assert found["billable_s"] >= 0
    assert found["created_by"] == "alice"


def test_iris_with_one_neighbour_is_right_in_37_of_38(alice: Person) -> None:
    found = alice.get("training-jobs/knn/").json()
    assert found["final_metrics"]["test:accuracy"] == pytest.approx(37 / 38, abs=1e-4)
    log = alice.get("training-jobs/knn/logs/").json()
    assert log["end"]
    assert "#quality_metric: host=algo-1, test accuracy <score>=0.9736" in log["text"]
    assert len(log["times"]) == log["text"].count("\n")


def test_a_log_can_be_read_in_pieces(alice: Person) -> None:
    whole = alice.get("training-jobs/knn/logs/").json()
    after, text = 0, ""
    for _ in range(1000):
        piece = alice.get("training-jobs/knn/logs/", after=after, limit_bytes=1).json()
        text, after = text + piece["text"], piece["next"]
        if piece["end"]:
            break
    assert text == whole["text"]
    assert after == whole["next"]
    assert alice.get("training-jobs/knn/logs/", after=10**9).json()["text"] == ""


def test_a_log_can_be_opened_at_its_end(alice: Person) -> None:
    whole = alice.get("training-jobs/knn/logs/").json()
    lines = whole["text"].splitlines(keepends=True)
    end = alice.get("training-jobs/knn/logs/", tail=3).json()
    assert end["text"] == "".join(lines[-3:])
    assert (end["first_line"], end["next"], end["end"]) == (len(lines) - 2, whole["next"], True)
    assert alice.get("training-jobs/knn/logs/", tail=2000).json()["text"] == whole["text"]


@pytest.mark.parametrize(
    "query", [{"after": -1}, {"after": "x"}, {"limit_bytes": 0}, {"from": 0}, {"tail": -1}, {"tail": 2001}]
)
def test_a_place_in_a_log_that_is_none_is_refused(alice: Person, query: dict[str, Any]) -> None:
    refused(alice.get("training-jobs/knn/logs/", **query), next(iter(query)))


def test_metrics_come_with_their_points(alice: Person) -> None:
    series = {item["name"]: item for item in alice.get("training-jobs/knn/metrics/").json()["items"]}
    accuracy = series["test:accuracy"]
    assert accuracy["n_points"] == len(accuracy["points"]) == 1
    assert accuracy["points"][0][1:] == [0, accuracy["last"]]


def test_the_artifact_is_a_model_archive(alice: Person) -> None:
    answer = alice.get("training-jobs/knn/artifact/")
    content = b"".join(answer.streaming_content)
    assert answer.headers["Content-Type"] == "application/gzip"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert len(content) == int(answer.headers["Content-Length"])
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert {"model_algo-1", "manifest.json"} <= set(archive.getnames())


def test_a_new_job_waits_and_says_why(alice: Person) -> None:
    answer = alice.post("training-jobs/", REQUEST)
    assert answer.status_code == 201, answer.content
    found = answer.json()
    assert (found["status"], found["secondary_status"]) == ("InProgress", "Pending")
    assert "cpu" in found["waiting_reason"]
    assert found["channels"]["test"]["input_mode"] == "Pipe"
    assert alice.get("training-jobs/job/artifact/").status_code == 404


def test_a_job_without_a_name_gets_one(alice: Person) -> None:
    found = alice.post("training-jobs/", {**REQUEST, "name": None}).json()
    assert found["name"].startswith("knn-")


def test_a_repeated_request_with_a_key_starts_one_job(alice: Person) -> None:
    body = {key: value for key, value in REQUEST.items() if key != "name"}
    first = alice.post("training-jobs/", body, **{"Idempotency-Key": "job-1"})
    again = alice.post("training-jobs/", body, **{"Idempotency-Key": "job-1"})
    assert first.json()["name"] == again.json()["name"]
    assert TrainingJob.objects.count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "../etc"}, "name"),
        ({"algorithm": "kmn"}, "algorithm"),
        ({"instance_type": "ml.huge"}, "instance_type"),
        ({"instance_count": 2}, "instance_count"),
        ({"max_runtime_s": 0}, "max_runtime_s"),
        ({"max_runtime_s": "60"}, "max_runtime_s"),
        ({"environment": {"LD_PRELOAD": "x"}}, "environment.LD_PRELOAD"),
        ({"environment": {"A": 1}}, "environment.A"),
        ({"tags": {"a": 1}}, "tags.a"),
        ({"scripts": {}}, "scripts"),
        ({"metric_definitions": [{"name": "a", "regex": "(a+)+(?=b)"}]}, "metric_definitions[0].regex"),
        ({"channels": {"train": {"dataset": "ghost"}}}, "channels.train.dataset"),
        ({"channels": {"train": {"dataset": "knn-train", "uri": "s3://abc/b"}}}, "channels.train"),
        ({"channels": {"train": {}}}, "channels.train"),
        ({"channels": {}}, "channels.train"),
        ({"channels": {"train": {"dataset": "knn-train", "mode": "File"}}}, "channels.train.mode"),
        ({"hyperparameters": {**REQUEST["hyperparameters"], "k": 0}}, "hyperparameters.k"),
        ({"hyperparameters": {**REQUEST["hyperparameters"], "k": 113}}, "hyperparameters.k"),
        ({"hyperparameters": {**REQUEST["hyperparameters"], "kk": 1}}, "hyperparameters.kk"),
        ({"hyperparameters": {**REQUEST["hyperparameters"], "k": [1]}}, "hyperparameters.k"),
        (
            {"hyperparameters": {**REQUEST["hyperparameters"], "feature_dim": 5}},
            "hyperparameters.feature_dim",
        ),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_started(
    alice: Person, change: dict[str, Any], field: str
) -> None:
    refused(alice.post("training-jobs/", {**REQUEST, **change}), field)
    assert TrainingJob.objects.count() == 1


def test_all_that_is_wrong_is_told_at_once(alice: Person) -> None:
    body = {**REQUEST, "instance_type": "ml.huge", "channels": {"train": {"dataset": "ghost"}}}
    refused(alice.post("training-jobs/", body), "instance_type", "channels.train.dataset")


def test_a_limit_of_instances_is_told_with_its_number(alice: Person) -> None:
    body = {**REQUEST, "instance_type": "ml.p3.2xlarge"}
    statuses = [alice.post("training-jobs/", {**body, "name": f"job-{n}"}) for n in range(5)]
    assert [answer.status_code for answer in statuses] == [201] * 4 + [400]
    assert statuses[-1].json()["code"] == "ResourceLimitExceeded"
    assert "4 instances" in statuses[-1].json()["detail"]


def test_a_name_that_is_taken_is_a_conflict(alice: Person) -> None:
    answer = alice.post("training-jobs/", {**REQUEST, "name": "knn"})
    assert (answer.status_code, answer.json()["code"]) == (409, "ResourceInUse")


def test_a_pending_job_stops_at_once_and_can_then_be_deleted(alice: Person) -> None:
    alice.post("training-jobs/", REQUEST)
    assert alice.delete("training-jobs/job/").status_code == 409
    assert alice.post("training-jobs/job/stop/").json()["status"] == "Stopped"
    assert alice.post("training-jobs/job/stop/", {"force": True}).status_code == 400
    assert alice.delete("training-jobs/job/").status_code == 204
    assert alice.get("training-jobs/job/").status_code == 404


def test_a_job_that_has_ended_cannot_be_stopped(alice: Person) -> None:
    assert alice.post("training-jobs/knn/stop/").status_code in {200, 409}
    assert alice.get("training-jobs/knn/").json()["status"] == "Completed"


def test_metric_definitions_can_be_tried_out(alice: Person) -> None:
    body = {
        "metric_definitions": [{"name": "loss", "regex": "loss=([0-9.]+)"}],
        "text": "epoch 1 loss=0.5\nnothing\nepoch 2 loss=0.25\n",
    }
    found = alice.post("metric-definitions/test/", body).json()
    assert found["items"] == [
        {"name": "loss", "value": 0.5, "line": 1},
        {"name": "loss", "value": 0.25, "line": 3},
    ]


def test_an_expression_that_could_run_away_is_refused_with_the_reason(alice: Person) -> None:
    body = {"metric_definitions": [{"name": "a", "regex": "(a*)\\1"}], "text": "aaaa"}
    assert (
        "RE2"
        in refused(alice.post("metric-definitions/test/", body), "metric_definitions[0].regex")["detail"]
    )


def test_metric_definitions_can_be_tried_out_on_the_log_of_a_job(alice: Person) -> None:
    definitions = [{"name": "accuracy", "regex": "test_accuracy=([0-9.]+)"}]
    body = {"metric_definitions": definitions, "training_job": "knn"}
    answer = alice.post("metric-definitions/test/", body)
    assert answer.status_code == 200
    lines = alice.get("training-jobs/knn/logs/").json()["text"].split("\n")
    found = [n for n, line in enumerate(lines, start=1) if "test_accuracy=" in line]
    assert [match["line"] for match in answer.json()["items"]] == found
    assert alice.post("metric-definitions/test/", body | {"training_job": "none"}).status_code == 404
    refused(alice.post("metric-definitions/test/", body | {"text": "x"}), "text")
