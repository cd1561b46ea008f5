"""The page of data capture: every state, what its form refuses and keeps, who may do what."""

from __future__ import annotations

import html
from datetime import timedelta
from typing import Any

import pytest

from endpoints.models import CapturedFile, DataCapture, Endpoint
from endpoints.selectors.data_capture import HOURS_MAX
from mlplatform.core import clock
from mlplatform.core.models import AuditEvent
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text, to_json
from tests.endpoints.capture.cast import captured_file, endpoint_bare, record
from tests.web.conftest import Visitor
from tests.web.reading import error_beside
from tests.web.test_endpoint_pages import ROW

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


def test_the_totals_are_of_more_hours_than_the_figure_shows(alice: Visitor, endpoint: Endpoint) -> None:
    newest = captured_file(endpoint, record("1"))
    older = [captured_earlier(newest, hours) for hours in range(1, HOURS_MAX + 10)]
    CapturedFile.objects.bulk_create(older)
    assert page(alice).count(f'<span class="tile-value">{1 + len(older)}</span>') == 2  # records, files


def captured_earlier(file: CapturedFile, hours: int) -> CapturedFile:
    same = CapturedFile.objects.get(pk=file.pk)
    same.pk, same.uid, same.hour = None, f"{hours}", file.hour - timedelta(hours=hours)
    return same


def test_a_store_that_takes_nothing_is_told_on_the_page(alice: Visitor, endpoint: Endpoint) -> None:
    alice.post("endpoint-capture", FORM, name="iris")
    said = to_json(text("Captured records wait: {reason}", reason="the disk is full"))
    DataCapture.objects.update(
        problem={"said": said, "is_paused": True}, n_dropped=1234, dropped_at=clock.now()
    )
    found = page(alice)
    assert "Captured records wait: the disk is full" in found and "1,234" in found and "Stopped" in found
    assert "Nothing has been stored yet" not in found and "Switch data capture on" not in found


def test_another_project_s_capture_is_as_if_it_never_was(
    alice: Visitor, endpoint: Endpoint, charlie: Visitor
) -> None:
    file = captured_file(endpoint, record("1"))
    assert charlie.get("endpoint-capture", name="iris").status_code == 404
    assert charlie.get("captured-file-download", name="iris", uid=file.uid).status_code == 404


@pytest.mark.parametrize(("percent", "kept"), [("20", 20), ("101", None), ("many", None)])
def test_a_new_endpoint_captures_from_its_first_request_on(
    alice_at_street: Visitor, percent: str, kept: int | None
) -> None:
    asked = {"name": "kept", "capture": "1", "capture_percent": percent, **ROW}
    answer = alice_at_street.post("endpoint-new", asked)
    if kept is None:
        assert answer.status_code == 400 and not Endpoint.objects.filter(name="kept").exists()
        assert error_beside(html.unescape(answer.content.decode()), "capture_percent").endswith(
            "from 1 to 100"
        )
        return
    assert answer.status_code == 302
    assert (DataCapture.objects.get().is_on, DataCapture.objects.get().sampling_percent) == (True, kept)
    preview = alice_at_street.post("endpoint-new", asked | {"intent": "preview"}, htmx=True)
    assert '"sampling_percentage": 20' in html.unescape(preview.content.decode())


def test_a_new_endpoint_captures_nothing_unless_it_is_asked_for(alice_at_street: Visitor) -> None:
    asked = {"name": "unkept", "capture_percent": "20", **ROW}
    assert alice_at_street.post("endpoint-new", asked).status_code == 302
    assert not DataCapture.objects.exists()
