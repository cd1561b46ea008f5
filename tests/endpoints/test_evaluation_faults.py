"""Evaluations when workers, endpoints, datasets or messages are lost in the middle: one outcome, with its reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from endpoints.models import Endpoint, Evaluation, Model, ProductionVariant
from endpoints.services import run_sweep
from endpoints.services.evaluation_execution import EVALUATIONS, _progress, _record
from endpoints.services.evaluations import (
    evaluation_create,
    evaluation_execute,
    evaluation_stop,
    evaluation_sweep,
)
from endpoints.services.run_lease import LEASE_S, RunLease, run_lease_release, run_lease_take
from endpoints.sweeping import HostlessSweep
from jobs.services import worker_state
from jobs.services.sweeping import Resending
from jobs.services.worker_state import WorkerState
from mlplatform.core import clock
from mlplatform.core.errors import TransientError
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uri
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import StoredObject
from tests.endpoints.conftest import HostDriver
from tests.endpoints.evaluation_stage import *  # noqa: F403
from tests.endpoints.evaluation_stage import (
    MakeDataset,
    carried_out,
    execute_and_hang_up,
    mute_gateway,
    results,
)
from tests.interleaving import before_the_first
from tests.polling import wait_until
from tests.transitions import transitions_recorded

pytestmark = pytest.mark.slow
LATE = timedelta(seconds=-1)


def taken(evaluation: Evaluation) -> RunLease:
    lease = run_lease_take(kind=EVALUATIONS, run_id=evaluation.pk, started_at=clock.now())
    assert lease is not None
    return lease


def lose_it() -> None:
    """The lease of whoever has it runs out."""
    Evaluation.objects.update(lease_expires_at=clock.now() + LATE)


def test_one_whose_worker_was_lost_is_tried_again_and_failed_after_the_third_time(
    transactional_db: None, waiting: Evaluation
) -> None:
    with transitions_recorded() as transitions:
        for attempt in (1, 2, 3):
            taken(waiting)
            assert run_lease_take(kind=EVALUATIONS, run_id=waiting.pk) is None
            assert evaluation_sweep() == 0, "its lease has not run out"
            Evaluation.objects.update(progress={"fraction": 0.5})
            lose_it()
            assert evaluation_sweep() == (attempt < 3)
        assert not transitions.illegal()
    found = Evaluation.objects.get()
    assert (found.status, found.attempt) == ("Failed", 3)
    assert found.failure == "The worker that carried out this run was lost, in each of 3 attempts"
    assert found.ended_at is not None


def test_every_attempt_begins_with_no_progress(waiting: Evaluation) -> None:
    taken(waiting)
    Evaluation.objects.update(progress={"fraction": 0.5})
    lose_it()
    evaluation_sweep()
    assert (Evaluation.objects.get().progress, Evaluation.objects.get().lease_owner) == ({}, "")


def test_one_that_was_to_be_stopped_when_its_worker_was_lost_is_stopped(
    transactional_db: None, alice: Actor, waiting: Evaluation
) -> None:
    with transitions_recorded() as transitions:
        taken(waiting)
        assert evaluation_stop(actor=alice, name="first").status == "Stopping"
        assert evaluation_sweep() == 0
        assert Evaluation.objects.get().status == "Stopping", "its worker may be at it"
        lose_it()
        assert evaluation_sweep() == 0
        assert not transitions.illegal()
    assert (Evaluation.objects.get().status, Evaluation.objects.get().lease_owner) == ("Stopped", "")


def test_a_stop_in_the_moment_in_which_a_lost_one_is_looked_at_is_not_forgotten(
    alice: Actor, waiting: Evaluation
) -> None:
    taken(waiting)
    Evaluation.objects.update(attempt=3)
    lose_it()
    with before_the_first(
        'UPDATE "endpoints_evaluation" SET "status"',
        lambda: evaluation_stop(actor=alice, name="first"),
    ):
        evaluation_sweep()
    assert Evaluation.objects.get().status == "Stopped"


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_one_for_ever(waiting: Evaluation) -> None:
    taken(waiting)
    Evaluation.objects.update(lease_expires_at=clock.now() + timedelta(hours=5))
    assert evaluation_sweep() == 0
    held_until = Evaluation.objects.get().lease_expires_at
    assert held_until is not None and held_until < clock.now() + timedelta(seconds=2 * LEASE_S)


def test_what_a_worker_writes_that_lost_its_evaluation_reaches_nothing(
    alice: Actor, waiting: Evaluation
) -> None:
    late = taken(waiting)
    lose_it()
    assert evaluation_sweep() == 1
    now = taken(waiting)
    before = Evaluation.objects.values().get()
    stored = object_store().put_bytes(
        b"late", uri(alice.project.bucket, "evaluations/late/1/predictions.bin")
    )
    assert not _progress(late, {"fraction": 0.9})
    _record(late, {"summary": {}, "result": {}, "result_uri": stored.uri})
    assert not run_lease_release(lease=late)
    assert late.is_over and not now.is_over
    assert Evaluation.objects.values().get() == before
    assert object_store().size(stored.uri) is None
    _record(now, {"failure": "no"})
    assert Evaluation.objects.get().status == "Failed"


def test_messages_are_sent_again_only_where_a_worker_listens_and_by_the_scheduler_where_no_host_is(
    waiting: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[tuple[str, int]] = []

    def send(task: str, *, object_id: int, queue: str) -> bool:
        sent.append((task, object_id))
        return True

    monkeypatch.setattr(run_sweep, "dispatch_now", send)
    Evaluation.objects.update(created_at=clock.now() - timedelta(minutes=1))
    resending = Resending()
    evaluation_sweep(resending=resending)
    assert sent == [], "nobody listens"
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"])
    evaluation_sweep(resending=resending)
    evaluation_sweep(resending=resending)
    assert sent == [("endpoints.evaluation", waiting.pk)]
    HostlessSweep()()
    assert sent == 2 * [("endpoints.evaluation", waiting.pk)]


def test_what_is_gone_before_it_begins_is_told(alice: Actor, waiting: Evaluation) -> None:
    other = evaluation_create(actor=alice, name="second", endpoint="iris", dataset="iris-test")
    Evaluation.objects.filter(pk=waiting.pk).update(endpoint=None)
    Evaluation.objects.filter(pk=other.pk).update(dataset_version=None)
    assert evaluation_execute(evaluation_id=waiting.pk) and evaluation_execute(evaluation_id=other.pk)
    waiting.refresh_from_db()
    other.refresh_from_db()
    assert (waiting.status, waiting.failure) == (
        "Failed",
        "Endpoint “iris” was deleted before it was measured",
    )
    assert (other.status, other.failure) == ("Failed", "Dataset iris-test@1 was deleted before it was used")


def test_an_endpoint_that_serves_another_model_by_now_is_not_what_was_to_be_measured(
    alice: Actor, waiting: Evaluation, iris_model: Model
) -> None:
    other = Model.objects.get(pk=iris_model.pk)
    other.pk, other.uid, other.name = None, "f" * 26, "other"
    other.save()
    ProductionVariant.objects.update(model=other)
    assert evaluation_execute(evaluation_id=waiting.pk)
    waiting.refresh_from_db()
    assert waiting.status == "Failed"
    assert "its variant “AllTraffic” no longer serves model “iris-knn”" in waiting.failure


def test_an_endpoint_that_runs_on_another_machine_by_now_is_not_what_was_to_be_measured(
    waiting: Evaluation,
) -> None:
    ProductionVariant.objects.update(instance_type="ml.c5.xlarge")
    assert evaluation_execute(evaluation_id=waiting.pk)
    waiting.refresh_from_db()
    assert waiting.status == "Failed"
    assert "runs on ml.c5.xlarge and no longer on local.cpu" in waiting.failure


@contextmanager
def _refusing_gateway(status: str) -> Iterator[threading.Event]:
    """Answers every call with an error, once its event is set."""
    go = threading.Event()
    body = b'{"message": "the endpoint was not found"}'
    answer = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body

    def serve() -> None:
        call = calls.accept()[0]
        assert go.wait(60)
        call.recv(65536)
        call.sendall(answer)
        call.close()

    with mute_gateway() as calls, ThreadPoolExecutor(1) as server:
        served = server.submit(serve)
        yield go
        served.result(60)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"status": "Deleting"}, "Endpoint “iris” was deleted while it was measured"),
        (
            {"status": "Failed", "failure": {"reason": "out of memory", "said": None}},
            "Endpoint “iris” failed while it was measured: out of memory",
        ),
        ({}, "The endpoint answered 404: the endpoint was not found"),
    ],
)
def test_an_endpoint_that_dies_meanwhile_is_the_reason(
    transactional_db: None, waiting: Evaluation, change: dict[str, object], said: str
) -> None:
    with _refusing_gateway("404 Not Found") as go, ThreadPoolExecutor(1) as worker:
        done = worker.submit(execute_and_hang_up, waiting.pk)
        wait_until(lambda: Evaluation.objects.get().attempt == 1, what="an attempt")
        if change:
            Endpoint.objects.update(**change)
        go.set()
        assert done.result(60)
    found = Evaluation.objects.get()
    assert (found.status, found.failure, found.result_uri) == ("Failed", said, "")


def test_a_worker_that_ends_gives_its_evaluation_back(
    transactional_db: None, waiting: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = WorkerState(name="ending")
    monkeypatch.setattr(worker_state, "_STATE", state)
    with mute_gateway() as calls, ThreadPoolExecutor(1) as worker:
        done = worker.submit(execute_and_hang_up, waiting.pk)
        call = calls.accept()[0]
        state.shut_down()
        assert done.result(60)
        call.close()
    found = Evaluation.objects.get()
    assert (found.status, found.lease_owner, found.attempt, found.progress) == ("InProgress", "", 1, {})
    assert not evaluation_execute(evaluation_id=waiting.pk), "a worker that ends begins nothing"


def test_a_lease_is_kept_while_an_answer_takes_long(transactional_db: None, waiting: Evaluation) -> None:
    same = Evaluation.objects.filter(pk=waiting.pk)
    with mute_gateway() as calls, ThreadPoolExecutor(1) as worker:
        done = worker.submit(execute_and_hang_up, waiting.pk)
        call = calls.accept()[0]
        try:
            same.update(lease_expires_at=clock.now() + timedelta(seconds=1))
            late = clock.now() + timedelta(seconds=30)
            wait_until(
                lambda: same.filter(lease_expires_at__gt=late).exists(), what="a lease that is renewed"
            )
            assert evaluation_sweep() == 0
        finally:
            call.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            call.close()
        assert done.result(60)
    found = Evaluation.objects.get()
    assert (found.status, "lost" in found.failure) == ("Failed", False)


def test_predictions_of_one_that_is_stopped_while_they_are_stored_are_removed(
    alice: Actor, live_endpoint: Endpoint, iris_test: str, platform_folders: Path
) -> None:
    def stop_it() -> None:
        Evaluation.objects.update(lease_owner="somebody else")

    with before_the_first('UPDATE "endpoints_evaluation" SET "status"', stop_it):
        found = carried_out(alice, dataset=iris_test, single_requests=0)
    assert found.status == "InProgress"
    assert results(alice) == []


@pytest.mark.parametrize("n_faults", [1, 1000])
def test_a_store_that_is_away_at_the_end_is_waited_for(
    alice: Actor,
    live_endpoint: Endpoint,
    iris_test: str,
    platform_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    n_faults: int,
) -> None:
    store, faults = object_store(), [TransientError("The object store is away")] * n_faults
    put_file = store.put_file

    def away(*arguments: Any, **options: Any) -> StoredObject:
        if faults:
            raise faults.pop()
        return put_file(*arguments, **options)

    monkeypatch.setattr(store, "put_file", away)
    found = carried_out(alice, dataset=iris_test, single_requests=0)
    if n_faults == 1:
        assert (found.status, results(alice)) == ("Completed", [found.result_uri])
    else:
        assert (found.status, found.failure) == ("Failed", "The object store is away")


def test_a_worker_that_ends_while_the_store_is_away_gives_its_evaluation_back(
    alice: Actor,
    live_endpoint: Endpoint,
    iris_test: str,
    platform_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    state = WorkerState(name="ending")
    monkeypatch.setattr(worker_state, "_STATE", state)

    def away(*arguments: Any, **options: Any) -> StoredObject:
        state.shut_down()
        raise TransientError("The object store is away")

    monkeypatch.setattr(object_store(), "put_file", away)
    found = carried_out(alice, dataset=iris_test, single_requests=0)
    assert (found.status, found.lease_owner, found.failure) == ("InProgress", "", "")


def test_a_model_server_that_fails_a_row_is_told_with_the_row_of_the_dataset(
    alice: Actor, live_endpoint: Endpoint, host: HostDriver, make_dataset: MakeDataset
) -> None:
    lines = ["1,2,3,4,setosa"] * 60
    lines[41] = "1,,3,4,setosa"
    make_dataset("gap", "\n".join(["a,b,c,d,species", *lines]))
    found = carried_out(alice, dataset="gap")
    assert found.status == "Failed"
    assert "row 42" in found.failure
