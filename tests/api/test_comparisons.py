"""Comparisons by REST."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import TrainingJob
from tests.api.conftest import BASE, Person
from tests.compared import evaluations_made, jobs_made

ADDRESS = f"{BASE}/projects/alpha/comparisons/"


def asked(person: Person, query: str, status: int = 200) -> Any:
    answer = person.client.get(f"{ADDRESS}?{query}")
    assert answer.status_code == status, answer.content
    return answer.json()


@pytest.fixture
def jobs(alice: Person) -> None:
    jobs_made(alice.project, alice.user, 3, n_points=8)


def test_jobs_are_put_side_by_side(jobs: None, bob: Person) -> None:
    found = asked(bob, "name=run-1&name=run-2")
    assert found["kind"] == "training-jobs"
    assert [run["name"] for run in found["runs"]] == ["run-1", "run-2"]
    assert "hyperparameters.k" in found["differing"]
    assert found["equal"]["hyperparameters.predictor_type"] == "classifier"
    accuracy = next(metric for metric in found["metrics"] if metric["name"] == "test:accuracy")
    scores = {run["name"]: run["metrics"]["test:accuracy"] for run in found["runs"]}
    assert accuracy == {
        "name": "test:accuracy",
        "direction": "Maximize",
        "best": [max(scores, key=lambda name: scores[name])],
    }
    assert (found["curve_metrics"], found["curves"]) == (["train:loss"], None)


def test_names_may_be_one_text_and_may_be_searched_for(jobs: None, bob: Person) -> None:
    for query in (
        "names=run-1,run-2,run-3",
        "search=run",
        "all=1",
        "names=run-3&search=run",
        "algorithm=knn",
    ):
        assert len(asked(bob, query)["runs"]) == 3, query


def test_the_curves_of_a_metric_are_added_where_it_is_named(jobs: None, bob: Person) -> None:
    curves = asked(bob, "names=run-2,run-1&metric=train:loss")["curves"]
    assert (curves["metric"], curves["x"]) == ("train:loss", "step")
    assert [series["name"] for series in curves["series"]] == ["run-2", "run-1"]
    assert [point[0] for point in curves["series"][0]["points"]] == list(range(8))


def test_evaluations_are_put_side_by_side(alice: Person, bob: Person) -> None:
    evaluations_made(alice.project, alice.user, 2)
    found = asked(bob, "kind=evaluations&names=eval-1,eval-2&metric=accuracy")
    assert found["curves"]["x"] == "k" and len(found["curves"]["series"][1]["points"]) == 20
    assert set(found["runs"][0]["intervals"]) == {"accuracy", "best_accuracy"}


def test_it_is_a_file_too(jobs: None, bob: Person) -> None:
    answer = bob.client.get(f"{ADDRESS}?search=run&as=csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert "comparison-of-3-training-jobs.csv" in answer["Content-Disposition"]
    header, *rows = b"".join(answer.streaming_content).decode().splitlines()
    assert header.startswith("name,status,created_at,algorithm,hyperparameters.k,")
    assert header.endswith("metrics.billable_s") and len(rows) == 3


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ("", 400, "0 is too few; name 2 to 500"),
        ("name=run-1", 400, "1 is too few"),
        ("name=run-1&name=ghost", 404, "“ghost”"),
        ("name=run-1&name=theirs-1", 404, "“theirs-1”"),
        ("kind=models&search=run", 400, "training-jobs"),
        ("search=run&status=Sleeping", 400, "Sleeping"),
        ("search=run&as=xlsx", 400, "csv"),
        ("search=run&search=run", 400, "given more than once"),
        ("search=run&colour=red", 400, "unknown field"),
        ("name=a%00b&name=run-1", 400, "name"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_a_reason(
    jobs: None, bob: Person, charlie: Person, query: str, status: int, said: str
) -> None:
    jobs_made(charlie.project, charlie.user, 1, prefix="theirs")
    problem = asked(bob, query, status)
    assert said in problem["detail"] + str(problem["errors"])


def test_values_that_no_json_has_are_left_out(jobs: None, bob: Person) -> None:
    TrainingJob.objects.filter(name="run-1").update(final_metrics={"loss": None, "fine": 1.5})
    first, _second = asked(bob, "names=run-1,run-2")["runs"]
    assert first["metrics"]["fine"] == 1.5 and "loss" not in first["metrics"]
