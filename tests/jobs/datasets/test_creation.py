"""Datasets of uploads, samples and addresses: what becomes visible, and what leaves nothing behind."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile

from jobs.models import Dataset
from jobs.selectors import datasets as selectors
from jobs.services import datasets as services
from mlplatform.core.errors import Conflict, InvalidRequest, TooLarge
from mlplatform.core.storage.objects import object_store
from tests.interleaving import before_the_first_transaction
from tests.jobs.datasets.kept import CSV, nothing_is_left, objects


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
    assert nothing_is_left(erin, data_dir)


@pytest.mark.parametrize("name", ["../x", "", "a b", "-a", "a" * 64, "名前"])
def test_a_name_that_is_none_is_refused(erin, data_dir, name):
    with pytest.raises(InvalidRequest, match="name") as caught:
        services.dataset_create_from_upload(actor=erin, name=name, file=io.BytesIO(CSV))
    assert caught.value.errors[0].field == "name"
    assert nothing_is_left(erin, data_dir)


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
    assert nothing_is_left(erin, data_dir)


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
    assert nothing_is_left(erin, data_dir)


def test_an_object_of_another_project_is_as_unknown_as_none(erin, charlie):
    object_store().put_bytes(CSV, f"s3://{charlie.project.bucket}/raw.csv")
    messages = set()
    for key in ("raw.csv", "none.csv"):
        uri = f"s3://{charlie.project.bucket}/{key}"
        with pytest.raises(InvalidRequest) as caught:
            services.dataset_create_from_uri(actor=erin, name="x", uri=uri)
        messages.add(str(caught.value).replace(key, "KEY"))
    assert len(messages) == 1


def test_japanese_survives_the_street(erin):
    data = "長さ,種類\n1.5,あやめ\n2.5,桜\n".encode("cp932")
    services.dataset_create_from_upload(actor=erin, name="hana", file=io.BytesIO(data), label="種類")
    version = selectors.dataset_version_get(actor=erin, reference="hana")
    assert version.schema["encoding"] == "cp932"
    assert version.schema["label_mapping"] == {"あやめ": 0, "桜": 1}
    assert "CP932" in version.warnings[0]
    assert selectors.dataset_preview(actor=erin, reference="hana").rows[0] == ["1.5", "あやめ"]
    assert json.loads(object_store().get_bytes(version.profile_uri))["schema"] == version.schema


@pytest.mark.django_db(transaction=True)
def test_a_name_taken_meanwhile_is_a_conflict_and_nothing_is_left(erin, data_dir: Path) -> None:
    def take_it() -> None:
        services.dataset_create_from_sample(actor=erin, name="Iris", sample="iris")

    with before_the_first_transaction(take_it), pytest.raises(Conflict, match="named 'iris' exists"):
        services.dataset_create_from_sample(actor=erin, name="iris", sample="iris")
    assert [dataset.name for dataset in Dataset.objects.all()] == ["Iris"]
    assert len(objects(erin)) == 2
