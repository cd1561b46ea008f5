"""Data capture as it is asked for, told by the gateway, read, kept, and gone."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from endpoints.capture.recorder import Recorder
from endpoints.capture.rule import CapturePlace, CaptureRule
from endpoints.capture.spool import Spool, SpoolLimits
from endpoints.capture.uploader import Uploader
from endpoints.gateway.tables import load_table
from endpoints.models import CapturedFile, DataCapture, Endpoint
from endpoints.selectors.data_capture import (
    captured_file_list,
    captured_hours,
    captured_records_newest,
)
from endpoints.services.captured_files import capture_state_report, captured_file_keep
from endpoints.services.data_capture import data_capture_update
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, Conflict, InvalidRequest, NotFound
from mlplatform.core.keeping.orphans import orphans_report
from mlplatform.core.keeping.sweeps import sweep_now
from mlplatform.core.keeping.tombstones import tombstones_carry_out
from mlplatform.core.models import AuditEvent
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.revisions import revision_value
from mlplatform.core.storage.objects import object_store
from mlplatform.core.text import text
from tests.endpoints.capture.cast import captured_file, endpoint_bare, record

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def kept_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs on threads of the gateway's own runs here in the test's transaction."""
    monkeypatch.setattr("mlplatform.core.fresh_connection.close_old_connections", lambda: None)


@pytest.fixture
def iris(alice: Actor) -> Endpoint:
    return endpoint_bare(alice.user, alice.project)


def rule_of(endpoint: Endpoint) -> CaptureRule | None:
    """What the gateway is told."""
    table = load_table(None)
    assert table is not None
    return next(route.capture for route in table.routes if route.endpoint_id == endpoint.pk)


def test_it_is_off_until_somebody_asks_and_then_holds_without_an_update(alice: Actor, iris: Endpoint) -> None:
    assert rule_of(iris) is None
    revision = revision_value()
    kept = data_capture_update(actor=alice, endpoint="iris", is_on=True, sampling_percent=20)
    assert revision_value() > revision, "the gateway loads its table anew"
    destination = uri(alice.project.bucket, "data-capture")
    assert rule_of(iris) == CaptureRule(destination, sampling_percent=20)
    iris.refresh_from_db()
    assert (iris.status, iris.wanted_id) == ("InService", iris.live_id)
    again = data_capture_update(
        actor=alice, endpoint="iris", captures_output=False, csv_content_types=["Text/CSV", "text/csv "]
    )
    assert again.pk == kept.pk
    assert rule_of(iris) == CaptureRule(destination, sampling_percent=20, captures_output=False)
    data_capture_update(actor=alice, endpoint="iris", is_on=False)
    assert rule_of(iris) is None
    events = AuditEvent.objects.filter(action="data_capture.update").order_by("pk")
    assert [event.detail["is_on"] for event in events] == [True, True, False]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sampling_percent": 0}, "sampling_percentage"),
        ({"sampling_percent": 101}, "sampling_percentage"),
        ({"sampling_percent": True}, "sampling_percentage"),
        ({"captures_input": False, "captures_output": False}, "captures_input"),
        ({"csv_content_types": ["csv"]}, "csv_content_types"),
        ({"json_content_types": ["a/b"] * 11}, "json_content_types"),
        ({"json_content_types": ["text/csv"]}, "json_content_types"),
        ({"destination": "s3://elsewhere/x"}, "destination"),
        ({"destination": "no address"}, "destination"),
        ({"destination": "s3://{bucket}/models/x"}, "destination"),
        ({"destination": "s3://{bucket}/" + "x" * 700}, "destination"),
    ],
)
def test_what_cannot_be_is_refused_with_its_field(
    alice: Actor, iris: Endpoint, changes: dict[str, Any], field: str
) -> None:
    if "destination" in changes:
        changes = {"destination": changes["destination"].replace("{bucket}", alice.project.bucket)}
    with pytest.raises(InvalidRequest) as refused:
        data_capture_update(actor=alice, endpoint="iris", **changes)
    assert [error.field for error in refused.value.errors] == [field]
    assert not DataCapture.objects.exists()


