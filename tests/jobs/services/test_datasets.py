"""Datasets from upload to deletion: what becomes visible, what leaves nothing behind, and who may do it."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import TemporaryUploadedFile
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from jobs.models import Dataset, DatasetVersion, TrainingInput, TrainingJob
from jobs.selectors import datasets as selectors
from jobs.services import datasets as services
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound, TooLarge, TransientError
from mlplatform.core.models import LogStream, Membership, Role
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.status import TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from mlplatform.core.tabular.read import read_batches
from mlplatform.core.tabular.schema import TableSchema
from tests.interleaving import before_the_first_transaction

CSV = b"length,width,kind\n1.5,2,b\n3.50,,a\n5,6,b\n"


@pytest.fixture(autouse=True)
def data_dir(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    return tmp_path


def _member(name: str, project, role: Role) -> Actor:
    user = User.objects.create_user(name)
    Membership.objects.create(user=user, project=project, role=role)
    return Actor(user=user, project=project, role=role)


@pytest.fixture
def alice(db) -> Actor:
    user = User.objects.create_user("alice")
    return Actor(user=user, project=project_create(user=user, name="alpha"), role=Role.ADMIN)


@pytest.fixture
def bob(alice) -> Actor:
    return _member("bob", alice.project, Role.VIEWER)


@pytest.fixture
def erin(alice) -> Actor:
    return _member("erin", alice.project, Role.EDITOR)


@pytest.fixture
def charlie(db) -> Actor:
    user = User.objects.create_user("charlie")
    return Actor(user=user, project=project_create(user=user, name="gamma"), role=Role.ADMIN)


@pytest.fixture
def flowers(erin) -> Dataset:
    return services.dataset_create_from_upload(
        actor=erin, name="flowers", file=io.BytesIO(CSV), filename="flowers.csv", label="kind"
    )


@pytest.fixture
def iris(erin) -> Dataset:
    return services.dataset_create_from_sample(actor=erin, name="iris", sample="iris")


def _objects(actor: Actor) -> list[str]:
    return [found.uri for found in object_store().list(f"s3://{actor.project.bucket}/datasets")]


def _nothing_is_left(actor: Actor, data_dir: Path) -> bool:
    staged = list((data_dir / "tmp").iterdir()) if (data_dir / "tmp").exists() else []
    return not Dataset.objects.exists() and not _objects(actor) and not staged


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


def test_an_upload_becomes_a_version_with_its_summary(erin, flowers, data_dir):
    version = selectors.dataset_version_get(actor=erin, reference="flowers")
    assert (version.number, version.n_rows, version.n_columns) == (1, 3, 3)
    assert version.sha256 == hashlib.sha256(CSV).hexdigest()
    assert version.size_bytes == len(CSV)
    assert object_store().get_bytes(version.uri) == CSV
    assert version.schema["label_mapping"] == {"a": 0, "b": 1}
    assert version.label_name == "kind"
    assert [column["type"] for column in version.columns] == ["fractional", "integral", "text"]
    assert [column["missing"] for column in version.columns] == [0, 1, 0]
    assert version.columns[0]["max"] == 5
    assert "histogram" not in version.columns[0]
    assert (version.filename, version.content_type, version.source) == ("flowers.csv", "text/csv", "upload")
    assert version.warnings == ["Column 'width' has 1 missing cells; not every algorithm accepts them"]
    assert list((data_dir / "tmp").iterdir()) == []


def test_the_preview_shows_cells_and_the_profile_histograms(bob, flowers):
    preview = selectors.dataset_preview(actor=bob, reference="flowers@1")
    assert preview.columns == ["length", "width", "kind"]
    assert preview.rows == [["1.5", "2", "b"], ["3.5", "", "a"], ["5", "6", "b"]]
    profile = selectors.dataset_profile(actor=bob, reference="flowers")
    assert sum(profile["columns"][0]["histogram"]["counts"]) == 3
    assert profile["columns"][2]["histogram"] == {"values": ["b", "a"], "counts": [2, 1]}
    assert profile["sample"]["rows"] == [[1.5, 2, "b"], [3.5, None, "a"], [5.0, 6, "b"]]


def test_a_download_is_the_very_bytes_uploaded(bob, flowers):
    download = selectors.dataset_download(actor=bob, reference="flowers")
    assert b"".join(download.chunks) == CSV
    assert (download.filename, download.content_type, download.size_bytes) == (
        "flowers.csv",
        "text/csv",
        len(CSV),
    )


@pytest.mark.parametrize(
    ("data", "options", "field", "words"),
    [
        (b"", {}, "file", "the file is empty"),
        (b"a,b\n1,2\n3\n", {}, "file", "row 2: has 1 fields, 2 are expected"),
        (b"a,b\n" + b"1,2\n" * 16 + b"1,abc\n", {}, "file", "row 17, column 'b': 'abc' is not a number"),
        (b"a,b\n1,2\n2,NaN\n", {"label": "b"}, "file", "row 2, column 'b': the label is missing"),
        (b"a,b\n1,2\n", {"label": "c"}, "label", "'c' is not a column; use one of a, b"),
        (b"a,b\n1,2\n", {"encoding": "klingon"}, "encoding", "use utf-8, cp932 or euc-jp"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_and_leaves_nothing(
    erin, data_dir, data, options, field, words
):
    with pytest.raises(InvalidRequest, match=words) as caught:
        services.dataset_create_from_upload(actor=erin, name="bad", file=io.BytesIO(data), **options)
    assert [error.field for error in caught.value.errors] == [field]
    assert _nothing_is_left(erin, data_dir)


@pytest.mark.parametrize("name", ["../x", "", "a b", "-a", "a" * 64, "名前"])
def test_a_name_that_is_none_is_refused(erin, data_dir, name):
    with pytest.raises(InvalidRequest, match="name") as caught:
        services.dataset_create_from_upload(actor=erin, name=name, file=io.BytesIO(CSV))
    assert caught.value.errors[0].field == "name"
    assert _nothing_is_left(erin, data_dir)


def test_a_name_is_taken_in_whatever_case(erin, flowers):
    with pytest.raises(Conflict, match="exists already"):
        services.dataset_create_from_upload(actor=erin, name="Flowers", file=io.BytesIO(CSV))
    assert Dataset.objects.count() == 1


def test_an_upload_over_the_limit_is_refused_before_it_is_whole(erin, settings, data_dir):
    settings.MLPLATFORM_UPLOAD_LIMIT_BYTES = 3 * 1024 * 1024
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 1
            yield b"1,2,3\n" * 50_000

    with pytest.raises(TooLarge, match="3,145,728 bytes"):
        services.dataset_create_from_upload(actor=erin, name="big", file=endless())
    assert taken == 11
    assert _nothing_is_left(erin, data_dir)


def test_what_django_has_on_disk_is_taken_as_it_is(erin, settings, data_dir):
    settings.FILE_UPLOAD_TEMP_DIR = str(data_dir)
    with TemporaryUploadedFile("f.csv", "text/csv", len(CSV), "utf-8") as upload:
        upload.write(CSV)
        upload.flush()
        services.dataset_create_from_upload(actor=erin, name="f", file=upload, filename=upload.name)
    download = selectors.dataset_download(actor=erin, reference="f")
    assert b"".join(download.chunks) == CSV


def test_a_store_that_is_away_leaves_no_row(erin, settings, data_dir):
    (data_dir / "store").mkdir(exist_ok=True)
    (data_dir / "store" / erin.project.bucket).write_text("in the way")
    with pytest.raises(Exception, match="object store"):
        services.dataset_create_from_upload(actor=erin, name="x", file=io.BytesIO(CSV))
    assert not Dataset.objects.exists()
    assert list((data_dir / "tmp").iterdir()) == []


def test_a_file_name_is_only_shown(erin):
    services.dataset_create_from_upload(
        actor=erin, name="x", file=io.BytesIO(CSV), filename="..\\..\\etc/pass\nwd.csv"
    )
    version = selectors.dataset_version_get(actor=erin, reference="x")
    assert version.filename == "passwd.csv"
    assert version.uri == f"s3://{erin.project.bucket}/datasets/{version.uid}/data.csv"


def test_a_sample_is_a_dataset(erin, iris):
    version = selectors.dataset_version_get(actor=erin, reference="iris@1")
    assert (version.n_rows, version.n_columns, version.label_name) == (150, 5, "Species")
    assert version.schema["label_mapping"] == {"setosa": 0, "versicolor": 1, "virginica": 2}
    with pytest.raises(InvalidRequest, match="use iris, diabetes, digits, wine, breast_cancer"):
        services.dataset_create_from_sample(actor=erin, name="other", sample="titanic")


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
    before = _objects(erin)
    with pytest.raises(Conflict, match="iris-test"):
        services.dataset_split(actor=erin, name="iris", fractions={"train": 0.5, "test": 0.5})
    assert _objects(erin) == before
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
    before = _objects(erin)
    with pytest.raises(InvalidRequest, match=words) as caught:
        services.dataset_update(actor=erin, name="flowers", label=label)
    assert caught.value.errors[0].field == "label"
    assert _objects(erin) == before


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
    assert len(_objects(erin)) == 3
    services.dataset_delete(actor=erin, name="flowers")
    assert _objects(erin) == []
    assert job.inputs.get().dataset_reference == "flowers@1"
    assert job.inputs.get().dataset_version is None
    with pytest.raises(NotFound):
        selectors.dataset_get(actor=erin, name="flowers")


def test_a_dataset_from_an_object_of_the_own_bucket(erin, data_dir):
    uri = f"s3://{erin.project.bucket}/raw/new.csv"
    object_store().put_bytes(CSV, uri)
    dataset = services.dataset_create_from_uri(actor=erin, name="new", uri=uri, label=-1)
    assert (dataset.latest.source_detail, dataset.latest.filename) == (uri, "new.csv")
    assert dataset.latest.label_name == "kind"
    assert dataset.latest.uri != uri


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "http://example.com/a.csv",
        "ftp://example.com/a.csv",
        "s3://nobody-else/raw.csv",
        "s3://BUCKET/../secret",
        "s3://BUCKET/none.csv",
        "https://127.0.0.1/a.csv",
        "https://localhost/a.csv",
        "https://[::1]/a.csv",
        "https://169.254.169.254/latest/meta-data",
        "https://user:word@example.com/a.csv",
    ],
)
def test_an_address_that_may_not_be_read_is_refused(erin, data_dir, uri):
    with pytest.raises(InvalidRequest) as caught:
        services.dataset_create_from_uri(actor=erin, name="x", uri=uri.replace("BUCKET", erin.project.bucket))
    assert caught.value.errors[0].field == "uri"
    assert _nothing_is_left(erin, data_dir)


def test_an_object_of_another_project_is_as_unknown_as_none(erin, charlie):
    object_store().put_bytes(CSV, f"s3://{charlie.project.bucket}/raw.csv")
    messages = set()
    for key in ("raw.csv", "none.csv"):
        uri = f"s3://{charlie.project.bucket}/{key}"
        with pytest.raises(InvalidRequest) as caught:
            services.dataset_create_from_uri(actor=erin, name="x", uri=uri)
        messages.add(str(caught.value).replace(key, "KEY"))
    assert len(messages) == 1


WRITES = {
    "create": lambda actor: services.dataset_create_from_upload(actor=actor, name="y", file=io.BytesIO(CSV)),
    "uri": lambda actor: services.dataset_create_from_uri(actor=actor, name="y", uri="s3://x/y"),
    "sample": lambda actor: services.dataset_create_from_sample(actor=actor, name="y", sample="iris"),
    "version": lambda actor: services.dataset_version_add(actor=actor, name="flowers", file=io.BytesIO(CSV)),
    "update": lambda actor: services.dataset_update(actor=actor, name="flowers", description="mine"),
    "split": lambda actor: services.dataset_split(
        actor=actor, name="flowers", fractions={"a": 0.5, "b": 0.5}
    ),
    "delete": lambda actor: services.dataset_delete(actor=actor, name="flowers"),
}
READS = {
    "get": lambda actor: selectors.dataset_get(actor=actor, name="flowers"),
    "version": lambda actor: selectors.dataset_version_get(actor=actor, reference="flowers@1"),
    "profile": lambda actor: selectors.dataset_profile(actor=actor, reference="flowers"),
    "preview": lambda actor: selectors.dataset_preview(actor=actor, reference="flowers"),
    "download": lambda actor: selectors.dataset_download(actor=actor, reference="flowers"),
}


def test_a_viewer_reads_and_cannot_write(bob, flowers):
    for read in READS.values():
        assert read(bob) is not None
    for write in WRITES.values():
        with pytest.raises(AccessDenied, match="editor"):
            write(bob)
    assert Dataset.objects.get().description == ""


def test_a_stranger_finds_nothing_and_changes_nothing(charlie, flowers):
    on_it = READS | {name: WRITES[name] for name in ("version", "update", "split", "delete")}
    foreign = {name: _not_found(call, charlie) for name, call in on_it.items()}
    assert Dataset.objects.filter(name="flowers").exists()
    flowers.delete()
    assert foreign == {name: _not_found(call, charlie) for name, call in on_it.items()}


def _not_found(call, actor: Actor) -> str:
    with pytest.raises(NotFound) as caught:
        call(actor)
    return str(caught.value)


def test_a_version_that_is_not_there_is_not_found(erin, flowers):
    for number in ("2", "0", "x", "", "1@1", "-1", "１"):
        with pytest.raises(NotFound, match="version"):
            selectors.dataset_version_get(actor=erin, reference=f"flowers@{number}")
    for reference in ("nothing", "@1", ""):
        with pytest.raises(NotFound, match="There is no dataset"):
            selectors.dataset_version_get(actor=erin, reference=reference)


def test_lists_are_searched_ordered_and_paged(erin, bob, charlie, flowers, iris):
    services.dataset_update(actor=erin, name="flowers", description="Irises, three rows")
    names = [item.name for item in selectors.dataset_list(actor=bob, order="name").items]
    assert names == ["flowers", "iris"]
    assert [item.name for item in selectors.dataset_list(actor=bob, order="-rows").items] == [
        "iris",
        "flowers",
    ]
    assert [item.name for item in selectors.dataset_list(actor=bob, search="three").items] == ["flowers"]
    first = selectors.dataset_list(actor=bob, order="-rows", limit=1)
    second = selectors.dataset_list(actor=bob, order="-rows", limit=1, cursor=first.next)
    assert (first.count, [item.name for item in second.items], second.next) == (2, ["flowers"], None)
    assert selectors.dataset_list(actor=charlie).items == []
    assert selectors.dataset_count(actor=bob) == 2
    with pytest.raises(InvalidRequest, match="order"):
        selectors.dataset_list(actor=bob, order="latest__sha256")


def test_the_list_takes_few_queries_however_long(erin, flowers, iris, django_assert_num_queries):
    with django_assert_num_queries(2):
        for item in selectors.dataset_list(actor=erin).items:
            assert item.latest.n_rows and item.created_by.username and item.project.name


def test_japanese_survives_the_street(erin):
    data = "長さ,種類\n1.5,あやめ\n2.5,桜\n".encode("cp932")
    services.dataset_create_from_upload(actor=erin, name="hana", file=io.BytesIO(data), label="種類")
    version = selectors.dataset_version_get(actor=erin, reference="hana")
    assert version.schema["encoding"] == "cp932"
    assert version.schema["label_mapping"] == {"あやめ": 0, "桜": 1}
    assert "CP932" in version.warnings[0]
    assert selectors.dataset_preview(actor=erin, reference="hana").rows[0] == ["1.5", "あやめ"]
    assert json.loads(object_store().get_bytes(version.profile_uri))["schema"] == version.schema


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
    assert store_away or _nothing_is_left(erin, data_dir)


@pytest.mark.django_db(transaction=True)
def test_a_name_taken_meanwhile_is_a_conflict_and_nothing_is_left(erin, data_dir: Path) -> None:
    def take_it() -> None:
        services.dataset_create_from_sample(actor=erin, name="Iris", sample="iris")

    with before_the_first_transaction(take_it), pytest.raises(Conflict, match="named 'iris' exists"):
        services.dataset_create_from_sample(actor=erin, name="iris", sample="iris")
    assert [dataset.name for dataset in Dataset.objects.all()] == ["Iris"]
    assert len(_objects(erin)) == 2
