"""Table runs by REST, with the rows that an evaluation process writes."""

from __future__ import annotations

import json

import pytest

from endpoints.models import Endpoint, TableRun
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from tests.api.conftest import Person

ROWS = [
    {"row": 1, "features": ["5.1", "3.5", "1.4", "0.2"], "label": "0", "prediction": "0", "correct": True},
    {"row": 2, "features": ["6.3", "3.3", "6.0", "2.5"], "label": "2", "prediction": "1", "correct": False},
]


@pytest.fixture
def run(alice_at_street: Person) -> TableRun:
    """A run that a worker has carried out."""
    Endpoint.objects.update(status="InService")
    for endpoint in Endpoint.objects.all():
        Endpoint.objects.filter(pk=endpoint.pk).update(live=endpoint.wanted)
    made = alice_at_street.post("endpoints/knn/table-runs/", {"dataset": "knn-test"})
    assert made.status_code == 201, made.content
    result = object_store().put_bytes(
        b"".join(json.dumps(row).encode() + b"\n" for row in ROWS),
        uri(alice_at_street.project.bucket, f"table-runs/{made.json()['uid']}/rows.jsonl"),
    )
    TableRun.objects.update(status="Completed", n_done=2, summary={"accuracy": 0.5}, result_uri=result.uri)
    return TableRun.objects.get()


def test_a_new_run_waits_for_a_worker(alice_at_street: Person, run: TableRun) -> None:
    found = alice_at_street.post("endpoints/knn/table-runs/", {"dataset": "knn-test@1"}).json()
    assert (found["status"], found["dataset"], found["n_rows"]) == ("InProgress", "knn-test@1", 38)
    assert alice_at_street.get("endpoints/knn/table-runs/").json()["count"] == 2


def test_a_finished_run_has_its_summary(alice_at_street: Person, run: TableRun) -> None:
    found = alice_at_street.get(f"endpoints/knn/table-runs/{run.uid}/").json()
    assert (found["status"], found["summary"], found["failure_reason"]) == (
        "Completed",
        {"accuracy": 0.5},
        None,
    )


def test_rows_can_be_read_all_or_only_the_wrong_ones(alice_at_street: Person, run: TableRun) -> None:
    path = f"endpoints/knn/table-runs/{run.uid}/rows/"
    assert alice_at_street.get(path).json()["items"] == ROWS
    assert alice_at_street.get(path, only_wrong="true").json()["items"] == ROWS[1:]
    assert alice_at_street.get(path, offset=1, limit=1).json()["items"] == ROWS[1:]
    assert alice_at_street.get(path, only_wrong="yes").status_code == 400


def test_a_run_of_another_endpoint_is_not_found(alice_at_street: Person, run: TableRun) -> None:
    alice_at_street.post("endpoints/", {"name": "other", "variants": [{"model": "knn"}]})
    assert alice_at_street.get(f"endpoints/other/table-runs/{run.uid}/").status_code == 404


def test_an_unknown_dataset_is_named(alice_at_street: Person, run: TableRun) -> None:
    answer = alice_at_street.post("endpoints/knn/table-runs/", {"dataset": "ghost"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "dataset")
