"""Source code and scripts by REST: taken in as files, form, archive or address; a job that runs one; refusals."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile, UploadedFile

from jobs.models import Source, TrainingJob
from jobs.runner import source_files
from mlplatform.core.storage.objects import object_store
from tests.api.conftest import Person

SCRIPT = b"import os\nprint(os.environ['SM_MODEL_DIR'])\n"
FILES = {"train.py": SCRIPT.decode(), "lib/model.py": "WIDTH = 3\n"}


def archive(*members: tuple[str, bytes | None]) -> bytes:
    """A `.tar.gz`; None makes a link."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            entry.size = len(content or b"")
            tar.addfile(entry, io.BytesIO(content or b""))
    return packed.getvalue()


def form(alice: Person, **fields: Any) -> Any:
    return alice.client.post(alice.url("sources/"), fields, format="multipart")


def body(boundary: str, files: dict[str, bytes]) -> bytes:
    """A form by hand, since Django's test client sends the last part of a name only."""
    parts = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n'.encode()
        + b"Content-Type: text/x-python\r\n\r\n"
        + content
        + b"\r\n"
        for name, content in files.items()
    )
    return parts + f"--{boundary}--\r\n".encode()


def test_the_same_source_by_every_way_is_one(alice: Person) -> None:
    first = alice.post("sources/", {"files": FILES})
    found = first.json()
    assert first.status_code == 201, found
    assert [file["path"] for file in found["files"]] == ["lib/model.py", "train.py"]
    assert found["entry_points"] == ["train.py", "lib/model.py"]
    given = {path: text.encode() for path, text in FILES.items()}
    by_form = alice.client.post(
        alice.url("sources/"), body("edge", given), content_type="multipart/form-data; boundary=edge"
    )
    packed = archive(("train.py", SCRIPT), ("lib/model.py", b"WIDTH = 3\n"))
    by_archive = form(alice, archive=SimpleUploadedFile("sourcedir.tar.gz", packed))
    bucket = alice.project.bucket
    object_store().put_bytes(packed, f"s3://{bucket}/mine/sourcedir.tar.gz")
    for path, content in given.items():
        object_store().put_bytes(content, f"s3://{bucket}/folder/{path}")
    by_uris = [
        alice.post("sources/", {"uri": f"s3://{bucket}/{key}"})
        for key in ("mine/sourcedir.tar.gz", "folder/")
    ]
    for answer in (by_form, by_archive, *by_uris):
        assert (answer.status_code, answer.json()["uid"]) == (201, found["uid"]), answer.json()
    assert Source.objects.count() == 1


def test_a_source_is_read_and_downloaded(alice: Person) -> None:
    uid = alice.post("sources/", {"files": FILES}).json()["uid"]
    assert alice.get(f"sources/{uid}/").json()["uid"] == uid
    file = alice.get(f"sources/{uid}/files/lib/model.py")
    assert b"".join(file.streaming_content) == b"WIDTH = 3\n"
    assert alice.get(f"sources/{uid}/files/nowhere.py").status_code == 404
    download = b"".join(alice.get(f"sources/{uid}/download/").streaming_content)
    with tarfile.open(fileobj=io.BytesIO(download)) as tar:
        assert sorted(tar.getnames()) == ["lib/model.py", "train.py"]
    assert alice.get(f"sources/{'0' * 26}/").status_code == 404


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"files": {}}, "files"),
        ({"files": {"../up.py": "x"}}, "files.../up.py"),
        ({"files": {"/etc/x.py": "x"}}, "files./etc/x.py"),
        ({"files": {"a": "x", "a/b": "y"}}, "files.a"),
        ({"files": {"a.py": 1}}, "files.a.py"),
        ({"uri": "s3://somebody-elses/x"}, "uri"),
        ({"uri": "https://example.org/x.tar.gz"}, "uri"),
        ({}, "files"),
    ],
)
def test_a_wrong_source_is_refused_by_field(alice: Person, given: dict[str, Any], field: str) -> None:
    answer = alice.post("sources/", given)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    "member",
    [("link", None), ("../../out.py", b"x"), ("/etc/cron.d/x", b"x")],
    ids=["link", "up", "absolute"],
)
def test_an_archive_that_leads_out_is_refused(alice: Person, member: tuple[str, bytes | None]) -> None:
    packed = archive(("train.py", SCRIPT), member)
    answer = form(alice, archive=SimpleUploadedFile("sourcedir.tar.gz", packed))
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "archive" and member[0] in error["message"]
    broken = form(alice, archive=SimpleUploadedFile("sourcedir.tar.gz", packed[:40]))
    assert broken.status_code == 400 and not Source.objects.exists()


