"""Models that a script serves, by REST: sent as an archive, of an address, with a source; what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from endpoints.models import Model
from jobs.services.sources import source_create
from tests.api.conftest import Person
from tests.endpoints.serving.script_models import ENSEMBLE, model_folder
from tests.endpoints.test_script_models import packed


@pytest.fixture
def archive(tmp_path: Path) -> bytes:
    return packed(model_folder(tmp_path / "m", ENSEMBLE, **{"weights.json": "{}"}))


def _send(person: Person, archive: bytes, **fields: str) -> Any:
    file = SimpleUploadedFile("model.tar.gz", archive, "application/gzip")
    return person.client.post(person.url("models/"), {"archive": file, **fields}, format="multipart")


def test_an_archive_that_is_sent_is_a_model_with_the_handlers_of_its_script(
    alice: Person, archive: bytes
) -> None:
    answer = _send(alice, archive, name="sent", framework="xgboost", description="by hand")
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["algorithm"], made["framework"], made["training_job"]) == ("script", "xgboost", None)
    assert made["script"] == {
        "entry_point": "inference.py",
        "source": None,
        "handlers": ["model_fn", "predict_fn"],
        "files": [{"path": "inference.py", "size_bytes": len(ENSEMBLE)}],
    }
    assert alice.get("models/sent/").json() == made
    copy = {"name": "copy", "artifact_uri": made["artifact_uri"], "framework": "xgboost"}
    assert alice.post("models/", copy).json()["artifact_sha256"] == made["artifact_sha256"]


def test_a_source_takes_the_place_of_the_code_in_the_archive(alice: Person, archive: bytes) -> None:
    source = source_create(actor=alice.actor, files={"serve.py": b"def predict_fn(data, model): ...\n"})
    answer = _send(alice, archive, name="m", framework="python", source=source.uid, entry_point="serve.py")
    assert answer.status_code == 201, answer.content
    script = answer.json()["script"]
    assert (script["source"], script["entry_point"], script["handlers"]) == (
        source.uid,
        "serve.py",
        ["predict_fn"],
    )


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "algorithm"),
        ({"framework": "cobol"}, "framework"),
        ({"framework": "python", "entry_point": "absent.py"}, "entry_point"),
        ({"framework": "python", "source": "absent"}, "source"),
        ({"framework": "python", "colour": "red"}, "colour"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    alice: Person, archive: bytes, fields: dict[str, str], field: str
) -> None:
    answer = _send(alice, archive, name="m", **fields)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert not Model.objects.exists()


def test_bytes_that_are_no_archive_are_refused(alice: Person) -> None:
    answer = _send(alice, b"nothing packed", name="m", framework="python")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "archive")
    assert "not a model archive" in answer.json()["detail"]
