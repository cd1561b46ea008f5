"""Data capture by REST: its switch, its state, files; who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.models import DataCapture, Endpoint
from mlplatform.core.text import text, to_json
from tests.api.conftest import Person
from tests.endpoints.capture.cast import captured_file, endpoint_bare, record

PATH = "endpoints/iris/data-capture/"


@pytest.fixture(autouse=True)
def store(settings: Any, tmp_path: Any) -> None:
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"


@pytest.fixture
def iris(alice: Person) -> Endpoint:
    return endpoint_bare(alice.user, alice.project)


def put(who: Person, body: dict[str, Any]) -> Any:
    return who.client.put(who.url(PATH), body, format="json")


def test_it_is_read_changed_and_shown_with_its_endpoint(alice: Person, iris: Endpoint) -> None:
    before = alice.get(PATH).json()
    assert (before["enabled"], before["capture_status"], before["changed_at"]) == (False, "Stopped", None)
    answer = put(alice, {"enabled": True, "sampling_percentage": 20, "captures_output": False})
    assert answer.status_code == 200, answer.content
    changed = answer.json()
    assert changed | {"changed_at": ""} == before | {
        "enabled": True,
        "capture_status": "Started",
        "sampling_percentage": 20,
        "captures_output": False,
        "changed_by": "alice",
        "changed_at": "",
    }
    assert alice.get(PATH).json() == changed
    assert alice.get("endpoints/iris/").json()["data_capture"] == changed
    assert put(alice, {"enabled": False}).json()["sampling_percentage"] == 20


def test_a_problem_is_told(alice: Person, iris: Endpoint) -> None:
    put(alice, {"enabled": True})
    said = to_json(text("the disk of {place} is full", place="the object store"))
    DataCapture.objects.update(problem={"said": said, "is_paused": True}, n_dropped=5)
    told = alice.get(PATH).json()
    assert told["problem"] == "the disk of the object store is full"
    assert (told["enabled"], told["capture_status"], told["n_dropped"]) == (True, "Stopped", 5)


def test_refusals_name_their_fields(alice: Person, bob: Person, iris: Endpoint) -> None:
    wrong = put(alice, {"sampling_percentage": 0, "destination": "", "percent": 1})
    assert wrong.status_code == 400
    assert {error["field"] for error in wrong.json()["errors"]} == {"percent"}
    wrong = put(alice, {"destination": "s3://elsewhere/x", "captures_input": False, "captures_output": False})
    assert {error["field"] for error in wrong.json()["errors"]} == {"destination", "captures_input"}
    assert put(bob, {"enabled": True}).status_code == 403
    assert bob.get(PATH).status_code == 200


def test_files_are_listed_by_page_and_downloaded(alice: Person, charlie: Person, iris: Endpoint) -> None:
    content = record("1,2\n")
    files = [captured_file(iris, content, variant=variant) for variant in ("a", "b", "b")]
    page = alice.get(f"{PATH}files/", limit=2).json()
    assert (page["count"], len(page["items"])) == (3, 2) and page["next"]
    assert len(alice.get(f"{PATH}files/", limit=2, cursor=page["next"]).json()["items"]) == 1
    assert alice.get(f"{PATH}files/", variant="b").json()["count"] == 2
    assert page["items"][0]["n_records"] == 1
    answer = alice.get(f"{PATH}files/{files[0].uid}/")
    assert answer["Content-Type"] == "application/jsonlines"
    assert b"".join(answer.streaming_content).decode() == content
    assert alice.get(f"{PATH}files/none/").status_code == 404
    foreign = charlie.client.get(alice.url(f"{PATH}files/"))
    assert foreign.status_code == 404
