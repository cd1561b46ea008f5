"""Models: made of a job or of an archive, owning their artifact, deleted only when nobody uses them."""

from __future__ import annotations

from pathlib import Path

import pytest

from endpoints.models import EndpointConfig, Model, Replica
from endpoints.selectors.models import model_get, model_labels, model_list, model_uses
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete, endpoint_update
from endpoints.services.models import model_create, model_delete
from endpoints.services.replicas import replica_claim, replica_gone, replica_ready, replica_started
from endpoints.services.rollout import rollout_steps
from jobs.models import TrainingJob
from jobs.services.training import training_job_delete
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound, TransientError
from mlplatform.core.models import LogStream
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import LABELS, TrainedModel
from tests.interleaving import before_the_first_transaction


def _objects(actor: Actor) -> list[str]:
    return sorted(found.uri for found in object_store().list(f"s3://{actor.project.bucket}/models"))


def test_a_model_takes_over_algorithm_digest_and_manifest_of_its_job(
    alice: Actor, completed_job: TrainingJob, knn_iris: TrainedModel
) -> None:
    model = model_create(actor=alice, name="iris", training_job="iris-knn", description="first")
    assert (model.algorithm, model.artifact_sha256) == ("knn", completed_job.artifact_sha256)
    assert model.manifest == knn_iris.manifest
    assert model.artifact_bytes == knn_iris.archive.stat().st_size
    assert model_labels(model=model) == list(LABELS)


def test_a_model_keeps_its_artifact_when_the_job_s_is_gone(alice: Actor, completed_job: TrainingJob) -> None:
    model = model_create(actor=alice, name="iris", training_job="iris-knn")
    object_store().delete([completed_job.artifact_uri])
    assert object_store().size(model.artifact_uri) == model.artifact_bytes


def test_a_model_of_an_archive_gets_digest_and_manifest_from_it(alice: Actor, knn_iris: TrainedModel) -> None:
    address = uri(alice.project.bucket, "uploads/m.tar.gz")
    stored = object_store().put_file(knn_iris.archive, address)
    model = model_create(actor=alice, name="iris", artifact_uri=address, algorithm="knn")
    assert model.artifact_sha256 == stored.sha256
    assert model.manifest["label_mapping"] == LABELS
    assert model.training_job is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "../x", "training_job": "iris-knn"}, "name"),
        ({"name": "x"}, "training_job"),
        ({"name": "x", "training_job": "nope"}, "training_job"),
        ({"name": "x", "training_job": "iris-knn", "algorithm": "xgboost"}, "algorithm"),
        ({"name": "x", "artifact_uri": "file:///etc/passwd", "algorithm": "knn"}, "artifact_uri"),
        ({"name": "x", "artifact_uri": "s3://somewhere/else.tar.gz", "algorithm": "knn"}, "artifact_uri"),
        ({"name": "x", "artifact_uri": "s3://somewhere/else.tar.gz"}, "algorithm"),
        ({"name": "x", "artifact_uri": "s3://somewhere/../x", "algorithm": "knn"}, "artifact_uri"),
        ({"name": "x", "artifact_uri": "s3://somewhere/x", "algorithm": "magic"}, "algorithm"),
        (
            {"name": "x", "training_job": "iris-knn", "environment": {"LD_PRELOAD": "x"}},
            "environment.LD_PRELOAD",
        ),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_left(
    alice: Actor, completed_job: TrainingJob, given: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        model_create(actor=alice, **given)  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]
    assert not Model.objects.exists() and _objects(alice) == []


def test_what_is_no_archive_is_refused_and_nothing_is_left(alice: Actor) -> None:
    address = uri(alice.project.bucket, "uploads/m.tar.gz")
    object_store().put_bytes(b"not an archive", address)
    with pytest.raises(InvalidRequest, match="not a model archive"):
        model_create(actor=alice, name="x", artifact_uri=address, algorithm="knn")
    assert _objects(alice) == []


@pytest.mark.django_db(transaction=True)
def test_a_job_deleted_just_before_the_transaction_is_named_and_nothing_is_left(
    alice: Actor, completed_job: TrainingJob
) -> None:
    with (
        before_the_first_transaction(lambda: training_job_delete(actor=alice, name="iris-knn")),
        pytest.raises(Conflict, match="training_job: there is no training job “iris-knn”") as refused,
    ):
        model_create(actor=alice, name="iris", training_job="iris-knn")
    assert [error.field for error in refused.value.errors] == ["training_job"]
    assert not Model.objects.exists() and _objects(alice) == []


