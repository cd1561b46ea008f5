"""Tuning jobs by REST: asked for, looked at, extended, stopped, deleted; their trials and what matters in them."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import TrainingJob, TuningJob, TuningTrial
from jobs.services.tuning_steps import tuning_jobs_step
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from tests.api.conftest import Person

BODY: dict[str, Any] = {
    "name": "search",
    "description": "how many neighbours",
    "strategy": "Random",
    "objective_metric": "test:accuracy",
    "objective_type": "Maximize",
    "ranges": [
        {"name": "k", "type": "Integer", "min": 1, "max": 30},
        {"name": "sample_size", "type": "Integer", "min": 50, "max": 112, "scaling": "Linear"},
    ],
    "max_jobs": 6,
    "max_parallel_jobs": 2,
    "random_seed": 3,
    "algorithm": "knn",
    "static_hyperparameters": {"predictor_type": "classifier", "feature_dim": 4},
    "channels": {"train": {"dataset": "knn-train"}, "test": {"dataset": "knn-test"}},
}


@pytest.fixture
def alice(alice_at_street: Person) -> Person:
    node_beat(kind=NodeKind.WORKER, name="one", started_at=clock.now(), queues=["cpu"])
    return alice_at_street


def trained(value: float) -> None:
    """What a worker would have written of every job that waits."""
    TrainingJob.objects.filter(status="InProgress").update(
        status="Completed",
        secondary_status="Completed",
        final_metrics={"test:accuracy": value},
        ended_at=clock.now(),
    )


def test_a_tuning_job_is_made_carried_on_and_looked_at(alice: Person) -> None:
    answer = alice.post("tuning-jobs/", BODY)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["status"], made["n_trials"], made["best_training_job"]) == ("InProgress", 0, None)
    assert made["arn"].endswith(":hyper-parameter-tuning-job/search")
    assert (
        made["channels"]["train"]["dataset"] == "knn-train@1"
        and "version_uid" not in made["channels"]["train"]
    )
    assert [(found["scaling"], found["chosen"]) for found in made["ranges"]] == [
        ("Auto", "Logarithmic"),
        ("Linear",) * 2,
    ]
    assert alice.get("tuning-jobs/search/").json() == made
    for value in (0.9, 0.97, 0.5):
        tuning_jobs_step()
        trained(value)
    tuning_jobs_step()
    ended = alice.get("tuning-jobs/search/").json()
    assert (ended["status"], ended["ended_because"]) == ("Completed", "all 6 trials have ended")
    assert (ended["n_trials"], ended["n_valued"], ended["n_active"]) == (6, 6, 0)
    assert ended["trial_status_counts"]["Completed"] == 6
    best = ended["best_training_job"]
    assert (best["number"], best["value"]) == (3, 0.97) and best["name"].startswith("search-003-")
    [listed] = alice.get("tuning-jobs/", status="Completed", search="neighbours").json()["items"]
    assert listed == {name: ended[name] for name in listed} and "ranges" not in listed
    assert alice.get("tuning-jobs/", strategy="Grid").json()["items"] == []
    assert alice.get("tuning-jobs/", strategy="Luck").status_code == 400


def test_trials_come_in_pages_by_number_or_by_value(alice: Person) -> None:
    alice.post("tuning-jobs/", BODY)
    for value in (0.9, 0.97, 0.5):
        tuning_jobs_step()
        trained(value)
    tuning_jobs_step()
    first = alice.get("tuning-jobs/search/trials/", order="number", limit=4).json()
    assert [trial["number"] for trial in first["items"]] == [1, 2, 3, 4] and first["count"] == 6
    rest = alice.get("tuning-jobs/search/trials/", order="number", limit=4, cursor=first["next"]).json()
    assert [trial["number"] for trial in rest["items"]] == [5, 6] and rest["next"] is None
    trial = first["items"][0]
    assert trial["training_job"].startswith("search-001-") and trial["training_job_status"] == "Completed"
    assert set(trial["hyperparameters"]) == {"k", "sample_size"} and trial["value"] == 0.9
    by_value = alice.get("tuning-jobs/search/trials/", order="-value").json()["items"]
    assert [trial["value"] for trial in by_value] == [0.97, 0.97, 0.9, 0.9, 0.5, 0.5]
    assert alice.get("tuning-jobs/search/trials/", status="Failed").json()["items"] == []


def test_importance_is_told_or_why_not(alice: Person) -> None:
    alice.post("tuning-jobs/", BODY)
    few = alice.get("tuning-jobs/search/importance/").json()
    assert few["importance"] == {} and few["reason"] == "trials with a value: 0; importance needs 4 or more"
    job = TuningJob.objects.get()
    for number in range(1, 9):
        TuningTrial.objects.create(
            tuning_job=job,
            number=number,
            parameters={"k": str(number), "sample_size": "100"},
            value=float(number),
            status="Completed",
            job_name=f"j{number}",
            created_at=clock.now(),
        )
    found = alice.get("tuning-jobs/search/importance/").json()
    assert (found["evaluator"], found["n_trials"], found["reason"]) == ("fANOVA", 8, None)
    assert list(found["importance"]) == ["k", "sample_size"] and found["importance"]["k"] == 1.0


def test_the_same_key_makes_one(alice: Person) -> None:
    body = {name: value for name, value in BODY.items() if name != "name"}
    answers = [alice.post("tuning-jobs/", body, **{"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["name"] == answers[1].json()["name"] and TuningJob.objects.count() == 1


def test_it_is_extended_stopped_cloned_and_deleted(alice: Person) -> None:
    alice.post("tuning-jobs/", BODY)
    assert alice.post("tuning-jobs/search/extend/", {"max_jobs": 9}).json()["max_jobs"] == 9
    assert (
        alice.post("tuning-jobs/search/extend/", {"max_jobs": 2}).json()["errors"][0]["field"] == "max_jobs"
    )
    assert alice.delete("tuning-jobs/search/").status_code == 409
    tuning_jobs_step()
    assert alice.post("tuning-jobs/search/stop/").json()["status"] == "Stopping"
    for _ in range(2):
        tuning_jobs_step()
    stopped = alice.get("tuning-jobs/search/").json()
    assert (stopped["status"], stopped["ended_because"]) == ("Stopped", "alice stopped it")
    assert alice.post("tuning-jobs/search/stop/").status_code == 409
    assert alice.post("tuning-jobs/search/extend/", {"max_jobs": 12}).status_code == 409
    again = alice.get("tuning-jobs/search/clone-request/").json()
    assert alice.post("tuning-jobs/", again).status_code == 201
    assert alice.client.delete(alice.url("tuning-jobs/search/?with_jobs=true")).status_code == 204
    assert alice.get("tuning-jobs/search/").status_code == 404
    assert not TrainingJob.objects.filter(name__startswith="search-").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"max_jobs": "6"}, "max_jobs"),
        ({"ranges": []}, "ranges"),
        ({"ranges": [{"name": "k", "type": "Integer", "min": "1", "max": 3}]}, "ranges.0.min"),
        ({"ranges": [{"name": "k", "type": "Integer", "min": 9, "max": 3}]}, "ranges.0.min"),
        ({"ranges": [{"name": "kk", "type": "Integer", "min": 1, "max": 3}]}, "ranges.0.name"),
        ({"ranges": [BODY["ranges"][0] | {"max": 300}, BODY["ranges"][1]]}, "ranges.0.max"),
        ({"objective_metric": "accuracy"}, "objective_metric"),
        ({"name": "a" * 33}, "name"),
        ({"hyperband": {"min_resource": 1}}, "hyperband.max_resource"),
        ({"warm_start": {"type": "TransferLearning", "parents": ["ghost"]}}, "warm_start.parents.0"),
        ({"completion": {"target": 1}}, "completion.target"),
        ({"channels": {"train": {"dataset": "ghost"}}}, "channels.train.dataset"),
        ({"algorithm": "ghost"}, "algorithm"),
    ],
)
def test_what_is_wrong_is_named(alice: Person, changes: dict[str, Any], field: str) -> None:
    answer = alice.post("tuning-jobs/", BODY | changes)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]], answer.content
    assert not TuningJob.objects.exists()


def test_neither_algorithm_nor_script_is_told(alice: Person) -> None:
    body = {name: value for name, value in BODY.items() if name != "algorithm"}
    assert alice.post("tuning-jobs/", body).json()["errors"][0]["field"] == "algorithm"


def test_the_console_shows_and_stops_them(alice: Person) -> None:
    alice.post("tuning-jobs/", BODY | {"environment": {"TOKEN": "s3cret"}})
    tuning_jobs_step()
    client = Client()
    client.force_login(User.objects.create_superuser("root", password="a long password"))
    job = TuningJob.objects.get()
    for address in ("tuningjob/", f"tuningjob/{job.pk}/change/", "tuningtrial/"):
        page = client.get(f"/admin/jobs/{address}")
        assert page.status_code == 200 and "search" in page.content.decode()
        assert "s3cret" not in page.content.decode()
    data = {"action": "stop_tuning_jobs", "_selected_action": [job.pk]}
    client.post("/admin/jobs/tuningjob/", data, follow=True)
    job.refresh_from_db()
    assert job.status == "Stopping" and "root" in job.ended_because
