"""Lists: pages that follow one another whatever is added meanwhile, filters and orders from allow-lists."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import TrainingJob
from tests.api.conftest import Person

BODY = {
    "algorithm": "knn",
    "hyperparameters": {"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
    "channels": {"train": {"dataset": "knn-train"}},
}


@pytest.fixture
def alice(alice_at_street: Person) -> Person:
    for number in range(7):
        made = alice_at_street.post("training-jobs/", {**BODY, "name": f"job-{number}"})
        assert made.status_code == 201, made.content
    return alice_at_street


def names(answer: Any) -> list[str]:
    return [item["name"] for item in answer.json()["items"]]


def test_pages_follow_one_another_while_jobs_are_added(alice: Person) -> None:
    first = alice.get("training-jobs/", limit=3).json()
    alice.post("training-jobs/", {**BODY, "name": "newer"})
    seen, cursor = [item["name"] for item in first["items"]], first["next"]
    while cursor:
        page = alice.get("training-jobs/", limit=3, cursor=cursor).json()
        seen, cursor = seen + [item["name"] for item in page["items"]], page["next"]
    assert seen == [f"job-{number}" for number in reversed(range(7))] + ["knn"]
    assert first["count"] == 8


@pytest.mark.parametrize(
    "order", ["created", "-created", "name", "-name", "status", "-algorithm", "instance_type"]
)
def test_every_order_pages_through_all(alice: Person, order: str) -> None:
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": 2, "order": order} | ({"cursor": cursor} if cursor else {})
        page = alice.get("training-jobs/", **query).json()
        seen += [item["name"] for item in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert sorted(seen) == sorted(["knn", *(f"job-{number}" for number in range(7))])


def test_a_list_is_searched_and_filtered(alice: Person) -> None:
    assert names(alice.get("training-jobs/", search="OB-3")) == ["job-3"]
    assert names(alice.get("training-jobs/", status="Completed")) == ["knn"]
    assert names(alice.get("training-jobs/", algorithm="xgboost")) == []
    assert names(alice.get("training-jobs/", search="%")) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": "x"}, "limit"),
        ({"order": "project__account_id"}, "order"),
        ({"order": "created_by__password"}, "order"),
        ({"status": "Running"}, "status"),
        ({"cursor": "forged"}, "cursor"),
        ({"page": 2}, "page"),
    ],
)
@pytest.mark.parametrize("kind", ["training-jobs", "endpoints"])
def test_a_query_that_is_none_is_refused(
    alice_at_street: Person, query: dict[str, Any], field: str, kind: str
) -> None:
    answer = alice_at_street.get(f"{kind}/", **query)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


def test_a_field_given_twice_is_refused(alice_at_street: Person) -> None:
    answer = alice_at_street.client.get(alice_at_street.url("training-jobs/?limit=1&limit=2"))
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "limit")


def test_a_cursor_belongs_to_its_order(alice: Person) -> None:
    cursor = alice.get("training-jobs/", limit=2).json()["next"]
    assert alice.get("training-jobs/", order="name", cursor=cursor).status_code == 400


@pytest.mark.parametrize("kind", ["training-jobs", "datasets", "models", "endpoints"])
def test_a_list_needs_as_many_queries_for_many_as_for_few(
    alice_at_street: Person, kind: str, django_assert_max_num_queries: Any
) -> None:
    for number in range(5):
        body = {
            "training-jobs": {**BODY, "name": f"x-{number}"},
            "datasets": None,
            "models": {"name": f"x-{number}", "training_job": "knn"},
            "endpoints": {"name": f"x-{number}", "variants": [{"model": "knn"}]},
        }[kind]
        if body:
            assert alice_at_street.post(f"{kind}/", body).status_code == 201
    with django_assert_max_num_queries(12):
        assert alice_at_street.get(f"{kind}/").json()["count"] >= 1


def test_jobs_of_another_project_are_in_no_list(alice_at_street: Person, charlie: Person) -> None:
    assert TrainingJob.objects.exists()
    for kind in ("training-jobs", "datasets", "models", "endpoints"):
        assert charlie.get(f"{kind}/").json() == {"items": [], "next": None, "count": 0}
