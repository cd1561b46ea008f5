"""Every operation that changes something, from the URL table: refused, broken and done, it is in the audit log.

An operation without a request here, or whose service leaves no event of its name, fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from endpoints.models import Endpoint
from endpoints.services.evaluations import evaluation_create, evaluation_stop
from endpoints.services.experiment_steps import experiments_step
from endpoints.services.experiments import experiment_create, experiment_stop
from endpoints.services.models import model_create
from endpoints.services.transforms import TransformRequest, transform_job_create, transform_job_stop
from jobs.services.training import ChannelRequest, training_job_create, training_job_stop
from jobs.services.tuning import TuningRequest, tuning_job_create, tuning_job_stop
from jobs.services.tuning_steps import tuning_jobs_step
from mlplatform.api.refusals import action_of
from mlplatform.core.models import AuditOutcome, Role
from mlplatform.core.people.access import access_key_create
from mlplatform.core.status import EndpointStatus
from tests.api.conftest import BASE, Person, person
from tests.api.test_routes import ROUTES
from tests.audited import audit_log_broken, events_after, everything, newest_event_id

UPLOADS = {"upload_create", "upload_append", "upload_delete"}
TRAFFIC = {
    "endpoint_invoke",
    "async_invocation_create",
    "endpoint_neighbours",
    "metric_definition_test",
    *UPLOADS,
}
"""Predictions, also those that are answered later, trying out a regular expression, and bytes of which nothing was made
yet."""


@dataclass(frozen=True)
class Act:
    """What makes an operation succeed: values of its path, its body, what has to be there before."""

    path: dict[str, str] = field(default_factory=dict)
    body: Callable[[], Any] = dict
    before: Callable[[Person], dict[str, str] | None] = lambda alice: None
    multipart: bool = False
    role: Role = Role.VIEWER
    """The highest role that may not do it; every member may make and revoke keys of their own."""
    may_all: bool = False


def _job(alice: Person) -> None:
    training_job_create(
        actor=alice.actor,
        name="waiting",
        algorithm="knn",
        hyperparameters={"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
        channels={"train": ChannelRequest(dataset="knn-train")},
    )


def _ended_job(alice: Person) -> None:
    _job(alice)
    training_job_stop(actor=alice.actor, name="waiting")


def _in_service(alice: Person) -> None:
    endpoint = Endpoint.objects.get(name="knn")
    Endpoint.objects.filter(pk=endpoint.pk).update(live=endpoint.wanted, status=EndpointStatus.IN_SERVICE)


def _evaluation(alice: Person) -> None:
    _in_service(alice)
    evaluation_create(actor=alice.actor, name="waiting", endpoint="knn", dataset="knn-test")


def _ended_evaluation(alice: Person) -> None:
    _evaluation(alice)
    evaluation_stop(actor=alice.actor, name="waiting")


TRANSFORM = {"model": "knn", "dataset": "knn-test", "input_filter": "$[0:4]"}


def _transform_job(alice: Person) -> None:
    transform_job_create(actor=alice.actor, request=TransformRequest(name="waiting", **TRANSFORM))


def _ended_transform_job(alice: Person) -> None:
    _transform_job(alice)
    transform_job_stop(actor=alice.actor, name="waiting")


def _experiment(alice: Person) -> None:
    experiment_create(actor=alice.actor, name="study", preset="knn-small", **KNN_DATA)


def _stopped_experiment(alice: Person) -> None:
    _experiment(alice)
    experiment_stop(actor=alice.actor, name="study")
    experiments_step()


TUNING = {
    "name": "next",
    "algorithm": "knn",
    "objective_metric": "test:accuracy",
    "objective_type": "Maximize",
    "ranges": [{"name": "k", "type": "Integer", "min": 1, "max": 9}],
    "max_jobs": 4,
    "static_hyperparameters": {"predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
    "channels": {"train": {"dataset": "knn-train"}, "test": {"dataset": "knn-test"}},
}


def _tuning_job(alice: Person) -> None:
    channels = {name: ChannelRequest(dataset=f"knn-{name}") for name in ("train", "test")}
    tuning_job_create(
        actor=alice.actor, request=TuningRequest(**{**TUNING, "name": "search", "channels": channels})
    )


def _ended_tuning_job(alice: Person) -> None:
    _tuning_job(alice)
    tuning_job_stop(actor=alice.actor, name="search")
    tuning_jobs_step()


def _key(alice: Person) -> dict[str, str]:
    return {"key_id": access_key_create(user=alice.user, project=alice.project)[0].key_id}


def _model(alice: Person) -> None:
    model_create(actor=alice.actor, name="unused", training_job="knn")


def _member(alice: Person) -> None:
    person("dora", alice.project, Role.VIEWER)


JOB = {
    "name": "next",
    "algorithm": "knn",
    "hyperparameters": {"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
    "channels": {"train": {"dataset": "knn-train"}},
}
KNN_DATA = {"train": "knn-train", "test": "knn-test"}
ACTS = {
    "member_set": Act({"username": "dora"}, lambda: {"role": "editor"}, _member, role=Role.EDITOR),
    "member_remove": Act({"username": "dora"}, before=_member, role=Role.EDITOR),
    "access_key_create": Act(body=lambda: {"description": "walk"}, may_all=True),
    "access_key_revoke": Act(before=_key, may_all=True),
    "dataset_create": Act(body=lambda: {"name": "next", "sample": "iris"}),
    "dataset_update": Act({"name": "knn"}, lambda: {"description": "walked"}),
    "dataset_delete": Act({"name": "knn-test"}),
    "dataset_split": Act({"name": "knn"}, lambda: {"fractions": {"a": 0.5, "b": 0.5}}),
    "dataset_version_create": Act(
        {"name": "knn"},
        lambda: {"file": SimpleUploadedFile("two.csv", b"a,b,Species\n1,2,x\n3,4,y\n"), "label": "Species"},
        multipart=True,
    ),
    "source_create": Act(body=lambda: {"files": {"train.py": "print(1)"}}),
    "training_job_create": Act(body=lambda: JOB),
    "training_job_stop": Act({"name": "waiting"}, before=_job),
    "training_job_delete": Act({"name": "waiting"}, before=_ended_job),
    "tuning_job_create": Act(body=lambda: TUNING),
    "tuning_job_stop": Act({"name": "search"}, before=_tuning_job),
    "tuning_job_extend": Act({"name": "search"}, lambda: {"max_jobs": 6}, _tuning_job),
    "tuning_job_delete": Act({"name": "search"}, before=_ended_tuning_job),
    "model_create": Act(body=lambda: {"name": "next", "training_job": "knn"}),
    "model_delete": Act({"name": "unused"}, before=_model),
    "endpoint_create": Act(body=lambda: {"name": "next", "variants": [{"model": "knn"}]}),
    "endpoint_update": Act({"name": "knn"}, lambda: {"weights": {"AllTraffic": 2.0}}, _in_service),
    "data_capture_update": Act({"name": "knn"}, lambda: {"enabled": True}),
    "endpoint_delete": Act({"name": "knn"}),
    "evaluation_create": Act(
        body=lambda: {"name": "next", "endpoint": "knn", "dataset": "knn-test"}, before=_in_service
    ),
    "evaluation_stop": Act({"name": "waiting"}, before=_evaluation),
    "evaluation_delete": Act({"name": "waiting"}, before=_ended_evaluation),
    "transform_job_create": Act(body=lambda: {"name": "next", **TRANSFORM}),
    "transform_job_stop": Act({"name": "waiting"}, before=_transform_job),
    "transform_job_delete": Act({"name": "waiting"}, before=_ended_transform_job),
    "experiment_create": Act(body=lambda: {"name": "next", "preset": "knn-small", **KNN_DATA}),
    "experiment_stop": Act({"name": "study"}, before=_experiment),
    "experiment_resume": Act({"name": "study"}, before=_stopped_experiment),
    "experiment_delete": Act({"name": "study"}, before=_stopped_experiment),
    "table_run_create": Act({"name": "knn"}, lambda: {"dataset": "knn-test"}, _in_service),
}
OPERATORS = {"price_sheet_update"}
"""What belongs to no project is audited without one: tests/endpoints/test_costs.py."""
CHANGING = [
    (route, view, method)
    for route, view in ROUTES
    for method in ("POST", "PUT", "PATCH", "DELETE")
    if hasattr(view, method.lower()) and getattr(view, method.lower()).operation.id not in TRAFFIC | OPERATORS
]


def named(value: Any) -> str:
    return value if isinstance(value, str) else ""


def send(client: APIClient, method: str, address: str, act: Act) -> Any:
    format = "multipart" if act.multipart else "json"
    return getattr(client, method.lower())(address, act.body(), format=format)


def address_of(route: str, values: dict[str, str]) -> str:
    parts = (
        values[part[1:-1].rpartition(":")[2]] if part.startswith("<") else part for part in route.split("/")
    )
    return f"{BASE}/{'/'.join(parts)}"


@pytest.mark.parametrize(("route", "view", "method"), CHANGING, ids=named)
def test_whatever_changes_something_leaves_an_event_or_changes_nothing(
    route: str, view: Any, method: str, alice_at_street: Person
) -> None:
    operation = getattr(view, method.lower()).operation.id
    assert operation in ACTS, f"{method} {route}: say in ACTS how {operation} succeeds"
    act, action = ACTS[operation], action_of(view, method)
    alice = alice_at_street
    made = act.before(alice) or {}
    address = address_of(route, {"project": "alpha", **act.path, **made})
    target = next(iter((act.path | made).values()), "")
    client = alice.client
    assert client.get(alice.url("")).status_code == 200  # the key is marked as used

    if not act.may_all:
        low = person("low", alice.project, act.role).client
        known = newest_event_id()
        for _ in range(3):
            assert send(low, method, address, act).status_code == 403
        (refused,) = events_after(known)
        assert (refused.action, refused.outcome, refused.username) == (action, AuditOutcome.REFUSED, "low")
        assert (refused.target, refused.project_id) == (target, alice.project.pk)

    before = everything()
    with audit_log_broken():
        assert send(client, method, address, act).status_code >= 500
    assert everything() == before, "it was done, although it could not be audited"

    known = newest_event_id()
    answer = send(client, method, address, act)
    assert 200 <= answer.status_code < 300, answer.content
    mine = [event for event in events_after(known) if event.action == action]
    assert len(mine) == 1, [event.action for event in events_after(known)]
    (event,) = mine
    assert (event.outcome, event.username, event.user_id) == (AuditOutcome.DONE, "alice", alice.user.pk)
    assert (event.face, event.address, event.request_id) == ("api", "127.0.0.1", answer["X-Request-Id"])
    assert (event.key_id, event.project_name) == (alice.token.partition(".")[0], "alpha")
    if target:
        assert event.target == target


def test_a_repeated_request_that_does_nothing_leaves_no_second_event(alice_at_street: Person) -> None:
    for _ in range(2):
        answer = alice_at_street.post("access-keys/", {"description": "once"}, **{"Idempotency-Key": "k-1"})
        assert answer.status_code == 201
    known = newest_event_id()
    alice_at_street.post("access-keys/", {"description": "once"}, **{"Idempotency-Key": "k-1"})
    assert events_after(known) == []
