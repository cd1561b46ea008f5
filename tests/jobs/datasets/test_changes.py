"""Datasets split, labelled anew, given versions and deleted, also while somebody else is at them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from jobs.models import Dataset, DatasetVersion, TrainingInput, TrainingJob
from jobs.selectors import datasets as selectors
from jobs.services import datasets as services
from mlplatform.core import clock
from mlplatform.core.errors import Conflict, InvalidRequest, NotFound, TransientError
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import TableSchema
from tests.interleaving import before_the_first_transaction
from tests.jobs.datasets.kept import CSV, nothing_is_left, objects


def _job(actor: Actor, version: DatasetVersion, name: str, status: TrainingJobStatus) -> TrainingJob:
    job = TrainingJob.objects.create(
        project=actor.project,
        name=name,
        uid=name,
        algorithm="knn",
        instance_type="local.cpu",
        queue="cpu",
        status=status,
        log=LogStream.objects.create(),
        created_by=actor.user,
        created_at=clock.now(),
    )
    TrainingInput.objects.create(
        job=job,
        channel="train",
        dataset_version=version,
        dataset_reference=str(version),
        uri=version.uri,
        content_type="text/csv",
    )
    return job


def _arrays(actor: Actor, reference: str):
    version = selectors.dataset_version_get(actor=actor, reference=reference)
    path = object_store().local_path(version.uri)
    (batch,) = read_batches(path, TableSchema.from_dict(version.schema), require_label=True)
    return batch.X, batch.y


def test_iris_split_as_scikit_learn_does_gives_37_of_38(erin, iris):
    parts = services.dataset_split(actor=erin, name="iris", fractions={"train": 0.75, "test": 0.25})
    assert [part.name for part in parts] == ["iris-train", "iris-test"]
    X, y = _arrays(erin, "iris-train")
    X_test, y_test = _arrays(erin, "iris-test")
    expected = train_test_split(*load_iris(return_X_y=True), test_size=0.25, random_state=0)
    for ours, theirs in zip((X, X_test, y, y_test), expected, strict=True):
        assert ours.tolist() == theirs.astype("float32").tolist()
    model = KNeighborsClassifier(n_neighbors=1).fit(X, y)
    assert (len(y), len(y_test), int((model.predict(X_test) == y_test).sum())) == (112, 38, 37)
    version = selectors.dataset_version_get(actor=erin, reference="iris-test")
    assert version.parent == iris.latest
    assert version.source_detail == "iris@1: test 0.25, seed 0"


def test_a_split_needs_free_names_and_leaves_nothing_where_one_is_taken(erin, iris):
    services.dataset_create_from_sample(actor=erin, name="iris-test", sample="iris")
    before = objects(erin)
    with pytest.raises(Conflict, match="iris-test"):
        services.dataset_split(actor=erin, name="iris", fractions={"train": 0.5, "test": 0.5})
    assert objects(erin) == before
    assert not Dataset.objects.filter(name="iris-train").exists()


def test_fractions_that_are_none_are_refused(erin, iris):
    for fractions, field in (
        ({"train": 0.9}, "fractions"),
        ({"train": 0.9, "test": 0.2}, "fractions"),
        ({"train": 0.9, "test": 0}, "fractions.test"),
        ({"train": 0.9, "../x": 0.1}, "fractions.../x"),
        ({"a": float("nan"), "b": 0.1}, "fractions.a"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            services.dataset_split(actor=erin, name="iris", fractions=fractions)
        assert caught.value.errors[0].field == field
    assert Dataset.objects.count() == 1


def test_another_label_makes_a_version_of_the_same_bytes(erin, flowers):
    changed = services.dataset_update(actor=erin, name="flowers", label="length", description="by length")
    assert (changed.latest.number, changed.latest.label_name, changed.description) == (
        2,
        "length",
        "by length",
    )
    first = selectors.dataset_version_get(actor=erin, reference="flowers@1")
    assert first.label_name == "kind"
    assert first.uri == changed.latest.uri
    assert changed.latest.schema["label_mapping"] is None
    assert (changed.latest.source, changed.latest.parent) == ("relabel", first)
    services.dataset_update(actor=erin, name="flowers", label="length")
    assert Dataset.objects.get(name="flowers").versions.count() == 2
    services.dataset_update(actor=erin, name="flowers", label=None)
    assert selectors.dataset_version_get(actor=erin, reference="flowers").label_name is None
    assert [version.number for version in selectors.dataset_versions(dataset=changed)] == [3, 2, 1]


@pytest.mark.parametrize(
    ("label", "words"), [("nothing", "use one of length, width, kind"), ("width", "is missing")]
)
def test_a_label_that_cannot_be_one_is_refused(erin, flowers, label, words):
    before = objects(erin)
    with pytest.raises(InvalidRequest, match=words) as caught:
        services.dataset_update(actor=erin, name="flowers", label=label)
    assert caught.value.errors[0].field == "label"
    assert objects(erin) == before


def test_tags_and_description_are_changed_in_place(erin, flowers):
    changed = services.dataset_update(actor=erin, name="flowers", tags={"team": "花"})
    assert (changed.tags, changed.latest.number) == ({"team": "花"}, 1)
    with pytest.raises(InvalidRequest, match="tags"):
        services.dataset_update(actor=erin, name="flowers", tags={"": "x"})
    with pytest.raises(InvalidRequest, match="description"):
        services.dataset_update(actor=erin, name="flowers", description="x" * 10_001)


def test_a_new_version_keeps_the_label_by_name(erin, flowers):
    added = services.dataset_version_add(actor=erin, name="flowers", file=iter([b"kind,length\n", b"c,1\n"]))
    assert (added.number, added.label_name, added.schema["label"]) == (2, "kind", 0)
    assert selectors.dataset_version_get(actor=erin, reference="flowers") == added
    with pytest.raises(InvalidRequest, match="'kind' is not a column"):
        services.dataset_version_add(actor=erin, name="flowers", file=io.BytesIO(b"a,b\n1,2\n"))
    assert Dataset.objects.get().latest == added


def test_a_dataset_is_not_deleted_under_a_running_job(erin, flowers):
    job = _job(erin, flowers.latest, "busy", TrainingJobStatus.IN_PROGRESS)
    with pytest.raises(Conflict, match="busy"):
        services.dataset_delete(actor=erin, name="flowers")
    assert [used.job for used in selectors.dataset_uses(dataset=flowers)] == [job]
    assert selectors.dataset_list(actor=erin).items[0].n_jobs == 1


@pytest.mark.django_db(transaction=True)
def test_deletion_takes_the_bytes_and_leaves_the_jobs_their_history(erin, flowers):
    job = _job(erin, flowers.latest, "done", TrainingJobStatus.COMPLETED)
    services.dataset_update(actor=erin, name="flowers", label="length")
    assert len(objects(erin)) == 3
    services.dataset_delete(actor=erin, name="flowers")
    assert objects(erin) == []
    assert job.inputs.get().dataset_reference == "flowers@1"
    assert job.inputs.get().dataset_version is None
    with pytest.raises(NotFound):
        selectors.dataset_get(actor=erin, name="flowers")


def test_a_version_of_a_dataset_that_is_deleted_meanwhile_leaves_nothing(alice, data_dir):
    services.dataset_create_from_upload(actor=alice, name="gone", file=io.BytesIO(CSV))

    def pieces():
        yield CSV
        Dataset.objects.all().delete()

    before = sorted((data_dir / "store").rglob("*"))
    with pytest.raises(NotFound, match="gone"):
        services.dataset_version_add(actor=alice, name="gone", file=pieces())
    assert sorted((data_dir / "store").rglob("*")) == before
    assert not DatasetVersion.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("store_away", [False, True], ids=["store", "store-away"])
def test_a_split_of_a_dataset_deleted_meanwhile_says_so(
    erin, iris, data_dir: Path, store_away: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(uris: list[str]) -> None:
        raise TransientError("The object store is away")

    def delete_it() -> None:
        services.dataset_delete(actor=erin, name="iris")
        if store_away:
            monkeypatch.setattr(object_store(), "delete", away)

    with before_the_first_transaction(delete_it), pytest.raises(NotFound, match="no dataset 'iris'"):
        services.dataset_split(actor=erin, name="iris", fractions={"train": 0.75, "test": 0.25})
    assert store_away or nothing_is_left(erin, data_dir)
