"""What the doctor says of data capture. Nobody's endpoint, and nobody's bucket, is named."""

from __future__ import annotations

from datetime import timedelta

import pytest

from endpoints.doctor_capture import data_capture_check
from endpoints.models import DataCapture
from endpoints.services.data_capture import data_capture_update
from mlplatform.core import clock
from mlplatform.core.health.doctor import Level
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text, to_json
from tests.endpoints.capture.cast import endpoint_bare


@pytest.fixture
def captured(alice: Actor) -> DataCapture:
    endpoint = endpoint_bare(alice.user, alice.project)
    return data_capture_update(actor=alice, endpoint=endpoint.name, is_on=True)


def told() -> list[tuple[Level, str]]:
    findings = list(data_capture_check())
    assert all("secret" not in f"{each.summary}{each.remedy}" for each in findings)
    assert all(bool(each.remedy) == (each.level != Level.OK) for each in findings)
    return [(each.level, each.summary) for each in findings]


def test_capture_that_works_and_capture_that_is_off_are_in_order(captured: DataCapture) -> None:
    assert told() == [(Level.OK, "Endpoints whose requests are captured: 1")]
    DataCapture.objects.update(
        is_on=False, problem={"said": "secret", "is_paused": True}, dropped_at=clock.now()
    )
    assert told() == [(Level.OK, "Endpoints whose requests are captured: 0")]


@pytest.mark.parametrize(
    ("is_paused", "level", "said"),
    [
        (True, Level.FAILED, "Requests of 1 endpoints are answered and not captured"),
        (
            False,
            Level.WARNING,
            "Captured records of 1 endpoints wait on the gateway's disk and are not stored",
        ),
    ],
)
def test_records_that_are_not_kept_or_not_stored_are_told(
    captured: DataCapture, is_paused: bool, level: Level, said: str
) -> None:
    words = to_json(text("Captured records wait: {reason}", reason="bucket secret is away"))
    DataCapture.objects.update(problem={"said": words, "is_paused": is_paused})
    assert told() == [(level, said)]


def test_records_that_were_lost_are_told_for_an_hour(captured: DataCapture) -> None:
    DataCapture.objects.update(n_dropped=7, dropped_at=clock.now() - timedelta(minutes=5))
    assert told() == [(Level.WARNING, "Records of 1 endpoints could not be captured, the last 5 min ago")]
    DataCapture.objects.update(dropped_at=clock.now() - timedelta(hours=2))
    assert [level for level, _said in told()] == [Level.OK]