def request(**script: Any) -> dict[str, Any]:
    return {
        "name": "mine",
        "script": {"framework": "sklearn", "entry_point": "train.py", **script},
        "hyperparameters": {"alpha": 0.5, "anything": "goes"},
    }


def test_a_job_runs_a_script_and_is_cloned(alice: Person) -> None:
    for key in ("a.csv", "b.csv"):
        object_store().put_bytes(b"1,2\n", f"s3://{alice.project.bucket}/{key}")
    bucket = alice.project.bucket
    channels = {"train": {"uri": f"s3://{bucket}/a.csv"}, "my-own": {"uri": f"s3://{bucket}/b.csv"}}
    answer = alice.post("training-jobs/", request(files=FILES) | {"channels": channels})
    found = answer.json()
    assert answer.status_code == 201, found
    assert found["algorithm"] == "script"
    assert (found["script"]["framework"], found["script"]["entry_point"]) == ("sklearn", "train.py")
    assert found["hyperparameters"] == {"alpha": "0.5", "anything": "goes"}
    assert set(found["channels"]) == {"train", "my-own"}
    assert found["output"] is found["input_bytes"] is None
    again = alice.get("training-jobs/mine/clone-request/").json()
    assert again["script"] == found["script"] and "algorithm" not in again
    assert again["name"].startswith("sklearn-")
    second = alice.post("training-jobs/", again).json()
    assert second["script"] == found["script"]
    assert alice.get("training-jobs/mine/output/").status_code == 404


@pytest.mark.parametrize(
    ("script", "field", "said"),
    [
        ({"entry_point": "main.py", "files": FILES}, "script.entry_point", "it has train.py, lib/model.py"),
        (
            {"files": {"train.py": "a = 1\nif a\n    b"}},
            "script.entry_point",
            "train.py, line 2: SyntaxError",
        ),
        ({"framework": "torch", "files": FILES}, "script.framework", "sklearn, xgboost"),
        ({"source": "0" * 26}, "script.source", "no source"),
        ({}, "script.source", "exactly one of"),
        ({"entry_point": "readme.md", "files": {"readme.md": "x"}}, "script.entry_point", ".py or .sh"),
    ],
)
def test_a_script_that_cannot_be_run_is_refused_before_it_is(
    alice: Person, script: dict[str, Any], field: str, said: str
) -> None:
    answer = alice.post("training-jobs/", request(**script))
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == field and said in error["message"]
    assert not TrainingJob.objects.filter(name="mine").exists()


def test_a_request_in_the_sdks_own_form(alice: Person) -> None:
    address = f"s3://{alice.project.bucket}/mine/source/sourcedir.tar.gz"
    object_store().put_bytes(archive(("train.py", SCRIPT)), address)
    asked = {
        "name": "mine",
        "algorithm": "xgboost",
        "hyperparameters": {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"{address}"',
            "sagemaker_container_log_level": "20",
            "eta": "0.2",
        },
    }
    answer = alice.post("training-jobs/", asked)
    found = answer.json()
    assert answer.status_code == 201, found
    assert (found["algorithm"], found["script"]["framework"]) == ("script", "xgboost")
    assert found["hyperparameters"] == {"sagemaker_container_log_level": "20", "eta": "0.2"}
    del asked["hyperparameters"]["sagemaker_submit_directory"]  # type: ignore[attr-defined]
    refused = alice.post("training-jobs/", asked | {"name": "other"}).json()
    assert refused["errors"][0]["field"] == "hyperparameters.sagemaker_submit_directory"


def test_what_is_too_large_is_refused_before_it_is_read(
    alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Uploads may be as large as a dataset; source code is held in memory."""
    monkeypatch.setattr(source_files, "FILE_MAX_BYTES", 100)
    monkeypatch.setattr(source_files, "TOTAL_MAX_BYTES", 150)
    monkeypatch.setattr(UploadedFile, "read", lambda file: pytest.fail("it was read"))
    sent = body("edge", {"train.py": b"#" * 99, "lib/large.py": b"#" * 101})
    answer = alice.client.post(alice.url("sources/"), sent, content_type="multipart/form-data; boundary=edge")
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == {"files.lib/large.py", "files"}


def test_a_source_whose_archive_was_changed_is_not_shown(alice: Person) -> None:
    found = alice.post("sources/", {"files": FILES}).json()
    object_store().put_bytes(archive(("train.py", b"import evil\n")), found["uri"])
    answer = alice.get(f"sources/{found['uid']}/files/train.py")
    assert answer.status_code == 404 and "not the one that was taken in" in answer.json()["detail"]
    asked = {"script": {"framework": "python", "entry_point": "train.py", "source": found["uid"]}}
    refused = alice.post("training-jobs/", asked)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (400, "script.source")
