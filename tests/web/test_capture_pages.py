"""The page of data capture: every state, what its form refuses and keeps, who may do what."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.models import DataCapture, Endpoint
from mlplatform.core import clock
from mlplatform.core.models import AuditEvent
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text, to_json
from tests.endpoints.capture.cast import captured_file, endpoint_bare, record
from tests.web.conftest import Visitor

FORM = {
    "enabled": "1",
    "sampling_percentage": "20",
    "captures_input": "1",
    "captures_output": "1",
    "csv_content_types": "text/csv",
    "json_content_types": "application/json",
    "destination": "",
}


@pytest.fixture
def endpoint(alice: Visitor) -> Endpoint:
    return endpoint_bare(alice.user, alice.project)


def page(who: Visitor, query: dict[str, Any] | None = None) -> str:
    response = who.get("endpoint-capture", query, name="iris")
    assert response.status_code == 200, response.content.decode()[:2000]
    return str(response.content.decode())


def test_an_endpoint_without_capture_says_how_to_switch_it_on(
    alice: Visitor, bob: Visitor, endpoint: Endpoint
) -> None:
    found = page(alice)
    assert "Nothing is captured" in found and 'name="enabled"' in found
    assert 'name="enabled"' not in page(bob)
    refused = bob.post("endpoint-capture", FORM, name="iris")
    assert refused.status_code == 403 and not DataCapture.objects.exists()


def test_it_is_switched_on_and_off_and_the_audit_log_says_so(alice: Visitor, endpoint: Endpoint) -> None:
    assert alice.post("endpoint-capture", FORM, name="iris").status_code == 302
    kept = DataCapture.objects.get()
    assert (kept.is_on, kept.sampling_percent, kept.status) == (True, 20, "Started")
    assert kept.destination == uri(alice.project.bucket, "data-capture")
    assert "Nothing has been stored yet" in page(alice)
    assert alice.post("endpoint-capture", FORM | {"enabled": ""}, name="iris").status_code == 302
    kept.refresh_from_db()
    assert (kept.is_on, kept.sampling_percent, kept.status) == (False, 20, "Stopped")
    events = AuditEvent.objects.filter(action="data_capture.update").order_by("pk")
    assert [(event.target, event.detail["is_on"]) for event in events] == [("iris", True), ("iris", False)]


def test_the_form_names_everything_that_is_wrong_and_keeps_what_was_written(
    alice: Visitor, endpoint: Endpoint
) -> None:
    wrong = {
        "enabled": "1",
        "sampling_percentage": "101",
        "csv_content_types": "csv",
        "json_content_types": "application/json",
        "destination": "s3://elsewhere/x",
    }
    refused = alice.post("endpoint-capture", wrong, name="iris")
    found = refused.content.decode()
    assert refused.status_code == 400 and not DataCapture.objects.exists()
    for said in ("101 is not accepted", "at least one", "is not a content type", "bucket"):
        assert said in found
    assert 'value="101"' in found and "s3://elsewhere/x" in found
    assert (
        alice.post("endpoint-capture", FORM | {"sampling_percentage": "many"}, name="iris").status_code == 400
    )


def test_what_was_captured_is_shown_decoded_and_downloaded(alice: Visitor, endpoint: Endpoint) -> None:
    alice.post("endpoint-capture", FORM, name="iris")
    content = record("<b>1</b>,2\n") + record("/w==", encoding="BASE64", inference_id="binary")
    file = captured_file(endpoint, content)
    found = page(alice)
    assert "&lt;b&gt;1&lt;/b&gt;,2" in found and "<b>1" not in found
    assert "order-1" in found and "Not text" in found and "binary" in found
    download = alice.get("captured-file-download", name="iris", uid=file.uid)
    assert b"".join(download.streaming_content).decode() == content
    assert download["Content-Type"] == "application/jsonlines"
    figure = alice.get("endpoint-capture-chart", name="iris").json()
    assert figure["data"][0]["y"] == [2]
    object_store().delete([file.uri])
    assert "None is in the store yet" in page(alice)
    assert alice.get("captured-file-download", name="iris", uid=file.uid).status_code == 404


def test_a_store_that_takes_nothing_is_told_on_the_page(alice: Visitor, endpoint: Endpoint) -> None:
    alice.post("endpoint-capture", FORM, name="iris")
    said = to_json(text("Captured records wait: {reason}", reason="the disk is full"))
    DataCapture.objects.update(
        problem={"said": said, "is_paused": True}, n_dropped=1234, dropped_at=clock.now()
    )
    found = page(alice)
    assert "Captured records wait: the disk is full" in found and "1,234" in found and "Stopped" in found


def test_another_project_s_capture_is_as_if_it_never_was(
    alice: Visitor, endpoint: Endpoint, charlie: Visitor
) -> None:
    file = captured_file(endpoint, record("1"))
    assert charlie.get("endpoint-capture", name="iris").status_code == 404
    assert charlie.get("captured-file-download", name="iris", uid=file.uid).status_code == 404
