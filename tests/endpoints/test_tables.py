"""A whole dataset through an endpoint: the numbers, the rows, and what is said when it cannot be done."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from endpoints.models import Endpoint, Model, TableRun
from endpoints.selectors.endpoints import endpoint_sample_row
from endpoints.selectors.tables import table_run_get, table_run_rows
from endpoints.services import run_sweep
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete
from endpoints.services.run_lease import LEASE_S, RunLease, run_lease_take
from endpoints.services.tables import (
    TABLE_RUNS,
    _progress,
    _record,
    table_run_create,
    table_run_execute,
    table_run_sweep,
)
from jobs.models import TrainingInput, TrainingJob
from jobs.services.datasets import dataset_create_from_upload, dataset_delete
from jobs.services.sweeping import Resending
from mlplatform.core import clock
from mlplatform.core.env import runtime_dir
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uid_new, uri
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import FEATURES, LABELS, HostDriver, IrisParts, PublicGateway
from tests.interleaving import before_the_first
from tests.polling import wait_until

pytestmark = pytest.mark.slow
NAMES = {float(code): text for text, code in LABELS.items()}
MakeDataset = Callable[..., None]


@pytest.fixture
def make_dataset(alice: Actor) -> MakeDataset:
    def make(name: str, text: str, *, label: str | None = "species") -> None:
        dataset_create_from_upload(
            actor=alice, name=name, file=io.BytesIO(text.encode()), filename=f"{name}.csv", label=label
        )

    return make


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model, host: HostDriver, public_gateway: PublicGateway) -> Endpoint:
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    host.until_status(created, "InService")
    public_gateway.reload()
    return created


@pytest.fixture
def waiting_run(alice: Actor, iris_model: Model, make_dataset: MakeDataset, iris: IrisParts) -> TableRun:
    """A run that nobody has taken, of an endpoint that nobody serves."""
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    Endpoint.objects.update(status="InService", live=created.wanted)
    make_dataset("iris-test", _csv(iris.test))
    return table_run_create(actor=alice, endpoint="iris", dataset="iris-test")


def _csv(rows: list[list[float]], columns: list[str] | None = None) -> str:
    head = [*(columns or FEATURES), "species"]
    order = [FEATURES.index(name) for name in columns or FEATURES]
    lines = [",".join([*(str(row[i]) for i in order), NAMES[row[-1]]]) for row in rows]
    return "\n".join([",".join(head), *lines]) + "\n"


def _run(alice: Actor, dataset: str) -> TableRun:
    run = table_run_create(actor=alice, endpoint="iris", dataset=dataset)
    assert table_run_execute(run_id=run.pk)
    return table_run_get(actor=alice, endpoint="iris", uid=run.uid)


def test_iris_gives_37_of_38_row_by_row(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("iris-test", _csv(iris.test))
    run = _run(alice, "iris-test")
    assert (run.status, run.failure, run.n_done) == ("Completed", "", 38)
    assert run.summary["kind"] == "classification"
    assert (run.summary["n_correct"], run.summary["n_rows"]) == (37, 38)
    assert run.summary["accuracy"] == pytest.approx(0.9737, abs=5e-5)
    assert run.summary["labels"] == list(LABELS)
    assert sum(map(sum, run.summary["confusion"])) == 38
    rows = table_run_rows(run=run, limit=100)
    assert [row["row"] for row in rows] == list(range(1, 39))
    assert [row["label"] for row in rows] == [NAMES[row[-1]] for row in iris.test]
    assert [float(cell) for cell in rows[0]["features"]] == iris.test[0][:4]
    wrong = table_run_rows(run=run, only_wrong=True)
    assert len(wrong) == 1 and wrong[0]["label"] != wrong[0]["prediction"]
    assert table_run_rows(run=run, offset=36, limit=10) == rows[36:]


def test_columns_in_another_order_are_put_in_the_model_s(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("shuffled", _csv(iris.test, columns=FEATURES[::-1]))
    run = _run(alice, "shuffled")
    assert run.summary["n_correct"] == 37
    first = table_run_rows(run=run, limit=1)[0]
    assert [float(cell) for cell in first["features"]] == iris.test[0][3::-1]


def test_classes_the_dataset_lacks_do_not_shift_the_labels(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("virginica-only", _csv([row for row in iris.test if NAMES[row[-1]] == "virginica"]))
    summary = _run(alice, "virginica-only").summary
    assert summary["n_rows"] == summary["n_correct"] > 5


def test_without_labels_there_are_predictions_and_no_scores(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    lines = [",".join(map(str, row[:4])) for row in iris.test]
    make_dataset("unlabelled", "\n".join([",".join(FEATURES), *lines]), label=None)
    run = _run(alice, "unlabelled")
    assert run.summary == {"kind": "unlabelled", "n_rows": 38}
    assert {row["prediction"] for row in table_run_rows(run=run)} == set(LABELS)


def test_another_number_of_columns_is_refused_with_both_numbers(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset
) -> None:
    make_dataset("narrow", "a,b,species\n1,2,setosa\n3,4,virginica\n")
    run = _run(alice, "narrow")
    assert run.status == "Failed"
    assert "2 feature columns; the model expects 4" in run.failure
    assert run.result_uri == ""


def test_a_missing_value_is_named_with_its_row_in_the_dataset(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    lines = _csv(iris.test * 20).splitlines()
    lines[601] = lines[601].replace(lines[601].split(",")[1], "", 1)
    make_dataset("gap", "\n".join(lines))
    run = _run(alice, "gap")
    assert run.status == "Failed"
    assert "row 601 of the dataset" in run.failure


def test_who_may_and_what_is_accepted(
    alice: Actor, bob: Actor, charlie: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("iris-test", _csv(iris.test))
    with pytest.raises(AccessDenied):
        table_run_create(actor=bob, endpoint="iris", dataset="iris-test")
    with pytest.raises(NotFound):
        table_run_create(actor=charlie, endpoint="iris", dataset="iris-test")
    with pytest.raises(InvalidRequest, match="no dataset"):
        table_run_create(actor=alice, endpoint="iris", dataset="other")
    with pytest.raises(InvalidRequest, match="Choose a dataset"):
        table_run_create(actor=alice, endpoint="iris", dataset="")
    with pytest.raises(InvalidRequest, match="it has AllTraffic"):
        table_run_create(actor=alice, endpoint="iris", dataset="iris-test@1", variant="B")
    with pytest.raises(InvalidRequest, match="dataset"):
        table_run_create(actor=alice, endpoint="iris", dataset="iris-test@" + 5000 * "9")
    Endpoint.objects.update(status="Failed")
    with pytest.raises(Conflict, match="Failed"):
        table_run_create(actor=alice, endpoint="iris", dataset="iris-test")
    assert not TableRun.objects.exists()


def test_a_run_is_carried_out_once(
    alice: Actor, endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("iris-test", _csv(iris.test))
    run = _run(alice, "iris-test")
    assert run.attempt == 1
    assert not table_run_execute(run_id=run.pk)
    assert _results(alice) == [run.result_uri]


def test_a_run_whose_worker_was_lost_is_tried_again_and_failed_after_the_third_time(
    alice: Actor, waiting_run: TableRun
) -> None:
    for attempt in (1, 2, 3):
        assert run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
        assert run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk) is None
        assert table_run_sweep() == 0, "its lease has not run out"
        TableRun.objects.update(lease_expires_at=clock.now() - timedelta(seconds=1), n_done=5)
        assert table_run_sweep() == (attempt < 3)
    waiting_run.refresh_from_db()
    assert (waiting_run.status, waiting_run.attempt) == ("Failed", 3)
    assert waiting_run.failure == "The worker that carried out this run was lost, in each of 3 attempts"
    assert waiting_run.ended_at is not None


def test_a_lease_from_before_the_clock_was_set_back_does_not_hold_a_run_for_ever(
    alice: Actor, waiting_run: TableRun
) -> None:
    assert run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
    TableRun.objects.update(lease_expires_at=clock.now() + timedelta(hours=5))
    assert table_run_sweep() == 0
    assert TableRun.objects.get().lease_expires_at < clock.now() + timedelta(seconds=2 * LEASE_S)


def test_what_a_worker_writes_that_lost_its_run_reaches_nothing(
    alice: Actor, waiting_run: TableRun, tmp_path: Path
) -> None:
    late = run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
    TableRun.objects.update(lease_expires_at=clock.now() - timedelta(seconds=1))
    assert table_run_sweep() == 1
    now = run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
    assert late and now
    before = TableRun.objects.values().get()
    stored = object_store().put_bytes(b"late", uri(alice.project.bucket, "table-runs/late/1/rows.jsonl"))
    assert not _progress(late, 7)
    _record(late, {"summary": {}, "result_uri": stored.uri, "n_done": 7})
    assert TableRun.objects.values().get() == before
    assert object_store().size(stored.uri) is None
    _record(now, {"failure": "no"})
    assert TableRun.objects.get().status == "Failed"


def test_rows_of_a_run_that_ends_while_its_dataset_is_deleted_are_removed(
    transactional_db: None, alice: Actor, waiting_run: TableRun
) -> None:
    lease = run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
    assert lease
    stored = object_store().put_bytes(b"late", uri(alice.project.bucket, "table-runs/late/1/rows.jsonl"))
    outcome = {"summary": {}, "result_uri": stored.uri, "n_done": 7}
    ends: list[Future[None]] = []

    def end_it() -> None:
        ends.append(worker.submit(_record_and_hang_up, lease, outcome))
        wait(ends, timeout=1)  # it is held back until the dataset is gone

    with ThreadPoolExecutor(1) as worker:
        with before_the_first('DELETE FROM "endpoints_tablerun"', end_it):
            dataset_delete(actor=alice, name="iris-test")
        ends[0].result(60)
    assert not TableRun.objects.exists()
    assert object_store().size(stored.uri) is None


def _record_and_hang_up(lease: RunLease, outcome: dict[str, Any]) -> None:
    try:
        _record(lease, outcome)
    finally:
        connection.close()


def test_messages_are_sent_again_only_where_a_worker_listens_and_less_and_less_often(
    alice: Actor, waiting_run: TableRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []

    def send(task: str, *, object_id: int, queue: str) -> bool:
        sent.append(object_id)
        return True

    monkeypatch.setattr(run_sweep, "dispatch_now", send)
    TableRun.objects.update(created_at=clock.now() - timedelta(minutes=1))
    resending = Resending()
    table_run_sweep(resending=resending)
    assert sent == [], "nobody listens"
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"])
    table_run_sweep(resending=resending)
    table_run_sweep(resending=resending)
    assert sent == [waiting_run.pk]


def test_a_broker_that_is_away_is_asked_once_and_not_for_every_run_that_waits(
    waiting_run: TableRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the host's loop that asks: while it waits, no lease of a replica is renewed."""
    asked: list[int] = []
    monkeypatch.setattr(
        run_sweep, "dispatch_now", lambda task, *, object_id, queue: bool(asked.append(object_id))
    )
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"])
    others = [_twin(waiting_run), _twin(waiting_run)]
    TableRun.objects.update(created_at=clock.now() - timedelta(minutes=1))
    lost = TableRun.objects.filter(pk__in=[run.pk for run in others])
    lost.update(lease_owner="a worker", lease_expires_at=clock.now() - timedelta(seconds=1), attempt=1)
    assert table_run_sweep(resending=Resending()) == 2
    assert len(asked) == 1
    assert not lost.exclude(lease_owner="").exists(), "they wait for the next turn"


