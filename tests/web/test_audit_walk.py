"""Every page of a project that takes a form, from the URL table: refused, broken and done, it is in the audit log.

A page whose event has another name than `mlplatform.web.acts` says fails; one in neither of its tables, in
`test_audit_pages`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile

from endpoints.models import Endpoint, Experiment, ExperimentCell, TransformJob
from endpoints.services.evaluations import evaluation_create, evaluation_stop
from endpoints.services.experiments import experiment_create
from endpoints.services.models import model_create
from endpoints.services.transforms import TransformRequest, transform_job_create, transform_job_stop
from jobs.services.training import ChannelRequest, training_job_create, training_job_stop
from mlplatform.core.models import AuditOutcome, Role
from mlplatform.core.names import uri
from mlplatform.core.people.access import access_key_create
from mlplatform.core.status import CellStatus, EndpointStatus, ExperimentStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.web.acts import ACTIONS
from tests.audited import audit_log_broken, events_after, everything, newest_event_id
from tests.web.conftest import Visitor, visitor
from tests.web.test_endpoint_pages import ROW
from tests.web.test_pages import patterns
from tests.web.tuning import Trials, tuning_make

OWN = {
    "login",
    "logout",
    "password",
    "sign-out-everywhere",
    "project-new",
    "access-key-new",
    "access-key-revoke",
}
"""What any person does for themselves; tried in tests of their own where no other member could be refused."""
FILE = b"a,b,Species\n1,2,x\n3,4,y\n"


@dataclass(frozen=True)
class Act:
    path: dict[str, str] = field(default_factory=dict)
    form: Callable[[], dict[str, Any]] = dict
    before: Callable[[Visitor], dict[str, str] | None] = lambda alice: None
    query: str = ""


def _job(alice: Visitor) -> None:
    training_job_create(
        actor=alice.actor,
        name="waiting",
        algorithm="knn",
        hyperparameters={"k": 1, "predictor_type": "classifier", "feature_dim": 4, "sample_size": 112},
        channels={"train": ChannelRequest(dataset="knn-train")},
    )


def _ended_job(alice: Visitor) -> None:
    _job(alice)
    training_job_stop(actor=alice.actor, name="waiting")


def _tuning_job(alice: Visitor) -> None:
    tuning_make(alice.actor, "tuned", Trials(n=0))


def _ended_tuning_job(alice: Visitor) -> None:
    tuning_make(alice.actor, "tuned", Trials(n=1))


def _in_service(alice: Visitor) -> None:
    endpoint = Endpoint.objects.get(name="knn")
    Endpoint.objects.filter(pk=endpoint.pk).update(live=endpoint.wanted, status=EndpointStatus.IN_SERVICE)


def _evaluation(alice: Visitor) -> None:
    _in_service(alice)
    evaluation_create(actor=alice.actor, name="waiting", endpoint="knn", dataset="knn-test")


def _ended_evaluation(alice: Visitor) -> None:
    _evaluation(alice)
    evaluation_stop(actor=alice.actor, name="waiting")


def _transform_job(alice: Visitor) -> None:
    transform_job_create(actor=alice.actor, request=TransformRequest(name="waiting", **TRANSFORM))


def _ended_transform_job(alice: Visitor) -> None:
    _transform_job(alice)
    transform_job_stop(actor=alice.actor, name="waiting")


def _transformed(alice: Visitor) -> None:
    _ended_transform_job(alice)
    stored = object_store().put_bytes(b"1,2\n3,4\n", uri(alice.project.bucket, "walked.out"))
    TransformJob.objects.filter(name="waiting").update(status="Completed", result_uri=stored.uri)


def _key(alice: Visitor) -> dict[str, str]:
    return {"key_id": access_key_create(user=alice.user, project=alice.project)[0].key_id}


def _model(alice: Visitor) -> None:
    model_create(actor=alice.actor, name="unused", training_job="knn")


def _user(alice: Visitor) -> None:
    User.objects.create_user("dora")


def _member(alice: Visitor) -> None:
    visitor("dora", alice.project, Role.VIEWER)


def _experiment(alice: Visitor) -> None:
    experiment_create(actor=alice.actor, name="grid", preset="knn-small", train="knn-train", test="knn-test")


def _ended_experiment(alice: Visitor) -> None:
    _experiment(alice)
    Experiment.objects.update(status=ExperimentStatus.STOPPED)
    ExperimentCell.objects.update(status=CellStatus.STOPPED)


TRANSFORM = {"model": "knn", "dataset": "knn-test", "input_filter": "$[0:4]"}
EXPERIMENT = {
    "name": "next",
    "algorithm": "knn",
    "train": "knn-train",
    "test": "knn-test",
    "configuration.name": "Flat",
    "configuration.index_type": "faiss.Flat",
    "configuration.more": "",
    "sample_sizes": "100",
    "instance_types": "local.cpu",
    "hp.k": "1",
    "hp.predictor_type": "classifier",
    "unserved": "wait",
    "parallelism": "1",
    "batches": "10",
    "single_requests": "10",
}
JOB = {
    "name": "next",
    "algorithm": "knn",
    "hp.k": "1",
    "hp.predictor_type": "classifier",
    "hp.sample_size": "112",
    "channel.train.dataset": "knn-train",
    "channel.train.input_mode": "File",
    "instance_type": "local.cpu",
    "max_runtime_s": "3600",
    "environment": "",
    "tags": "",
}
EVALUATION = {
    "name": "next",
    "endpoint": "knn",
    "dataset": "knn-test",
    "k_max": "",
    "batches": "10",
    "single_requests": "100",
}
TUNING = {
    "name": "next",
    "algorithm": "knn",
    "objective_metric": "test:accuracy",
    "objective_type": "Maximize",
    "strategy": "Random",
    "max_jobs": "2",
    "max_parallel_jobs": "1",
    "job_max_runtime_s": "3600",
    "instance_type": "local.cpu",
    "channel.train.dataset": "knn-train",
    "channel.test.dataset": "knn-test",
    "param.name": ["k", "predictor_type", "sample_size"],
    "param.kind": ["Integer", "Fixed", "Fixed"],
    "param.value": ["", "classifier", "112"],
    "param.min": ["1", "", ""],
    "param.max": ["9", "", ""],
    "param.step": ["", "", ""],
    "param.scaling": ["Auto", "Auto", "Auto"],
    "param.values": ["", "", ""],
}
ACTS = {
    "member-list": Act(form=lambda: {"username": "dora", "role": "editor"}, before=_user),
    "member-remove": Act({"username": "dora"}, before=_member),
    "access-key-new": Act(form=lambda: {"days": "30"}),
    "access-key-revoke": Act(before=_key),
    "dataset-new": Act(form=lambda: {"name": "next", "sample": "iris"}, query="?from=sample"),
    "dataset-version-new": Act(
        {"name": "knn"}, lambda: {"file": SimpleUploadedFile("two.csv", FILE), "label": "Species"}
    ),
    "dataset-label": Act({"name": "knn"}, lambda: {"label": ""}),
    "dataset-split": Act(
        {"name": "knn"}, lambda: {"first": "a", "second": "b", "share": "0.5", "seed": "0", "shuffle": "on"}
    ),
    "dataset-delete": Act({"name": "knn-test"}),
    "training-job-new": Act(form=lambda: JOB),
    "training-job-stop": Act({"name": "waiting"}, before=_job),
    "training-job-delete": Act({"name": "waiting"}, lambda: {"typed": "waiting"}, _ended_job),
    "training-job-deploy": Act(
        {"name": "knn"}, lambda: {"name": "next", "variant.instance_type": "local.cpu"}
    ),
    "tuning_job_new": Act(form=lambda: TUNING),
    "tuning_job_stop": Act({"name": "tuned"}, before=_tuning_job),
    "tuning_job_extend": Act({"name": "tuned"}, lambda: {"max_jobs": "9"}, _tuning_job),
    "tuning_job_delete": Act({"name": "tuned"}, before=_ended_tuning_job),
    "model-new": Act(form=lambda: {"name": "next", "training_job": "knn"}),
    "model-delete": Act({"name": "unused"}, lambda: {"typed": "unused"}, _model),
    "endpoint-new": Act(form=lambda: {"name": "next", "description": "", **ROW}),
    "endpoint-edit": Act({"name": "knn"}, lambda: ROW | {"variant.instance_count": "2"}, _in_service),
    "endpoint-weights": Act({"name": "knn"}, lambda: ROW | {"variant.weight": "2"}, _in_service),
    "endpoint-delete": Act({"name": "knn"}, lambda: {"typed": "knn"}),
    "endpoint-capture": Act({"name": "knn"}, lambda: {"sampling_percentage": "20", "captures_input": "1"}),
    "evaluation-new": Act(form=lambda: EVALUATION, before=_in_service),
    "evaluation-stop": Act({"name": "waiting"}, before=_evaluation),
    "evaluation-delete": Act({"name": "waiting"}, before=_ended_evaluation),
    "transform_job_new": Act(form=lambda: {"name": "next", **TRANSFORM}),
    "transform_job_stop": Act({"name": "waiting"}, before=_transform_job),
    "transform_job_delete": Act({"name": "waiting"}, before=_ended_transform_job),
    "transform_job_dataset": Act({"name": "waiting"}, lambda: {"dataset": "next"}, _transformed),
    "endpoint-table": Act({"name": "knn"}, lambda: {"dataset": "knn-test"}, _in_service),
    "experiment-new": Act(form=lambda: EXPERIMENT),
    "experiment-stop": Act({"name": "grid"}, before=_experiment),
    "experiment-resume": Act({"name": "grid"}, before=_ended_experiment),
    "experiment-delete": Act({"name": "grid"}, before=_ended_experiment),
}
IN_PROJECT = sorted(name for name, arguments in patterns() if name in ACTIONS and "project" in arguments)


@pytest.mark.parametrize("name", IN_PROJECT)
def test_what_a_page_does_and_what_it_refuses_is_in_the_log(name: str, alice_at_street: Visitor) -> None:
    assert name in ACTS, f"say in ACTS how a form of {name} succeeds"
    act, action, alice = ACTS[name], ACTIONS[name], alice_at_street
    made = act.before(alice) or {}
    url = alice.url(name, **act.path, **made) + act.query
    target = next(iter((act.path | made).values()), "")
    client = alice.client

    if name not in OWN:
        low = visitor("low", alice.project, Role.EDITOR if name.startswith("member") else Role.VIEWER).client
        known = newest_event_id()
        for _ in range(3):
            assert low.post(url, act.form()).status_code == 403
        (refused,) = events_after(known)
        assert (refused.action, refused.outcome, refused.username) == (action, AuditOutcome.REFUSED, "low")
        assert (refused.target, refused.face) == (target, "web")

    client.raise_request_exception = False
    before = everything()
    with audit_log_broken():
        assert client.post(url, act.form()).status_code >= 500
    assert everything() == before, "it was done, although it could not be audited"

    known = newest_event_id()
    answer = client.post(url, act.form())
    assert answer.status_code in {200, 302, 303}, answer.content.decode()
    mine = [event for event in events_after(known) if event.action == action]
    assert [(event.outcome, event.username, event.face) for event in mine] == [("done", "alice", "web")]
    assert (mine[0].address, mine[0].request_id) == ("127.0.0.1", answer["X-Request-Id"])
    assert mine[0].project_name == "alpha"
