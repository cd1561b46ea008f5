"""Asynchronous inference: requests taken in, drained with leases through the gateway, and ended with an object."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from endpoints.async_call import CallAnswer
from endpoints.models import AsyncInvocation, Endpoint, Model
from endpoints.selectors.async_invocations import (
    async_invocation_get,
    async_invocation_list,
    async_output_chunks,
    async_queue,
)
from endpoints.services import async_drain as drain
from endpoints.services import async_invocations
from endpoints.services import async_sweep as sweep
from endpoints.services.async_invocations import async_invocation_create
from endpoints.services.async_sweep import async_sweep
from endpoints.services.endpoints import (
    AsyncInferenceRequest,
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_invoke,
    endpoint_update,
    endpoint_update_weights,
)
from endpoints.services.rollout import rollout_steps
from jobs.services.sweeping import Resending
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, InvalidRequest, NotFound, TooLarge, TransientError
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import HostDriver, PublicGateway

VARIANTS = [VariantRequest(model="iris-knn")]
ROW = b"5.1,3.5,1.4,0.2\n"


@pytest.fixture
def silent(alice: Actor, iris_model: Model) -> Endpoint:
    """`later`, asynchronous and InService by its row, served by nobody."""
    created = endpoint_create(
        actor=alice, name="later", variants=VARIANTS, async_inference=AsyncInferenceRequest()
    )
    Endpoint.objects.filter(pk=created.pk).update(status="InService", live=created.wanted)
    return Endpoint.objects.get(pk=created.pk)


def sent(actor: Actor, body: bytes = ROW, **given: Any) -> AsyncInvocation:
    return async_invocation_create(actor=actor, endpoint="later", body=io.BytesIO(body), **given)


def read(row: AsyncInvocation) -> Any:
    return json.loads(b"".join(async_output_chunks(invocation=row)))


def test_a_request_is_kept_as_an_object_and_waits(
    alice: Actor, bob: Actor, charlie: Actor, silent: Endpoint
) -> None:
    row = sent(bob, inference_id="mine", content_type="text/csv\r\nX: y")
    assert object_store().get_bytes(row.input_uri) == ROW
    assert row.input_uri.endswith(f"/async-inference/{row.uid}/input")
    assert row.content_type == "text/csvX: y"
    assert async_queue(endpoint=silent).n_pending == 1
    with pytest.raises(Conflict, match="mine"):
        sent(bob, inference_id="mine")
    with pytest.raises(NotFound):
        async_invocation_get(actor=charlie, endpoint="later", inference_id="mine")
    with pytest.raises(Conflict, match="no result yet"):
        read(row)
    assert [one.pk for one in async_invocation_list(actor=alice, endpoint="later").items] == [row.pk]


def test_an_object_of_the_project_may_be_named_instead(alice: Actor, silent: Endpoint) -> None:
    address = uri(alice.project.bucket, "in/row.csv")
    object_store().put_bytes(ROW, address)
    row = async_invocation_create(actor=alice, endpoint="later", input_uri=address)
    assert (row.input_uri, row.input_bytes) == (address, len(ROW))
    for wrong in ("s3://elsewhere/row.csv", uri(alice.project.bucket, "in/none.csv"), "http://x"):
        with pytest.raises(InvalidRequest):
            async_invocation_create(actor=alice, endpoint="later", input_uri=wrong)


def test_what_cannot_be_sent_is_refused_with_what_can(
    alice: Actor, silent: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sent(alice, variant="none", timeout_s=7200, inference_id="a b")
    assert {error.field for error in refused.value.errors} == {"variant", "timeout_s", "inference_id"}
    with pytest.raises(InvalidRequest, match="empty"):
        sent(alice, b"")
    monkeypatch.setattr(async_invocations, "BODY_BYTES_MAX", 10)
    with pytest.raises(TooLarge, match="10 bytes"):
        sent(alice)
    assert not AsyncInvocation.objects.exists()
    endpoint_create(actor=alice, name="now", variants=VARIANTS)
    with pytest.raises(InvalidRequest, match="not asynchronous"):
        async_invocation_create(actor=alice, endpoint="now", body=io.BytesIO(ROW))


def test_a_configuration_stays_asynchronous_when_counts_change(alice: Actor, silent: Endpoint) -> None:
    endpoint_update_weights(actor=alice, name="later", counts={"AllTraffic": 2})
    kept = Endpoint.objects.get(pk=silent.pk).wanted.async_inference
    assert kept is not None and kept["max_concurrent_per_instance"] == 4
    with pytest.raises(InvalidRequest) as refused:
        endpoint_create(
            actor=alice,
            name="other",
            variants=VARIANTS,
            async_inference=AsyncInferenceRequest(
                output_uri="s3://elsewhere/", max_concurrent_per_instance=0
            ),
        )
    assert {error.field for error in refused.value.errors} == {
        "async_inference.output_uri",
        "async_inference.max_concurrent_per_instance",
    }


def test_claims_of_a_lost_worker_wait_again_and_fail_with_an_object_after_the_third(
    alice: Actor, silent: Endpoint
) -> None:
    row = sent(alice)
    for attempt in (1, 2, 3):
        claimed = drain._Drain(silent.pk)._claim(0)
        assert claimed is not None and claimed.pk == row.pk
        row.refresh_from_db()
        assert (row.status, row.attempt) == ("InProgress", attempt)
        assert async_sweep() == 0
        AsyncInvocation.objects.update(lease_expires_at=clock.now() - timedelta(seconds=1))
        assert async_sweep() == 1
    row.refresh_from_db()
    assert row.status == "Failed"
    assert read(row)["code"] == "InternalFailure"


def test_no_more_are_claimed_than_may_be_in_flight(alice: Actor, silent: Endpoint) -> None:
    for _each in range(6):
        sent(alice)
    worker = drain._Drain(silent.pk)
    assert sum(worker._claim(0) is not None for _each in range(6)) == 4
    assert not drain.async_drain(endpoint_id=silent.pk)  # somebody who lives is at it


def test_deleting_the_endpoint_fails_what_waits(alice: Actor, silent: Endpoint) -> None:
    row = sent(alice)
    endpoint_delete(actor=alice, name="later")
    said = json.loads(object_store().get_bytes(row.failure_uri))
    assert said["status"] == 404 and "deleted" in said["message"]


def test_a_long_queue_is_told_of_the_deletion_some_requests_at_a_time(
    alice: Actor, silent: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [sent(alice) for _each in range(5)]
    monkeypatch.setattr(async_invocations.async_invocations_end, "__kwdefaults__", {"limit": 2})
    endpoint_delete(actor=alice, name="later")
    assert Endpoint.objects.get().status == "Deleting"
    assert AsyncInvocation.objects.filter(status="Pending").count() == 3
    while rollout_steps():
        pass
    assert not Endpoint.objects.exists()
    assert all(object_store().size(row.failure_uri) for row in rows)


def test_what_waits_is_sent_for_when_the_endpoint_is_asynchronous_no_more(
    alice: Actor, silent: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(sweep, "queues_served", lambda: {"cpu"})
    monkeypatch.setattr(sweep, "dispatch_now", lambda _task, *, object_id, queue: not calls.append(object_id))
    async_sweep(resending=Resending())
    assert not calls
    sent(alice)
    calls.clear()
    endpoint_update(actor=alice, name="later", variants=VARIANTS, async_inference=None)
    async_sweep(resending=Resending())
    assert calls == [silent.pk]


def test_of_a_serverless_endpoint_as_many_are_in_flight_as_it_takes(silent: Endpoint) -> None:
    assert drain._limit(silent) == 4
    silent.wanted.variants.update(instance_count=3)
    assert drain._limit(Endpoint.objects.get()) == 12
    silent.wanted.variants.update(instance_count=1, serverless_memory_mb=1024, serverless_max_concurrency=2)
    assert drain._limit(Endpoint.objects.get()) == 2


def test_a_store_that_is_away_for_a_moment_costs_no_attempt(
    alice: Actor, silent: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sent(alice)
    worker = drain._Drain(silent.pk)
    claimed = worker._claim(0)
    assert claimed is not None
    answers: list[Any] = [TransientError("away"), TransientError("away"), CallAnswer(200, {})]

    def called(*_: object) -> CallAnswer:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(worker, "_call", called)
    monkeypatch.setattr(drain, "AGAIN_FIRST_S", 0.001)
    assert worker._called(claimed, Path("unused")).status == 200 and not answers
    row.refresh_from_db()
    assert (row.status, row.attempt) == ("InProgress", 1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_requests_are_answered_by_objects(
    alice: Actor, iris_model: Model, host: HostDriver, public_gateway: PublicGateway
) -> None:
    folder = uri(alice.project.bucket, "answers")
    created = endpoint_create(
        actor=alice,
        name="later",
        variants=VARIANTS,
        async_inference=AsyncInferenceRequest(output_uri=folder, failure_uri=f"{folder}/bad/"),
    )
    host.until_status(created, "InService")
    public_gateway.reload()
    rows = [sent(alice, ROW * (n + 1), accept="application/json") for n in range(8)]
    wrong = sent(alice, b"1,2,three,4\n")
    large = sent(alice, ROW * 500_000)  # 8 MB: more than an invocation may have
    assert drain.async_drain(endpoint_id=created.pk)
    for n, row in enumerate(rows, 1):
        row.refresh_from_db()
        assert (row.status, row.attempt) == ("Completed", 1), row.failure
        assert len(read(row)["predictions"]) == n
        assert row.output_uri == f"{folder}/{row.uid}.out" and row.model_ms is not None
    wrong.refresh_from_db()
    assert wrong.status == "Failed" and wrong.failure_uri == f"{folder}/bad/{wrong.uid}-error.out"
    assert (read(wrong)["status"], read(wrong)["code"]) == (400, "ValidationError")
    assert "three" in read(wrong)["message"]
    large.refresh_from_db()
    assert large.status == "Completed", large.failure
    refused = endpoint_invoke(actor=alice, name="later", body=ROW)
    assert refused.status == 400 and b"asynchronous" in refused.body
