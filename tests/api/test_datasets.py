"""Datasets by REST: every way in, and what is refused leaves nothing behind."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from rest_framework.test import APIClient

from jobs.models import Dataset
from tests.api.conftest import Person

CSV = b"length,width,kind\n5.1,3.5,setosa\n4.9,3.0,setosa\n6.3,3.3,virginica\n5.8,2.7,virginica\n"


def upload(person: Person, path: str = "datasets/", content: bytes = CSV, **fields: Any) -> Any:
    file = SimpleUploadedFile(fields.pop("filename", "flowers.csv"), content)
    headers = fields.pop("headers", {})
    return person.client.post(person.url(path), {"file": file, **fields}, format="multipart", headers=headers)


def left_behind(tmp_path: Path, settings: Any) -> list[Path]:
    folders = [tmp_path / "store", tmp_path / "staged", Path(settings.DATA_DIR) / "tmp"]
    return [path for folder in folders for path in folder.rglob("*") if path.is_file()]


def test_an_upload_becomes_a_dataset(erin: Person) -> None:
    answer = upload(erin, name="flowers", label="kind")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["name"], made["version"], made["rows"], made["bytes"]) == ("flowers", 1, 4, len(CSV))
    assert made["digest"] == hashlib.sha256(CSV).hexdigest()
    assert made["label_column"] == "kind"
    assert made["label_mapping"] == {"setosa": 0, "virginica": 1}
    length = made["columns"][0]
    assert (length["name"], length["type"], length["missing"]) == ("length", "fractional", 0)
    assert (length["min"], length["max"], length["distinct"]) == (4.9, 6.3, 4)


def test_a_table_without_header_takes_its_label_by_position(erin: Person) -> None:
    made = upload(erin, name="bare", content=b"0,1.5,2\n1,2.5,3\n", label="0", header="false").json()
    assert (made["rows"], made["label_column"]) == (2, "c0")


def test_a_compressed_japanese_table_is_read(erin: Person) -> None:
    content = gzip.compress("長さ,種類\n1.5,あやめ\n2.5,さくら\n".encode("cp932"))
    made = upload(erin, name="ja", content=content, filename="花.csv.gz", label="種類").json()
    assert [column["name"] for column in made["columns"]] == ["長さ", "種類"]


def test_a_sample_becomes_a_dataset(erin: Person) -> None:
    made = erin.post("datasets/", {"name": "iris", "sample": "iris"}).json()
    assert (made["rows"], len(made["columns"]), made["label_column"]) == (150, 5, "Species")


def test_an_object_of_the_project_becomes_a_dataset(erin: Person) -> None:
    uri = upload(erin, name="flowers", label="kind").json()["uri"]
    copied = erin.post("datasets/", {"name": "copy", "uri": uri, "label": 2})
    assert copied.status_code == 201, copied.content
    assert copied.json()["digest"] == hashlib.sha256(CSV).hexdigest()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "x"}, "uri"),
        ({"name": "x", "uri": "s3://a/b", "sample": "iris"}, "uri"),
        ({"name": "x", "sample": "moon"}, "sample"),
        ({"name": "x", "sample": "iris", "label": "Species"}, "label"),
        ({"name": "../x", "sample": "iris"}, "name"),
        ({"name": "x", "uri": "file:///etc/passwd"}, "uri"),
        ({"name": "x", "uri": "https://127.0.0.1/x.csv"}, "uri"),
        ({"name": "x", "uri": "s3://mlplatform-100000000000/x"}, "uri"),
        ({"name": "x", "sample": "iris", "colour": "red"}, "colour"),
    ],
)
def test_a_request_that_cannot_be_met_names_the_field(
    erin: Person, body: dict[str, Any], field: str, tmp_path: Path, settings: Any
) -> None:
    answer = erin.post("datasets/", body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Dataset.objects.exists()
    assert not left_behind(tmp_path, settings)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"length,width,kind\n", ["row"]),
        (b"length,width,kind\n1,2,a\n1,2,3,b\n", ["row 2"]),
        (b"length,width,kind\n1,2,\n1,2,b\n", ["row 1", "kind"]),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, ["image"]),
    ],
)
def test_a_file_that_cannot_be_used_says_where_and_leaves_nothing(
    erin: Person, content: bytes, words: list[str], tmp_path: Path, settings: Any
) -> None:
    answer = upload(erin, name="bad", content=content, label="kind", header="true")
    assert answer.status_code == 400, answer.content
    for word in words:
        assert word in answer.json()["detail"]
    assert not Dataset.objects.exists()
    assert not left_behind(tmp_path, settings)


def test_an_upload_over_the_limit_is_ended(erin: Person, settings: Any, tmp_path: Path) -> None:
    settings.MLPLATFORM_UPLOAD_LIMIT_BYTES = 1000
    for size in (1001, 3_000_000):
        answer = upload(erin, name="big", content=b"1,2\n" * (size // 4 + 1))
        assert answer.status_code == 413
        assert "1,000" in answer.json()["detail"]
    assert not left_behind(tmp_path, settings)


def test_a_name_that_is_taken_is_a_conflict(erin: Person) -> None:
    assert upload(erin, name="flowers").status_code == 201
    answer = upload(erin, name="Flowers")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "name")


def test_a_repeated_upload_with_a_key_makes_one_dataset(erin: Person) -> None:
    headers = {"Idempotency-Key": "upload-1"}
    first = upload(erin, name="flowers", headers=headers)
    again = upload(erin, name="flowers", headers=headers)
    other = upload(erin, name="flowers", content=CSV + b"1,1,setosa\n", headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert first.json() == again.json()
    assert Dataset.objects.count() == 1


def test_preview_profile_and_file_can_be_read_back(erin: Person) -> None:
    upload(erin, name="flowers", label="kind")
    preview = erin.get("datasets/flowers/preview/").json()
    assert preview["rows"][0] == ["5.1", "3.5", "setosa"]
    profile = erin.get("datasets/flowers/profile/").json()
    assert profile["n_rows"] == 4
    assert sum(profile["columns"][0]["histogram"]["counts"]) == 4
    file = erin.get("datasets/flowers/download/")
    assert b"".join(file.streaming_content) == CSV
    assert file.headers["Content-Disposition"] == 'attachment; filename="flowers.csv"'
    assert file.headers["Content-Length"] == str(len(CSV))
    assert file.headers["X-Content-Type-Options"] == "nosniff"


def test_a_version_is_never_changed_by_the_next_one(erin: Person) -> None:
    upload(erin, name="flowers", label="kind")
    longer = CSV + b"7.1,3.0,virginica\n"
    assert upload(erin, "datasets/flowers/versions/", longer).json()["version"] == 2
    assert erin.get("datasets/flowers/").json()["rows"] == 5
    old = erin.get("datasets/flowers/download/", version=1)
    assert b"".join(old.streaming_content) == CSV
    versions = erin.get("datasets/flowers/versions/").json()["items"]
    assert [(item["version"], item["rows"], item["label_column"]) for item in versions] == [
        (2, 5, "kind"),
        (1, 4, "kind"),
    ]
    assert erin.get("datasets/flowers/preview/", version=3).status_code == 404


def test_another_label_makes_a_version_of_the_same_bytes(erin: Person) -> None:
    first = upload(erin, name="flowers", label="kind").json()
    changed = erin.patch(
        "datasets/flowers/", {"label": "width", "description": "by hand", "tags": {"用途": "test"}}
    )
    assert changed.status_code == 200, changed.content
    found = changed.json()
    assert (found["version"], found["label_column"], found["digest"]) == (2, "width", first["digest"])
    assert (found["description"], found["tags"]) == ("by hand", {"用途": "test"})
    without = erin.patch("datasets/flowers/", {"label": None}).json()
    assert (without["version"], without["label_column"]) == (3, None)


def test_a_split_makes_two_datasets_as_scikit_learn_does(erin: Person) -> None:
    erin.post("datasets/", {"name": "iris", "sample": "iris"})
    answer = erin.post("datasets/iris/split/", {"fractions": {"train": 0.75, "test": 0.25}, "seed": 0})
    assert answer.status_code == 201, answer.content
    assert [(item["name"], item["rows"]) for item in answer.json()["items"]] == [
        ("iris-train", 112),
        ("iris-test", 38),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"fractions": {"train": 1.5, "test": 0.5}},
        {"fractions": {"a": 0.9, "b": 0.9}},
        {"fractions": {"../x": 0.5, "b": 0.5}},
    ],
)
def test_a_split_that_is_none_is_refused(erin: Person, body: dict[str, Any]) -> None:
    upload(erin, name="flowers", label="kind")
    answer = erin.post("datasets/flowers/split/", body)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("fractions")
    assert Dataset.objects.count() == 1


def test_a_deleted_dataset_is_gone_with_its_bytes(
    erin: Person, tmp_path: Path, django_capture_on_commit_callbacks: Any
) -> None:
    upload(erin, name="flowers")
    with django_capture_on_commit_callbacks(execute=True):
        assert erin.delete("datasets/flowers/").status_code == 204
    assert erin.get("datasets/flowers/").status_code == 404
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def test_a_browser_session_uploads_with_the_csrf_token(erin: Person) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(erin.user)
    client.cookies["csrftoken"] = token = "a" * 32
    fields = {"name": "flowers", "file": SimpleUploadedFile("flowers.csv", CSV)}
    assert client.post(erin.url("datasets/"), fields, format="multipart").status_code == 403
    fields["file"] = SimpleUploadedFile("flowers.csv", CSV)
    made = client.post(erin.url("datasets/"), fields, format="multipart", headers={"X-CSRFToken": token})
    assert made.status_code == 201, made.content


def test_a_viewer_reads_and_does_not_write(erin: Person, bob: Person) -> None:
    upload(erin, name="flowers")
    assert bob.get("datasets/flowers/").status_code == 200
    assert upload(bob, name="mine").status_code == 403
    assert bob.delete("datasets/flowers/").status_code == 403
    assert bob.patch("datasets/flowers/", {"description": "x"}).status_code == 403
    assert Dataset.objects.count() == 1
