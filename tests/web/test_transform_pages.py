"""Pages of transform jobs and of asynchronous requests: every state, what forms refuse and keep, who may do what."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from endpoints.models import AsyncInvocation, Endpoint, Model, TransformJob
from endpoints.services.endpoints import AsyncInferenceRequest
from endpoints.services.transform_outcome import failure_words
from mlplatform.core import clock
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new, uri
from mlplatform.core.status import FailureKind
from mlplatform.core.storage.objects import object_store
from tests.web.conftest import Visitor, visitor


def job_made(who: Visitor, name: str, **values: Any) -> TransformJob:
    now = clock.now()
    given: dict[str, Any] = {
        "project": who.project,
        "model": Model.objects.get(name="knn", project=who.project),
        "uid": uid_new(),
        "uri": uri(who.project.bucket, "in.csv"),
        "instance_type": "local.cpu",
        "queue": "cpu",
        "log": log_stream_create(),
        "created_by": who.user,
        "created_at": now - timedelta(minutes=2),
    }
    return TransformJob.objects.create(name=name, **(given | values))


def completed(who: Visitor, name: str, content: bytes) -> TransformJob:
    uid = uid_new()
    stored = object_store().put_bytes(
        content, uri(who.project.bucket, f"transform-jobs/{uid}/1/output/in.csv.out")
    )
    now = clock.now()
    return job_made(
        who,
        name,
        uid=uid,
        status="Completed",
        attempt=1,
        result_uri=stored.uri,
        result_bytes=stored.size_bytes,
        started_at=now - timedelta(minutes=1),
        ended_at=now,
        billable_s=60,
        progress={"n_rows": 2, "n_done": 2, "fraction": 1.0, "eta_s": None},
    )


def page_of(who: Visitor, page: str, query: dict[str, Any] | None = None, **kwargs: Any) -> str:
    response = who.get(page, query, **kwargs)
    assert response.status_code == 200, response.content.decode()[:2000]
    return str(response.content.decode())


@pytest.mark.parametrize("tab", ["overview", "result", "logs", "api"])
def test_every_state_has_its_page(alice_at_street: Visitor, tab: str) -> None:
    alice = alice_at_street
    bob = visitor("bob", alice.project, alice.role.__class__.VIEWER)
    failure = failure_words(FailureKind.DATA_ERROR, "record 6: <b>no</b>") | {"row": 6, "object": "in.csv"}
    completed(alice, "done", b"<b>1</b>,2\n3,4\n")
    completed(alice, "lines", b'{"a": 1}\n')
    completed(alice, "binary", b"\x00\x01")
    job_made(
        alice, "runs", lease_owner="w", progress={"n_rows": None, "n_done": 7, "fraction": 0.4, "eta_s": 9.0}
    )
    job_made(alice, "waits")
    job_made(alice, "failed", status="Failed", failure=failure, ended_at=clock.now())
    job_made(alice, "stopped", status="Stopped", ended_at=clock.now())
    for name in ("done", "lines", "binary", "runs", "waits", "failed", "stopped"):
        page = page_of(bob, "transform_job", {"tab": tab}, name=name)
        assert name in page and "<b>" not in page
        assert bob.url("transform_job_delete", name=name) not in page
    listed = page_of(bob, "transform_jobs")
    assert "7 transform jobs" in listed and "record 6" in listed
    assert "No transform job matches" in page_of(bob, "transform_jobs", {"search": "nothing"})


def test_the_form_previews_refuses_and_makes(alice_at_street: Visitor) -> None:
    alice = alice_at_street
    values = {"model": "knn", "dataset": "knn-test", "name": "mine", "input_filter": "$"}
    shown = alice.post("transform_job_new", values | {"intent": "preview"})
    assert b"Without the label column" in shown.content
    refused = alice.post("transform_job_new", values)
    assert refused.status_code == 400 and b"leave the label" in refused.content
    wrong = alice.post("transform_job_new", values | {"intent": "preview", "input_filter": "$["})
    assert b"cannot be read at character 3" in wrong.content
    leaves_out = shown.content.decode().split('data-filter="')[1].split('"')[0]
    assert b"curl -X POST" in alice.post("transform_job_new", values | {"intent": "api"}).content
    assert b"whole number" in alice.post("transform_job_new", values | {"max_concurrent": "x"}).content
    made = alice.post("transform_job_new", values | {"input_filter": leaves_out})
    assert made.status_code == 302
    assert 'value="$' in page_of(alice, "transform_job_new", {"clone": "mine"})
    alice.post("transform_job_stop", name="mine")
    assert TransformJob.objects.get(name="mine").status == "Stopped"
    assert "Delete transform job mine?" in page_of(alice, "transform_job_delete", name="mine")
    alice.post("transform_job_delete", name="mine")
    assert not TransformJob.objects.filter(name="mine").exists()


def test_the_result_becomes_a_dataset(alice_at_street: Visitor) -> None:
    completed(alice_at_street, "done", b"a,b\n1,2\n3,4\n")
    response = alice_at_street.post("transform_job_dataset", {"dataset": "kept"}, name="done")
    assert response.status_code == 302 and response["Location"].endswith("/datasets/kept/")
    again = alice_at_street.post("transform_job_dataset", {"dataset": "kept"}, name="done")
    assert again["Location"].endswith("/transform-jobs/done/")


def test_asynchronous_requests_are_sent_and_followed(alice_at_street: Visitor) -> None:
    alice = alice_at_street
    assert "answers at once" in page_of(alice, "endpoint-async", name="knn")
    endpoint = Endpoint.objects.get(name="knn")
    endpoint.wanted.async_inference = AsyncInferenceRequest().to_json()
    endpoint.wanted.save()
    Endpoint.objects.filter(pk=endpoint.pk).update(status="InService", live=endpoint.wanted)
    assert "Asynchronous requests" in page_of(alice, "endpoint-detail", name="knn")
    assert 'value="1" checked' in page_of(alice, "endpoint-edit", name="knn")
    sent = alice.post("endpoint-async", {"body": "1,2,3,4"}, name="knn")
    assert sent.status_code == 302, sent.content
    assert "is empty" in alice.post("endpoint-async", {"body": ""}, name="knn").content.decode()
    row = AsyncInvocation.objects.get()
    object_store().put_bytes(b"{}", row.failure_uri)
    AsyncInvocation.objects.filter(pk=row.pk).update(
        status="Failed",
        failure={"status": 400, "code": "x", "message": "<b>why</b> " + "so " * 60 + "at last"},
        ended_at=clock.now(),
    )
    page = page_of(alice, "endpoint-async", name="knn")
    assert row.inference_id in page and "<b>" not in page
    assert "so at last</p>" in page and row.failure_uri in page
    assert alice.url("endpoint-async-output", name="knn", inference_id=row.inference_id) in page
    tried = alice.get("endpoint-detail", {"tab": "try"}, name="knn")
    assert tried["Location"] == alice.url("endpoint-async", name="knn")
    output = alice.get("endpoint-async-output", name="knn", inference_id=row.inference_id)
    assert b"".join(output.streaming_content) == b"{}"