def test_who_may_not_edit_and_who_is_elsewhere(
    alice: Actor, bob: Actor, charlie: Actor, iris: Endpoint
) -> None:
    with pytest.raises(AccessDenied):
        data_capture_update(actor=bob, endpoint="iris", is_on=True)
    with pytest.raises(NotFound):
        data_capture_update(actor=charlie, endpoint="iris", is_on=True)
    with pytest.raises(NotFound):
        captured_file_list(actor=charlie, endpoint="iris")
    Endpoint.objects.update(status="Deleting")
    with pytest.raises(Conflict):
        data_capture_update(actor=alice, endpoint="iris", is_on=True)


def test_a_spool_file_becomes_an_object_with_its_row_once(
    alice: Actor, iris: Endpoint, tmp_path: Path
) -> None:
    spool = Spool(tmp_path, SpoolLimits())
    place = CapturePlace(
        alice.project.name, "iris", iris.pk, "AllTraffic", uri(alice.project.bucket, "data-capture")
    )
    at = clock.now().timestamp()
    content = record("1,2\n") + record("3,4\n", inference_id="last")
    spool.append(place, content.encode(), now=at)
    spool.close()
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    lift = Uploader(
        spool,
        Recorder(spool),
        keep=captured_file_keep,
        report=capture_state_report,
        floor_bytes=lambda _total: 0,
        every_s=0.0,
    )
    lift.turn()
    for path, bytes_ in kept.items():  # as after a crash between row and removal
        path.write_bytes(bytes_)
    lift.turn()
    (file,) = CapturedFile.objects.all()
    assert (file.endpoint, file.variant, file.n_records) == (iris, "AllTraffic", 2)
    assert object_store().get_bytes(file.uri).decode() == content
    assert file.uri.startswith(f"{place.destination}/iris/AllTraffic/{file.hour:%Y/%m/%d/%H}/")
    (hour,) = captured_hours(endpoint=iris)
    assert (hour.n_records, hour.n_files, hour.size_bytes) == (2, 1, len(content))
    newest = captured_records_newest(endpoint=iris, limit=1)
    assert [one.inference_id for one in newest] == ["last"]
    assert newest[0].asked is not None and newest[0].asked.text == "3,4\n"
    assert newest[0].answered is not None and newest[0].answered.text == "0"


def test_what_the_gateway_tells_is_told_of_those_that_are_on_and_cleared(
    alice: Actor, iris: Endpoint
) -> None:
    rose = endpoint_bare(alice.user, alice.project, "rose")
    data_capture_update(actor=alice, endpoint="iris", is_on=True)
    data_capture_update(actor=alice, endpoint="rose", is_on=False)
    capture_state_report(text("the store is {how}", how="full"), True, {iris.pk: 3})
    capture_state_report(text("the store is {how}", how="full"), True, {iris.pk: 4})
    kept = DataCapture.objects.get(endpoint=iris)
    assert (kept.problem_words, kept.status, kept.n_dropped) == ("the store is full", "Stopped", 7)
    assert DataCapture.objects.get(endpoint=rose).problem is None
    capture_state_report(None, False, {})
    kept.refresh_from_db()
    assert (kept.problem_words, kept.status, kept.n_dropped) == ("", "Started", 7)


def test_captured_files_outlive_their_endpoint_and_no_sweep_takes_them(
    alice: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of an endpoint whose name looks like an id of the platform's own."""
    hostile = endpoint_bare(alice.user, alice.project, "0123456789abcdef0123456789")
    file = captured_file(hostile, record("1"))
    hostile.delete()
    file.refresh_from_db()
    assert (file.endpoint, file.endpoint_name) == (None, "0123456789abcdef0123456789")
    later = clock.now() + 400 * DAY
    monkeypatch.setattr(clock, "now", lambda: later)
    assert orphans_report(grace_s=60).n_orphans == 0
    sweep_now("retention")
    assert CapturedFile.objects.exists() and object_store().size(file.uri) is not None


def test_they_go_with_their_objects_after_the_days_that_are_set(
    alice: Actor, iris: Endpoint, settings: Any
) -> None:
    settings.MLPLATFORM_KEEP_CAPTURE_DAYS = 7
    old, young = captured_file(iris, record("1")), captured_file(iris, record("2"))
    CapturedFile.objects.filter(pk=old.pk).update(hour=clock.now() - 8 * DAY)
    sweep_now("retention")
    tombstones_carry_out()
    assert list(CapturedFile.objects.all()) == [young]
    assert object_store().size(old.uri) is None and object_store().size(young.uri) is not None
