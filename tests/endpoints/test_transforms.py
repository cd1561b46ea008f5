"""Batch transforms: what a request is refused for, and jobs carried out with real model servers."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from endpoints.models import Model, TransformJob
from endpoints.selectors.transforms import (
    transform_job_get,
    transform_result_get,
    transform_result_preview,
    transform_results,
)
from endpoints.services import transform_execution
from endpoints.services.models import model_delete
from endpoints.services.transforms import (
    TransformRequest,
    transform_job_clone_request,
    transform_job_create,
    transform_job_delete,
    transform_job_execute,
    transform_job_result_to_dataset,
    transform_job_stop,
    transform_job_sweep,
)
from jobs.selectors.datasets import dataset_get
from jobs.services.datasets import dataset_create_from_upload
from mlplatform.core import clock
from mlplatform.core.env import data_dir
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound
from mlplatform.core.keeping.object_references import objects_referred
from mlplatform.core.logs import log_read
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import LABELS, IrisParts
from tests.endpoints.evaluation_stage import csv_of

NAMES = {code: name for name, code in LABELS.items()}


@pytest.fixture
def flowers(alice: Actor, iris: IrisParts) -> str:
    text = csv_of(iris.test)
    dataset_create_from_upload(
        actor=alice, name="flowers", file=io.BytesIO(text.encode()), filename="flowers.csv", label="species"
    )
    return "flowers"


@pytest.fixture
def request_of(iris_model: Model, flowers: str) -> TransformRequest:
    return TransformRequest(model="iris-knn", name="first", dataset=flowers, input_filter="$[0:4]")


def made(actor: Actor, request: TransformRequest) -> TransformJob:
    job = transform_job_create(actor=actor, request=request)
    assert transform_job_execute(transform_job_id=job.pk)
    return transform_job_get(actor=actor, name=job.name)


def lines_of(job: TransformJob) -> list[str]:
    assert job.status == "Completed", (job.failure, log_read(stream=job.log).text)
    return object_store().get_bytes(job.result_uri).decode().splitlines()


def labels_of(iris: IrisParts) -> list[float]:
    return [row[-1] for row in iris.test]


def test_every_result_of_thousands_can_be_had_and_nothing_outside_of_them(
    alice: Actor, request_of: TransformRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = transform_job_create(actor=alice, request=request_of)
    job.result_uri = uri(alice.project.bucket, f"transform-jobs/{job.uid}/1/output/")
    for name in ("a.out", "b/c.out"):
        object_store().put_bytes(b"1\n", f"{job.result_uri}{name}")
    object_store().put_bytes(b"secret", uri(alice.project.bucket, "secret"))
    monkeypatch.setattr("endpoints.selectors.transforms.RESULTS_MAX", 1)
    assert transform_result_get(job=job, name="b/c.out").size_bytes == 2
    assert len(transform_results(job=job)) == 1
    for wrong in ("none.out", "../../../../secret", "b/", "b/../a.out", "b"):
        with pytest.raises(NotFound):
            transform_result_get(job=job, name=wrong)


# ---- what is asked for


def test_a_row_with_its_label_is_refused_with_the_filter_that_leaves_it_out(
    alice: Actor, request_of: TransformRequest
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        transform_job_create(actor=alice, request=replace(request_of, input_filter="$"))
    (error,) = refused.value.errors
    assert error.field == "input_filter"
    assert "leave the label column “species” out with the input filter $[0:4]" in error.message


def test_everything_that_is_wrong_is_said_at_once(alice: Actor, request_of: TransformRequest) -> None:
    wrong = replace(
        request_of,
        model="nobody",
        dataset=None,
        uri="s3://elsewhere/x",
        input_filter="$[",
        output_filter="x",
        join="Both",
        split_type="RecordIO",
        max_payload_mb=0,
        max_concurrent=100,
        instance_type="ml.none",
        instance_count=2,
        max_runtime_s=0,
    )
    with pytest.raises(InvalidRequest) as refused:
        transform_job_create(actor=alice, request=wrong)
    assert {error.field for error in refused.value.errors} == {
        *("model", "uri", "input_filter", "output_filter", "join", "split_type"),
        *("max_payload_mb", "max_concurrent", "instance_type", "instance_count", "max_runtime_s"),
    }


def test_viewers_make_none_and_others_see_none(
    alice: Actor, bob: Actor, charlie: Actor, request_of: TransformRequest
) -> None:
    with pytest.raises(AccessDenied):
        transform_job_create(actor=bob, request=request_of)
    transform_job_create(actor=alice, request=request_of)
    assert transform_job_get(actor=bob, name="first").status == "InProgress"
    with pytest.raises(NotFound):
        transform_job_get(actor=charlie, name="first")
    with pytest.raises(Conflict):
        transform_job_create(actor=alice, request=request_of)


def test_one_that_nobody_has_begun_stops_at_once_and_a_clone_asks_for_the_same(
    alice: Actor, request_of: TransformRequest
) -> None:
    job = transform_job_create(actor=alice, request=request_of)
    with pytest.raises(Conflict, match="stop it"):
        transform_job_delete(actor=alice, name="first")
    assert transform_job_stop(actor=alice, name="first").status == "Stopped"
    assert not transform_job_execute(transform_job_id=job.pk)
    asked = transform_job_clone_request(actor=alice, name="first")
    again = transform_job_create(actor=alice, request=TransformRequest(**asked))
    assert (again.input_filter, again.dataset_reference) == ("$[0:4]", "flowers@1")
    with pytest.raises(Conflict, match="transform job"):
        model_delete(actor=alice, name="iris-knn")
    transform_job_delete(actor=alice, name="first")
    assert not TransformJob.objects.filter(name="first").exists()


# ---- with a model server


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_dataset_is_transformed_in_order_and_joined(
    alice: Actor, request_of: TransformRequest, iris: IrisParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_by_one = replace(
        request_of, batch_strategy="SingleRecord", max_concurrent=8, accept="application/jsonlines"
    )
    job = made(alice, one_by_one)
    predicted = [json.loads(line)["predicted_label"] for line in lines_of(job)]
    assert len(predicted) == len(iris.test)
    assert sum(a == b for a, b in zip(predicted, labels_of(iris), strict=True)) == 37
    assert job.result_bytes == object_store().size(job.result_uri)
    assert job.result_uri in objects_referred([job.result_uri])
    assert job.progress["fraction"] == 1.0 and job.progress["n_done"] == 38
    assert job.billable_s and job.price_per_hour is not None and job.currency
    assert "model server started" in log_read(stream=job.log).text
    assert not any((data_dir() / "transforms").iterdir())

    joined = made(alice, replace(request_of, name="joined", join="Input", output_filter="$[0,4:]"))
    head, *rows = lines_of(joined)
    assert head == "sepal_length,species,predicted_label"
    assert [row.split(",")[1] for row in rows] == [NAMES[int(label)] for label in labels_of(iris)]
    preview = transform_result_preview(job=joined)
    assert preview is not None and preview.whole and len(preview.cells) == 39
    transform_job_result_to_dataset(actor=alice, name="joined", dataset="predicted")
    latest = dataset_get(actor=alice, name="predicted").latest
    assert latest is not None and (latest.n_rows, latest.n_columns) == (38, 3)
    transform_job_delete(actor=alice, name="first")
    assert object_store().size(job.result_uri) is None


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_objects_under_a_prefix_and_a_record_that_the_model_refuses(
    alice: Actor, request_of: TransformRequest, iris: IrisParts
) -> None:
    bucket = alice.project.bucket
    rows = [",".join(map(str, row[:-1])) for row in iris.test]
    object_store().put_bytes("\n".join(rows[:20]).encode(), uri(bucket, "in/a.csv"))
    object_store().put_bytes("\n".join(rows[20:]).encode(), uri(bucket, "in/deep/b.csv"))
    both = replace(
        request_of, dataset=None, uri=uri(bucket, "in/"), input_filter="$", accept="application/jsonlines"
    )
    job = made(alice, both)
    assert job.status == "Completed", job.failure
    results = transform_results(job=job)
    assert [result.name for result in results] == ["a.csv.out", "deep/b.csv.out"]
    assert [object_store().get_bytes(result.uri).count(b"\n") for result in results] == [20, 18]
    assert objects_referred([result.uri for result in results]) == {result.uri for result in results}

    object_store().put_bytes("\n".join([*rows[:5], "1,2,three,4", *rows]).encode(), uri(bucket, "bad.csv"))
    failed = made(alice, replace(both, name="bad", uri=uri(bucket, "bad.csv")))
    assert failed.status == "Failed" and failed.result_uri == ""
    assert failed.failure["kind"] == "DataError"
    assert failed.failure["row"] == 6 and failed.failure["object"] == "bad.csv"
    assert "record 6: the model answered 400" in failed.failure["reason"]
    assert "three" in failed.failure["reason"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_large_object_takes_constant_memory(
    alice: Actor, request_of: TransformRequest, iris: IrisParts
) -> None:
    """100,000 rows with the worker's process limited to far less than all answers would take."""
    row = ",".join(map(str, iris.test[0][:-1])) + "\n"
    address = uri(alice.project.bucket, "many.csv")
    object_store().put_bytes(row.encode() * 100_000, address)
    job = made(
        alice,
        replace(
            request_of,
            dataset=None,
            uri=address,
            input_filter="$",
            join="Input",
            max_concurrent=2,
            accept="application/json",
        ),
    )
    assert lines_of(job)[-1].startswith(row.strip())
    assert job.progress["n_done"] == 100_000


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_killed_worker_costs_an_attempt_and_nothing_else(
    alice: Actor, request_of: TransformRequest, iris: IrisParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = transform_job_create(actor=alice, request=request_of)
    taken = transform_execution.run_lease_take(
        kind=transform_execution.KINDS["cpu"], run_id=job.pk, started_at=clock.now()
    )
    assert taken is not None
    TransformJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))
    assert transform_job_sweep() == 1
    assert transform_job_execute(transform_job_id=job.pk)
    again = transform_job_get(actor=alice, name="first")
    assert (again.status, again.attempt) == ("Completed", 2)
    assert f"/{again.attempt}/output/" in again.result_uri


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_model_that_cannot_be_loaded_fails_the_job_with_its_words(
    alice: Actor, request_of: TransformRequest, iris_model: Model
) -> None:
    Model.objects.filter(pk=iris_model.pk).update(artifact_sha256="0" * 64)
    job = made(alice, request_of)
    assert job.status == "Failed"
    assert job.failure["kind"] == "AlgorithmError" and "digest" in job.failure["reason"]