def test_a_lease_that_is_renewed_while_it_is_looked_at_is_not_lost(waiting_run: TableRun) -> None:
    lease = run_lease_take(kind=TABLE_RUNS, run_id=waiting_run.pk)
    assert lease is not None
    late, renewed = (clock.now() + timedelta(seconds=s) for s in (-1, 60))
    lease.rows.update(lease_expires_at=late)
    with before_the_first(
        'UPDATE "endpoints_tablerun" SET "lease_owner"',
        lambda: lease.rows.update(lease_expires_at=renewed),
    ):
        assert table_run_sweep() == 0
    assert lease.rows.exists()


def _twin(run: TableRun) -> TableRun:
    found = TableRun.objects.get(pk=run.pk)
    found.pk, found.uid = None, uid_new()
    found.save()
    return found


def test_rows_of_a_run_that_is_deleted_while_they_are_stored_are_removed(
    alice: Actor, endpoint: Endpoint, host: HostDriver, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("iris-test", _csv(iris.test))
    run = table_run_create(actor=alice, endpoint="iris", dataset="iris-test")
    stored: list[str] = []

    def delete_it() -> None:
        stored.extend(_results(alice))
        endpoint_delete(actor=alice, name="iris")
        host.until(lambda: not Endpoint.objects.exists())

    with before_the_first('UPDATE "endpoints_tablerun" SET "status"', delete_it):
        assert table_run_execute(run_id=run.pk)
    assert len(stored) == 1 and _results(alice) == []


def test_a_run_is_kept_while_an_answer_takes_long(
    alice: Actor, iris_model: Model, transactional_db: None, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    Endpoint.objects.update(status="InService", live=created.wanted)
    make_dataset("iris-test", _csv(iris.test))
    run = table_run_create(actor=alice, endpoint="iris", dataset="iris-test")
    runs = TableRun.objects.filter(pk=run.pk)
    with _mute_gateway() as calls, ThreadPoolExecutor(1) as worker:
        done = worker.submit(_execute_and_hang_up, run.pk)
        call = calls.accept()[0]
        try:
            runs.update(lease_expires_at=clock.now() + timedelta(seconds=1))
            late = clock.now() + timedelta(seconds=30)
            wait_until(
                lambda: runs.filter(lease_expires_at__gt=late).exists(), what="a lease that is renewed"
            )
            assert table_run_sweep() == 0
        finally:
            call.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            call.close()
        assert done.result(60)
    run.refresh_from_db()
    assert (run.status, "lost" in run.failure) == ("Failed", False)


def _results(actor: Actor) -> list[str]:
    return [found.uri for found in object_store().list(f"s3://{actor.project.bucket}/table-runs")]


def _execute_and_hang_up(run_id: int) -> bool:
    try:
        return table_run_execute(run_id=run_id)
    finally:
        connection.close()


@contextmanager
def _mute_gateway() -> Iterator[socket.socket]:
    """Where workers look for the gateway: takes calls, and answers when the test does."""
    path = runtime_dir() / "runs.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.settimeout(60)
        listening.bind(str(path))
        listening.listen()
        yield listening


def test_the_rows_go_with_the_endpoint(
    alice: Actor, endpoint: Endpoint, host: HostDriver, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    make_dataset("iris-test", _csv(iris.test))
    address = _run(alice, "iris-test").result_uri
    assert object_store().size(address)
    endpoint_delete(actor=alice, name="iris")
    host.until(lambda: not Endpoint.objects.exists())
    assert object_store().size(address) is None


def test_the_sample_row_is_a_row_of_the_training_data_without_its_label(
    alice: Actor,
    endpoint: Endpoint,
    completed_job: TrainingJob,
    make_dataset: MakeDataset,
    iris: IrisParts,
    platform_folders: Path,
) -> None:
    assert endpoint_sample_row(endpoint=endpoint) == "0,0,0,0"
    make_dataset("iris-train", _csv(iris.train))
    version = alice.project.datasets.get(name="iris-train").latest
    TrainingInput.objects.create(job=completed_job, channel="train", dataset_version=version, uri=version.uri)
    row = endpoint_sample_row(endpoint=endpoint)
    assert [float(cell) for cell in row.split(",")] == iris.train[0][:4]
