"""Transform jobs and asynchronous requests by REST; what carries them out is tested elsewhere."""

from __future__ import annotations

import pytest

from endpoints.models import AsyncInvocation, Endpoint, TransformJob
from endpoints.services.endpoints import AsyncInferenceRequest
from mlplatform.core import clock
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from tests.api.conftest import Person

BODY = {"name": "every-row", "model": "knn", "dataset": "knn-test"}


@pytest.fixture
def filtered(alice_at_street: Person) -> dict[str, str]:
    """A request with the filter that the refusal of the unfiltered one names."""
    refused = alice_at_street.post("transform-jobs/", BODY)
    assert refused.status_code == 400, refused.content
    (error,) = refused.json()["errors"]
    assert error["field"] == "input_filter"
    return {**BODY, "input_filter": error["message"].rsplit(" ", 1)[1]}


def test_a_job_is_made_listed_stopped_and_deleted(alice_at_street: Person, filtered: dict[str, str]) -> None:
    alice = alice_at_street
    made = alice.post("transform-jobs/", filtered)
    assert made.status_code == 201, made.content
    assert made.json()["status"] == "InProgress" and made.json()["results"] == []
    assert [one["name"] for one in alice.get("transform-jobs/").json()["items"]] == ["every-row"]
    assert alice.get("transform-jobs/every-row/logs/").json()["text"] == ""
    assert alice.get("transform-jobs/every-row/result/").status_code == 404
    assert alice.delete("transform-jobs/every-row/").status_code == 409
    again = alice.get("transform-jobs/every-row/clone-request/").json()
    assert again["input_filter"] == filtered["input_filter"]
    assert alice.post("transform-jobs/", again).status_code == 201
    assert alice.post("transform-jobs/every-row/stop/", {}).json()["status"] == "Stopped"
    assert alice.post("transform-jobs/every-row/stop/", {}).status_code == 200
    assert alice.delete("transform-jobs/every-row/").status_code == 204


def test_a_result_is_downloaded_and_made_a_dataset(alice_at_street: Person, filtered: dict[str, str]) -> None:
    alice = alice_at_street
    assert alice.post("transform-jobs/", filtered).status_code == 201
    job = TransformJob.objects.get(name="every-row")
    stored = object_store().put_bytes(
        b"0,a\n1,b\n", uri(alice.project.bucket, f"transform-jobs/{job.uid}/1/output/t.out")
    )
    TransformJob.objects.filter(pk=job.pk).update(
        status="Completed", result_uri=stored.uri, result_bytes=stored.size_bytes, ended_at=clock.now()
    )
    found = alice.get("transform-jobs/every-row/result/")
    assert b"".join(found.streaming_content) == b"0,a\n1,b\n"
    assert alice.get("transform-jobs/every-row/").json()["results"][0]["name"] == "t.out"
    made = alice.post("datasets/", {"name": "predicted", "uri": stored.uri, "header": False})
    assert made.status_code == 201, made.content
    assert made.json()["rows"] == 2


def test_asynchronous_requests(alice_at_street: Person) -> None:
    alice = alice_at_street
    endpoint = Endpoint.objects.get(name="knn")
    endpoint.wanted.async_inference = AsyncInferenceRequest().to_json()
    endpoint.wanted.save()
    Endpoint.objects.filter(pk=endpoint.pk).update(status="InService", live=endpoint.wanted)
    assert alice.get("endpoints/knn/").json()["async_inference"]["max_concurrent_per_instance"] == 4
    sent = alice.client.post(
        alice.url("endpoints/knn/async-invocations/"),
        b"1,2,3,4\n",
        content_type="text/csv",
        headers={"X-Amzn-SageMaker-Inference-Id": "mine"},
    )
    assert sent.status_code == 202, sent.content
    assert sent["X-Amzn-SageMaker-OutputLocation"] == sent.json()["output_uri"]
    assert alice.get("endpoints/knn/async-invocations/mine/").json()["status"] == "Pending"
    assert alice.get("endpoints/knn/async-invocations/mine/output/").status_code == 409
    assert len(alice.get("endpoints/knn/async-invocations/", status="Pending").json()["items"]) == 1
    row = AsyncInvocation.objects.get(inference_id="mine")
    object_store().put_bytes(b"{}", row.output_uri)
    AsyncInvocation.objects.filter(pk=row.pk).update(status="Completed")
    assert b"".join(alice.get("endpoints/knn/async-invocations/mine/output/").streaming_content) == b"{}"
    named = alice.client.post(
        alice.url("endpoints/knn/async-invocations/"),
        headers={"X-Amzn-SageMaker-InputLocation": row.input_uri},
    )
    assert named.status_code == 202, named.content
    late = alice.client.post(
        alice.url("endpoints/knn/async-invocations/"),
        b"1\n",
        content_type="text/csv",
        headers={"X-Amzn-SageMaker-InvocationTimeoutSeconds": "9999"},
    )
    assert late.status_code == 400 and late.json()["errors"][0]["field"] == "timeout_s"