def test_an_object_that_vanishes_before_it_is_copied_is_named(
    alice: Actor, knn_iris: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = uri(alice.project.bucket, "uploads/m.tar.gz")
    store = object_store()
    store.put_file(knn_iris.archive, address)
    size = store.size

    def size_and_gone(asked: str) -> int | None:
        found = size(asked)
        store.delete([asked])
        return found

    monkeypatch.setattr(store, "size", size_and_gone)
    with pytest.raises(InvalidRequest, match="there is no object") as refused:
        model_create(actor=alice, name="x", artifact_uri=address, algorithm="knn")
    assert [error.field for error in refused.value.errors] == ["artifact_uri"]


def test_what_was_wrong_is_said_when_the_store_is_away_for_the_clean_up(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = uri(alice.project.bucket, "uploads/m.tar.gz")
    object_store().put_bytes(b"not an archive", address)

    def away(uris: list[str]) -> None:
        raise TransientError("The object store is away")

    monkeypatch.setattr(object_store(), "delete", away)
    with pytest.raises(InvalidRequest, match="not a model archive"):
        model_create(actor=alice, name="x", artifact_uri=address, algorithm="knn")


def test_a_running_job_has_no_model(alice: Actor, completed_job: TrainingJob) -> None:
    TrainingJob.objects.update(status="InProgress", artifact_uri="")
    with pytest.raises(InvalidRequest, match="InProgress"):
        model_create(actor=alice, name="x", training_job="iris-knn")


def test_a_name_is_taken_once_per_project(alice: Actor, charlie: Actor, iris_model: Model) -> None:
    with pytest.raises(Conflict, match="already exists"):
        model_create(actor=alice, name="iris-knn", training_job="iris-knn")
    assert len(_objects(alice)) == 1


def test_a_viewer_reads_models_and_changes_none(alice: Actor, bob: Actor, iris_model: Model) -> None:
    assert model_get(actor=bob, name="iris-knn") == iris_model
    assert model_list(actor=bob).items == [iris_model]
    with pytest.raises(AccessDenied):
        model_create(actor=bob, name="x", training_job="iris-knn")
    with pytest.raises(AccessDenied):
        model_delete(actor=bob, name="iris-knn")


def test_a_stranger_sees_no_model_and_learns_nothing_from_the_answer(
    charlie: Actor, iris_model: Model
) -> None:
    with pytest.raises(NotFound) as foreign:
        model_get(actor=charlie, name="iris-knn")
    with pytest.raises(NotFound) as unknown:
        model_get(actor=charlie, name="never")
    assert foreign.value.message.replace("iris-knn", "never") == unknown.value.message
    assert model_list(actor=charlie).count == 0
    with pytest.raises(InvalidRequest, match="no training job"):
        model_create(actor=charlie, name="mine", training_job="iris-knn")


@pytest.mark.django_db(transaction=True)
def test_a_used_model_is_not_deleted_and_the_endpoint_is_named(alice: Actor, iris_model: Model) -> None:
    endpoint_create(actor=alice, name="flowers", variants=[VariantRequest(model="iris-knn")])
    assert [endpoint.name for endpoint in model_uses(model=iris_model)] == ["flowers"]
    with pytest.raises(Conflict, match="flowers"):
        model_delete(actor=alice, name="iris-knn")
    endpoint_delete(actor=alice, name="flowers")
    model_delete(actor=alice, name="iris-knn")
    assert not Model.objects.exists() and _objects(alice) == []


@pytest.mark.django_db(transaction=True)
def test_a_model_that_ending_replicas_still_serve_is_not_deleted(
    alice: Actor, iris_model: Model, knn_iris: TrainedModel
) -> None:
    model_create(actor=alice, name="second", training_job="iris-knn")
    endpoint_create(actor=alice, name="flowers", variants=[VariantRequest(model="iris-knn")])
    host_serves()
    endpoint_update(actor=alice, name="flowers", variants=[VariantRequest(model="second")])
    host_serves()
    draining = Replica.objects.get(variant__model=iris_model)
    assert draining.status == "Draining" and model_uses(model=iris_model) == []
    with pytest.raises(Conflict, match="endpoint flowers that are ending"):
        model_delete(actor=alice, name="iris-knn")
    assert replica_gone(replica_id=draining.pk, host="one")
    while rollout_steps():
        pass
    model_delete(actor=alice, name="iris-knn")
    assert LogStream.objects.count() == 3, (
        "the job's, that of the new replica and that of the one that is gone"
    )
    assert [model.name for model in Model.objects.all()] == ["second"]


def host_serves(*, host: str = "one") -> None:
    """Plays a host: claims what waits and says that it answers."""
    for replica in replica_claim(host=host):
        assert replica_started(replica_id=replica.pk, host=host, pid=1)
        assert replica_ready(replica_id=replica.pk, host=host, address=f"unix:/tmp/{replica.uid}")
    while rollout_steps():
        pass


def test_a_model_that_only_an_older_configuration_had_can_be_deleted(
    alice: Actor, iris_model: Model, knn_iris: TrainedModel
) -> None:
    model_create(actor=alice, name="second", training_job="iris-knn")
    endpoint = endpoint_create(actor=alice, name="flowers", variants=[VariantRequest(model="iris-knn")])
    endpoint.status = "Failed"
    endpoint.save()
    endpoint_update(actor=alice, name="flowers", variants=[VariantRequest(model="second")])
    model_delete(actor=alice, name="iris-knn")
    assert [model.name for model in Model.objects.all()] == ["second"]
    assert EndpointConfig.objects.count() == 1


def test_search_finds_by_name_and_description(alice: Actor, completed_job: TrainingJob) -> None:
    model_create(actor=alice, name="one", training_job="iris-knn", description="for the shop")
    model_create(actor=alice, name="two", training_job="iris-knn")
    assert [model.name for model in model_list(actor=alice, search="SHOP").items] == ["one"]
    assert [model.name for model in model_list(actor=alice, order="name").items] == ["one", "two"]


def test_the_archive_stays_private_to_its_project(
    alice: Actor, charlie: Actor, iris_model: Model, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequest, match="there is no object"):
        model_create(actor=charlie, name="stolen", artifact_uri=iris_model.artifact_uri, algorithm="knn")
