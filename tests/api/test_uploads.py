"""Resumable uploads by REST: the protocol, whose they are, how many, and what becomes of them."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from mlplatform.core.uploads.services import upload_append, upload_get, uploads_expire
from tests.api.conftest import Person

TABLE = b"length,kind\n" + b"".join(b"%d.5,%s\n" % (n, b"a" if n % 2 else b"b") for n in range(30))
BYTES = "application/offset+octet-stream"


@pytest.fixture(autouse=True)
def own_uploads(settings: Any, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path / "data"
    return tmp_path / "data" / "uploads"


def announced(person: Person, length: int = len(TABLE), filename: str = "flöwers.csv") -> str:
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Length": str(length),
        "Upload-Metadata": f"filename {base64.b64encode(filename.encode()).decode()},is_confidential",
    }
    answer = person.client.post(person.url("uploads/"), headers=headers)
    assert answer.status_code == 201, answer.content
    assert answer["Tus-Resumable"] == "1.0.0"
    assert answer["Upload-Offset"] == "0"
    assert answer["Location"] == person.url(f"uploads/{answer.json()['id']}/")
    return str(answer.json()["id"])


def sent(person: Person, uid: str, piece: bytes, offset: int, content_type: str = BYTES) -> Any:
    headers = {"Upload-Offset": str(offset), "Tus-Resumable": "1.0.0"}
    url = person.url(f"uploads/{uid}/")
    return person.client.generic("PATCH", url, piece, content_type=content_type, headers=headers)


def test_a_dataset_is_made_of_an_upload_in_pieces_as_of_a_form(erin: Person, own_uploads: Path) -> None:
    uid = announced(erin)
    first = sent(erin, uid, TABLE[:100], 0)
    assert (first.status_code, first["Upload-Offset"]) == (204, "100")
    asked = erin.client.head(erin.url(f"uploads/{uid}/"))
    assert (asked["Upload-Offset"], asked["Upload-Length"]) == ("100", str(len(TABLE)))
    assert asked["Cache-Control"] == "no-store"
    assert asked["Upload-Expires"].endswith("GMT")
    early = erin.post("datasets/", {"name": "early", "upload": uid})
    assert early.status_code == 400
    assert "100 of" in early.json()["errors"][0]["message"]
    assert sent(erin, uid, TABLE[100:], 100).status_code == 204
    wrong_label = erin.post("datasets/", {"name": "flowers", "upload": uid, "label": "sort"})
    assert wrong_label.json()["errors"][0]["field"] == "label"
    made = erin.post("datasets/", {"name": "flowers", "upload": uid, "label": "kind"})
    assert made.status_code == 201, made.content
    assert (made.json()["rows"], made.json()["bytes"]) == (30, len(TABLE))
    version = erin.get("datasets/flowers/versions/").json()["items"][0]
    assert (version["filename"], version["source"]) == ("flöwers.csv", "upload")
    assert list(own_uploads.iterdir()) == []
    assert erin.client.head(erin.url(f"uploads/{uid}/")).status_code == 404


def test_a_version_is_made_of_an_upload(erin: Person) -> None:
    assert erin.post("datasets/", {"name": "iris", "sample": "iris"}).status_code == 201
    uid = announced(erin)
    sent(erin, uid, TABLE, 0)
    made = erin.post("datasets/iris/versions/", {"upload": uid, "label": "kind"})
    assert made.status_code == 201, made.content
    assert (made.json()["version"], made.json()["label_column"]) == (2, "kind")


def test_the_wrong_place_type_version_or_length_is_refused_and_nothing_kept(erin: Person) -> None:
    uid = announced(erin)
    sent(erin, uid, TABLE[:10], 0)
    elsewhere = sent(erin, uid, TABLE[20:], 20)
    assert elsewhere.status_code == 409
    assert "10 bytes have come" in elsewhere.json()["detail"]
    assert sent(erin, uid, TABLE, 10).status_code == 413
    assert sent(erin, uid, TABLE[10:], 10, "text/csv").status_code == 415
    url = erin.url(f"uploads/{uid}/")
    assert erin.client.head(url, headers={"Tus-Resumable": "0.2.2"}).status_code == 412
    for offset in ("", "-1", "1e3", "٣"):
        headers = {"Upload-Offset": offset}
        answer = erin.client.generic("PATCH", url, b"x", content_type=BYTES, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "Upload-Offset"
    assert upload_get(actor=erin.actor, uid=uid).offset == 10


def test_who_sends_while_another_does_is_told_to_come_back(erin: Person) -> None:
    uid = announced(erin)
    other_tab = upload_append(actor=erin.actor, uid=uid, offset=0)
    other_tab.write(TABLE[:5])
    for answer in (sent(erin, uid, TABLE, 0), erin.delete(f"uploads/{uid}/")):
        assert (answer.status_code, answer["Retry-After"]) == (423, "1")
        assert "another request" in answer.json()["detail"]
    assert other_tab.close() == 5
    assert sent(erin, uid, TABLE[5:], 5).status_code == 204
    assert erin.delete(f"uploads/{uid}/").status_code == 204


def test_an_upload_is_its_users_in_its_project(alice: Person, erin: Person, bob: Person) -> None:
    uid = announced(erin)
    assert [item["id"] for item in erin.get("uploads/").json()["items"]] == [uid]
    assert alice.get("uploads/").json()["items"] == []
    assert alice.get(f"uploads/{uid}/").status_code == 404
    assert sent(alice, uid, TABLE, 0).status_code == 404
    assert bob.client.post(bob.url("uploads/"), headers={"Upload-Length": "5"}).status_code == 403
    taken = alice.post("datasets/", {"name": "taken", "upload": uid})
    assert taken.json()["errors"][0]["field"] == "upload"


def test_a_session_needs_its_token(erin: Person) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(erin.user)
    assert client.post(erin.url("uploads/"), headers={"Upload-Length": "5"}).status_code == 403


def test_how_many_how_long_and_how_much_room(erin: Person, settings: Any) -> None:
    settings.MLPLATFORM_UPLOADS_PER_USER = 2
    settings.MLPLATFORM_UPLOAD_LIMIT_BYTES = 1000
    too_long = erin.client.post(erin.url("uploads/"), headers={"Upload-Length": "1001"})
    assert too_long.status_code == 413
    empty = erin.client.post(erin.url("uploads/"), headers={"Upload-Length": "0"})
    assert (empty.status_code, empty.json()["errors"][0]["field"]) == (400, "Upload-Length")
    announced(erin, 10)
    announced(erin, 10)
    third = erin.client.post(erin.url("uploads/"), headers={"Upload-Length": "10"})
    assert (third.status_code, third.json()["code"]) == (400, "ResourceLimitExceeded")
    assert "2 uploads" in third.json()["detail"]


def test_what_others_were_promised_counts_as_taken(
    erin: Person, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(
        "mlplatform.core.uploads.services.disk_room_check", lambda *, n_bytes: asked.append(n_bytes)
    )
    uid = announced(erin, 1000)
    sent(erin, uid, b"x" * 300, 0)
    announced(erin, 50)
    assert asked[-1] == 50 + 700


def test_what_nobody_goes_on_with_expires(erin: Person, own_uploads: Path, settings: Any) -> None:
    uid, other = announced(erin), announced(erin)
    (own_uploads / "half").mkdir()
    long_ago = time.time() - 2 * settings.MLPLATFORM_UPLOAD_EXPIRY_S
    for path in (own_uploads / uid / "data", own_uploads / "half"):
        os.utime(path, (long_ago, long_ago))
    assert uploads_expire() == 2
    assert [path.name for path in own_uploads.iterdir()] == [other]


def test_what_looks_expired_counts_no_more_but_its_removal_is_left_to_the_sweep(
    erin: Person, own_uploads: Path, settings: Any
) -> None:
    settings.MLPLATFORM_UPLOADS_PER_USER = 1
    uid = announced(erin)
    long_ago = time.time() - 2 * settings.MLPLATFORM_UPLOAD_EXPIRY_S
    os.utime(own_uploads / uid / "data", (long_ago, long_ago))
    announced(erin)
    assert sent(erin, uid, TABLE, 0).status_code == 204
