"""Models and endpoints by REST."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.models import Endpoint, Model
from tests.api.conftest import Person


@pytest.fixture
def alice(alice_at_street: Person) -> Person:
    return alice_at_street


def test_a_model_knows_its_job_labels_and_endpoints(alice: Person) -> None:
    found = alice.get("models/knn/").json()
    assert (found["algorithm"], found["training_job"]) == ("knn", "knn")
    assert len(found["labels"]) == 3
    assert found["endpoints"] == ["knn"]
    assert found["manifest"]["n_features"] == 4
    assert found["artifact_uri"] != alice.get("training-jobs/knn/").json()["artifact_uri"]


def test_a_model_is_made_of_an_archive_too(alice: Person) -> None:
    uri = alice.get("training-jobs/knn/").json()["artifact_uri"]
    made = alice.post("models/", {"name": "copy", "artifact_uri": uri, "algorithm": "knn"})
    assert made.status_code == 201, made.content
    assert made.json()["training_job"] is None
    assert made.json()["artifact_sha256"] == alice.get("models/knn/").json()["artifact_sha256"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"training_job": "knn"}, "name"),
        ({"name": "m"}, "training_job"),
        ({"name": "m", "training_job": "ghost"}, "training_job"),
        (
            {"name": "m", "training_job": "knn", "artifact_uri": "s3://abc/b", "algorithm": "knn"},
            "training_job",
        ),
        ({"name": "m", "artifact_uri": "s3://abc/b", "algorithm": "knn"}, "artifact_uri"),
        ({"name": "m", "artifact_uri": "s3://abc/b"}, "algorithm"),
        ({"name": "m", "training_job": "knn", "environment": {"PATH": "/x"}}, "environment.PATH"),
    ],
)
def test_a_model_that_cannot_be_made_names_the_field(alice: Person, body: dict[str, Any], field: str) -> None:
    answer = alice.post("models/", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert Model.objects.count() == 1


def test_a_model_in_use_is_kept_and_says_by_whom(alice: Person) -> None:
    answer = alice.delete("models/knn/")
    assert answer.status_code == 409
    assert "knn" in answer.json()["detail"]
    assert Model.objects.filter(name="knn").exists()


def test_an_endpoint_shows_variants_replicas_and_where_to_call(alice: Person) -> None:
    found = alice.get("endpoints/knn/").json()
    assert found["status"] == "Creating"
    assert found["variants"] == [
        {
            "name": "AllTraffic",
            "model": "knn",
            "instance_type": "local.cpu",
            "instance_count": 1,
            "weight": 1.0,
            "serverless": None,
            "idle_after_s": None,
        }
    ]
    assert found["serving"] == []
    assert [replica["status"] for replica in found["replicas"]] == ["Pending"]
    assert found["invocations_url"] == "/api/v1/projects/alpha/endpoints/knn/invocations/"
    assert "host" in found["waiting_reason"]


def test_two_variants_share_an_endpoint(alice: Person) -> None:
    variants = [
        {"name": "a", "model": "knn", "weight": 3},
        {"name": "b", "model": "knn", "instance_count": 2},
    ]
    made = alice.post("endpoints/", {"name": "ab", "variants": variants, "tags": {"team": "花"}})
    assert made.status_code == 201, made.content
    assert len(made.json()["replicas"]) == 3
    assert made.json()["tags"] == {"team": "花"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"variants": [{"model": "knn"}]}, "name"),
        ({"name": "e", "variants": []}, "variants"),
        ({"name": "e", "variants": [{"model": "ghost"}]}, "variants.0.model"),
        ({"name": "e", "variants": [{"model": "knn", "weight": -1}]}, "variants.0.weight"),
        ({"name": "e", "variants": [{"model": "knn", "instance_count": 0}]}, "variants.0.instance_count"),
        ({"name": "e", "variants": [{"model": "knn", "instance_type": "x"}]}, "variants.0.instance_type"),
        ({"name": "e", "variants": [{"model": "knn", "memory": 1}]}, "variants.0.memory"),
        ({"name": "e", "variants": [{"model": "knn"}, {"model": "knn"}]}, "variants"),
        ({"name": "e", "variants": [{"model": "knn", "weight": 0}]}, "variants"),
    ],
)
def test_an_endpoint_that_cannot_be_made_names_the_field(
    alice: Person, body: dict[str, Any], field: str
) -> None:
    answer = alice.post("endpoints/", body)
    assert answer.status_code == 400, answer.content
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert Endpoint.objects.count() == 1


def test_an_endpoint_that_is_being_made_cannot_be_changed(alice: Person) -> None:
    assert alice.patch("endpoints/knn/", {"weights": {"AllTraffic": 2}}).status_code == 409


def test_weights_of_an_endpoint_in_service_are_changed(alice: Person) -> None:
    Endpoint.objects.update(status="InService")
    answer = alice.patch("endpoints/knn/", {"weights": {"AllTraffic": 2}})
    assert answer.status_code == 200, answer.content
    assert answer.json()["variants"][0]["weight"] == 2
    assert alice.patch("endpoints/knn/", {"weights": {"ghost": 2}}).status_code == 400
    assert alice.patch("endpoints/knn/", {"weights": {"AllTraffic": 2}, "variants": []}).status_code == 400
    assert alice.patch("endpoints/knn/", {}).status_code == 400


def test_traffic_of_an_endpoint_without_requests_is_all_zero(alice: Person) -> None:
    found = alice.get("endpoints/knn/metrics/", minutes=5).json()
    assert (found["requests"], found["errors"], found["p99_ms"], len(found["points"])) == (0, 0, None, 5)


def test_logs_of_an_endpoint_are_those_of_its_replicas(alice: Person) -> None:
    [found] = alice.get("endpoints/knn/logs/").json()["items"]
    assert (found["variant"], found["text"], found["end"]) == ("AllTraffic", "", False)
    assert alice.get("endpoints/knn/logs/", replica="0" * 26).status_code == 404
    assert alice.get("endpoints/knn/logs/", replica=found["replica"], after=0).json()["count"] == 1


def test_an_invocation_without_a_gateway_is_unavailable(alice: Person) -> None:
    answer = alice.client.post(alice.url("endpoints/knn/invocations/"), b"5,3,1,0\n", content_type="text/csv")
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1


def test_an_invocation_over_six_mebibytes_is_refused(alice: Person) -> None:
    body = b"1" * (6 * 1024 * 1024 + 1)
    answer = alice.client.post(alice.url("endpoints/knn/invocations/"), body, content_type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (413, "RequestEntityTooLarge")


def test_a_table_run_needs_an_endpoint_that_answers(alice: Person) -> None:
    answer = alice.post("endpoints/knn/table-runs/", {"dataset": "knn-test"})
    assert answer.status_code == 409
    assert alice.get("endpoints/knn/table-runs/").json()["count"] == 0


def test_a_deleted_endpoint_that_never_ran_is_gone(alice: Person) -> None:
    assert alice.delete("endpoints/knn/").status_code == 204
    assert alice.get("endpoints/knn/").status_code == 404
    assert not Endpoint.objects.exists()
