"""Evaluations from the request to the result: the numbers, the rows, stopping, deleting, and what outlives what."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from endpoints.keeping import evaluations_remove
from endpoints.models import Endpoint, Evaluation, Model
from endpoints.selectors.evaluation_tables import confusion_table, quality_table
from endpoints.selectors.evaluations import (
    evaluation_counts,
    evaluation_get,
    evaluation_list,
    evaluation_repeat_request,
    evaluation_rows,
    evaluation_waiting_reason,
)
from endpoints.services.endpoints import endpoint_delete
from endpoints.services.evaluations import (
    evaluation_create,
    evaluation_delete,
    evaluation_execute,
    evaluation_stop,
)
from jobs.services.datasets import dataset_delete
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound
from mlplatform.core.models import AuditEvent, NodeKind
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.child_processes import below_me
from tests.endpoints.conftest import LABELS, HostDriver, IrisParts
from tests.endpoints.evaluation_stage import *  # noqa: F403
from tests.endpoints.evaluation_stage import (
    NAMES,
    MakeDataset,
    carried_out,
    csv_of,
    execute_and_hang_up,
    mute_gateway,
    results,
)
from tests.transitions import transitions_recorded

pytestmark = pytest.mark.slow
STOPPED_WITHIN_S = 10.0


def test_iris_is_measured_through_the_endpoint(
    alice: Actor, live_endpoint: Endpoint, iris_test: str, iris: IrisParts
) -> None:
    found = carried_out(alice, dataset=iris_test)
    assert (found.status, found.failure, found.attempt, found.lease_owner) == ("Completed", "", 1, "")
    assert found.started_at and found.ended_at and found.started_at < found.ended_at
    assert found.summary["kind"] == "classification"
    assert (found.summary["n_rows"], found.summary["has_k"], found.summary["k"]) == (38, True, 1)
    assert found.summary["value"] == pytest.approx(37 / 38)
    assert found.summary["value_interval"][0] < 37 / 38 < found.summary["value_interval"][1]
    assert found.result["labels"] == list(LABELS)
    latency = found.result["latency"]
    assert (latency["n_batches_sent"], latency["n_single"], latency["batch_size"]) == (4, 20, 10)
    assert 1 <= latency["n_batches"] <= 4, "those that work beside them made slow are left out"
    assert 0 < latency["single_p50_ms"] <= latency["single_p99_ms"]
    assert found.progress["total"] and found.progress["n_rows"] == 38
    assert (found.progress["fraction"], found.progress["eta_s"]) == (1.0, None)
    assert sum(sum(row[1:]) for row in _rows_of(confusion_table(found).records())) == 38
    assert quality_table(found).records()[0]["accuracy"] == pytest.approx(37 / 38)

    rows = evaluation_rows(evaluation=found, limit=1000)
    assert (rows.n_found, [row["row"] for row in rows.rows]) == (38, list(range(1, 39)))
    assert [row["label"] for row in rows.rows] == [NAMES[row[-1]] for row in iris.test]
    wrong = evaluation_rows(evaluation=found, k=1, only_wrong=True)
    assert wrong.n_found == len(wrong.rows) == 1
    (row,) = wrong.rows
    assert row["label"] != row["prediction"] and row["correct"] is False
    same = evaluation_rows(evaluation=found, label=row["label"], prediction=row["prediction"])
    assert same.rows == [row]
    assert [row["row"] for row in evaluation_rows(evaluation=found, offset=36, limit=9).rows] == [37, 38]
    for wanted in ({"k": 2}, {"label": "lily"}, {"prediction": "lily"}):
        with pytest.raises(InvalidRequest, match=next(iter(wanted))):
            evaluation_rows(evaluation=found, **wanted)
    assert results(alice) == [found.result_uri]
    assert not evaluation_execute(evaluation_id=found.pk), "once is enough"


def _rows_of(records: list[dict[str, object]]) -> Iterator[list[int]]:
    yield from ([0, *(int(str(value)) for name, value in row.items() if name != "label")] for row in records)


def test_an_evaluation_keeps_what_it_measured(alice: Actor, iris_model: Model, waiting: Evaluation) -> None:
    assert (waiting.endpoint_name, waiting.variant, waiting.model_name) == ("iris", "AllTraffic", "iris-knn")
    assert (waiting.training_job_name, waiting.instance_type) == ("iris-knn", "local.cpu")
    assert (waiting.dataset_reference, waiting.tags) == ("iris-test@1", {"a": "b"})
    assert waiting.facts["algorithm"] == "knn"
    assert waiting.facts["predictor_type"] == "classifier"
    assert (waiting.facts["k"], waiting.facts["n_features"]) == (1, 4)
    assert waiting.facts["hyperparameters"] == {"k": "1"}
    assert waiting.facts["index_type"] == "faiss.Flat", "the default"
    assert waiting.facts["price_per_hour"] == 0.0 and waiting.facts["vcpus"] >= 1
    (event,) = AuditEvent.objects.filter(action="evaluation.create")
    assert (event.target, event.detail["dataset"]) == ("first", "iris-test@1")


def test_what_the_endpoint_serves_outlives_neither_its_evaluation_nor_the_other_way_round(
    alice: Actor, live_endpoint: Endpoint, host: HostDriver, iris_test: str
) -> None:
    with transitions_recorded() as transitions:
        found = carried_out(alice, name="kept", dataset=iris_test)
        endpoint_delete(actor=alice, name="iris")
        host.until(lambda: not Endpoint.objects.exists())
        dataset_delete(actor=alice, name=iris_test)
        assert not transitions.illegal()
    kept = evaluation_get(actor=alice, name="kept")
    assert (kept.endpoint, kept.dataset_version) == (None, None)
    assert (kept.endpoint_name, kept.dataset_reference) == ("iris", "iris-test@1")
    assert kept.result == found.result
    assert evaluation_rows(evaluation=kept).n_found == 38


def test_a_dataset_stays_while_an_evaluation_reads_it(alice: Actor, waiting: Evaluation) -> None:
    with pytest.raises(Conflict, match="read by evaluations that have not ended: first"):
        dataset_delete(actor=alice, name="iris-test")
    evaluation_stop(actor=alice, name="first")
    dataset_delete(actor=alice, name="iris-test")
    assert evaluation_get(actor=alice, name="first").dataset_version is None


def test_without_labels_there_are_latencies_and_no_scores(
    alice: Actor, live_endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    lines = [",".join(map(str, row[:4])) for row in iris.test]
    make_dataset("unlabelled", "\n".join(["a,b,c,d", *lines]), label=None)
    found = carried_out(alice, dataset="unlabelled", single_requests=0)
    assert (found.status, found.summary["kind"]) == ("Completed", "unlabelled")
    assert found.summary["batch_mean_ms"] > 0 and found.summary["single_mean_ms"] is None
    assert (found.result_uri, evaluation_rows(evaluation=found).n_found) == ("", 0)
    assert not quality_table(found)


def test_one_that_waits_is_stopped_at_once_and_again_changes_nothing(
    alice: Actor, bob: Actor, charlie: Actor, waiting: Evaluation
) -> None:
    with pytest.raises(AccessDenied):
        evaluation_stop(actor=bob, name="first")
    with pytest.raises(NotFound):
        evaluation_stop(actor=charlie, name="first")
    stopped = evaluation_stop(actor=alice, name="first")
    assert stopped.status == "Stopped" and stopped.ended_at == stopped.stop_requested_at
    before = Evaluation.objects.values().get()
    assert evaluation_stop(actor=alice, name="first").status == "Stopped"
    assert Evaluation.objects.values().get() == before
    assert AuditEvent.objects.filter(action="evaluation.stop").count() == 1
    assert not evaluation_execute(evaluation_id=waiting.pk)


def test_one_that_has_ended_by_itself_cannot_be_stopped(alice: Actor, waiting: Evaluation) -> None:
    Evaluation.objects.update(status="Completed")
    with pytest.raises(Conflict, match="has ended already"):
        evaluation_stop(actor=alice, name="first")


@contextmanager
def _hanging(evaluation: Evaluation) -> Iterator[None]:
    """Being carried out by a thread while the endpoint says nothing."""
    with mute_gateway() as calls, ThreadPoolExecutor(1) as worker:
        done = worker.submit(execute_and_hang_up, evaluation.pk)
        call = calls.accept()[0]
        try:
            yield
            assert done.result(60)
        finally:
            call.close()


def test_one_that_runs_is_stopped_within_seconds_and_its_process_is_gone(
    transactional_db: None, alice: Actor, waiting: Evaluation, platform_folders: Path
) -> None:
    with transitions_recorded() as transitions:
        with _hanging(waiting):
            begun_at = clock.now()
            assert evaluation_stop(actor=alice, name="first").status == "Stopping"
            assert evaluation_stop(actor=alice, name="first").status == "Stopping"
        found = evaluation_get(actor=alice, name="first")
        assert not transitions.illegal()
    assert found.ended_at is not None
    assert (found.ended_at - begun_at).total_seconds() < STOPPED_WITHIN_S
    assert (found.status, found.failure, found.lease_owner, found.result) == ("Stopped", "", "", None)
    assert results(alice) == []
    assert _processes() == []


def _processes() -> list[list[str]]:
    return [command for _, command in below_me("endpoints.evaluation")]


def test_only_what_has_ended_is_deleted_and_its_predictions_go_too(
    alice: Actor, bob: Actor, waiting: Evaluation
) -> None:
    with pytest.raises(AccessDenied):
        evaluation_delete(actor=bob, name="first")
    with pytest.raises(Conflict, match="stop it and wait"):
        evaluation_delete(actor=alice, name="first")
    address = f"s3://{alice.project.bucket}/evaluations/{waiting.uid}/1/predictions.bin"
    object_store().put_bytes(b"rows", address)
    Evaluation.objects.update(status="Completed", result_uri=address)
    evaluation_delete(actor=alice, name="first")
    assert not Evaluation.objects.exists()
    with pytest.raises(NotFound):
        evaluation_delete(actor=alice, name="first")


def test_after_their_days_they_go_with_their_predictions(
    transactional_db: None, alice: Actor, waiting: Evaluation
) -> None:
    address = f"s3://{alice.project.bucket}/evaluations/{waiting.uid}/1/predictions.bin"
    object_store().put_bytes(b"rows", address)
    now = clock.now()
    Evaluation.objects.update(result_uri=address, ended_at=now)
    assert evaluations_remove(now + timedelta(days=1), 10) == 0, "it has not ended"
    Evaluation.objects.update(status="Completed")
    assert evaluations_remove(now - timedelta(days=1), 10) == 0
    assert evaluations_remove(now + timedelta(days=1), 10) == 1
    assert object_store().size(address) is None


def test_predictions_that_are_no_longer_in_the_store_are_told(alice: Actor, waiting: Evaluation) -> None:
    Evaluation.objects.update(status="Completed", result_uri=f"s3://{alice.project.bucket}/evaluations/x/1/p")
    with pytest.raises(NotFound):
        evaluation_rows(evaluation=evaluation_get(actor=alice, name="first"))
    stored = object_store().put_bytes(b"something else", f"s3://{alice.project.bucket}/uploads/p")
    Evaluation.objects.update(result_uri=stored.uri)
    with pytest.raises(NotFound, match="cannot be read"):
        evaluation_rows(evaluation=evaluation_get(actor=alice, name="first"))


def test_lists_find_sort_and_page_in_few_queries_without_results(
    alice: Actor, charlie: Actor, waiting: Evaluation, iris_test: str
) -> None:
    for name in ("b", "a", "c"):
        evaluation_create(actor=alice, name=name, endpoint="iris", dataset=iris_test)
    Evaluation.objects.update(result={"large": True})
    evaluation_stop(actor=alice, name="c")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        page = evaluation_list(actor=alice)
        shown = [(row.name, row.project.name, row.created_by.username) for row in page.items]
    assert len(queries) <= 6
    assert [name for name, *_rest in shown] == ["c", "a", "b", "first"]
    assert not any('"result"' in query["sql"] for query in queries)
    first = evaluation_list(actor=alice, order="name", limit=3)
    rest = evaluation_list(actor=alice, order="name", limit=3, cursor=first.next)
    assert [row.name for row in [*first.items, *rest.items]] == ["a", "b", "c", "first"]
    assert [row.name for row in evaluation_list(actor=alice, status="Stopped").items] == ["c"]
    for search in ("FIR", "first"):
        assert [row.name for row in evaluation_list(actor=alice, search=search).items] == ["first"]
    assert evaluation_list(actor=alice, search="iris-test").count == 4
    assert evaluation_list(actor=alice, endpoint="other").count == 0
    assert evaluation_list(actor=charlie).count == 0
    assert evaluation_counts(actor=alice)["InProgress"] == 3
    with pytest.raises(InvalidRequest, match="not a status"):
        evaluation_list(actor=alice, status="Done")
    with pytest.raises(InvalidRequest, match="order"):
        evaluation_list(actor=alice, order="summary")


def test_the_same_can_be_asked_for_again(alice: Actor, waiting: Evaluation) -> None:
    asked = evaluation_repeat_request(actor=alice, name="first")
    assert asked["name"].startswith("iris-2")
    again = evaluation_create(actor=alice, **asked)
    same = (
        "endpoint_id",
        "variant",
        "dataset_reference",
        "k_max",
        "batches",
        "single_requests",
        "tags",
        "facts",
    )
    assert [getattr(again, name) for name in same] == [getattr(waiting, name) for name in same]


def test_why_it_waits_is_told(alice: Actor, waiting: Evaluation) -> None:
    assert "manage.py worker --queues cpu" in str(evaluation_waiting_reason(evaluation=waiting))
    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"])
    assert evaluation_waiting_reason(evaluation=waiting) is None
    waiting.created_at -= timedelta(minutes=1)
    assert "place of a worker" in str(evaluation_waiting_reason(evaluation=waiting))
    waiting.status = "Stopped"
    assert evaluation_waiting_reason(evaluation=waiting) is None


def test_a_table_with_columns_in_another_order_and_fewer_classes_is_measured_rightly(
    alice: Actor, live_endpoint: Endpoint, make_dataset: MakeDataset, iris: IrisParts
) -> None:
    columns = ["petal_width", "petal_length", "sepal_width", "sepal_length"]
    rows = [row for row in iris.test if NAMES[row[-1]] == "virginica"]
    make_dataset("virginica", csv_of(rows, columns))
    found = carried_out(alice, dataset="virginica", single_requests=5)
    assert (found.status, found.summary["value"]) == ("Completed", 1.0)
