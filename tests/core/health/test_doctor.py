"""The doctor itself: one broken check never hides the others, and whoever asks often asks cheaply."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator

import pytest
from django.db import OperationalError

from mlplatform.core.health import doctor
from mlplatform.core.health.doctor import (
    Finding,
    Level,
    doctor_check,
    doctor_examine,
    doctor_level,
    doctor_report,
)
from mlplatform.core.health.doctor_text import doctor_json, doctor_text
from mlplatform.core.text import text as _


@pytest.fixture(autouse=True)
def own_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test registers its own checks, and starts without a report."""
    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr(doctor, "_kept", None)


def finding(check: str, level: Level = Level.OK, remedy: str = "") -> Finding:
    return Finding(check, level, _("{check} was looked at", check=check), remedy)


def test_the_worst_comes_first_and_else_the_order_of_registration() -> None:
    for name, level in (("a", Level.OK), ("b", Level.WARNING), ("c", Level.FAILED), ("d", Level.WARNING)):
        doctor_check(name)(lambda name=name, level=level: [finding(name, level)])
    report = doctor_examine()
    assert [found.check for found in report.findings] == ["c", "b", "d", "a"]
    assert report.level == Level.FAILED


@pytest.mark.parametrize(
    ("levels", "worst"),
    [([], Level.OK), ([Level.OK, Level.WARNING], Level.WARNING), ([Level.FAILED, Level.OK], Level.FAILED)],
)
def test_the_level_is_the_worst_of_all(levels: list[Level], worst: Level) -> None:
    assert doctor_level(finding("x", level) for level in levels) == worst


def test_a_check_that_breaks_is_a_finding_and_hides_no_other() -> None:
    @doctor_check("broken")
    def broken() -> Iterator[Finding]:
        yield finding("broken")
        raise ZeroDivisionError("a secret address")

    @doctor_check("well")
    def well() -> list[Finding]:
        return [finding("well")]

    found = {each.check: each for each in doctor_examine().findings}
    assert found["broken"].level == Level.FAILED
    assert "ZeroDivisionError" in found["broken"].summary
    assert "secret" not in found["broken"].summary
    assert found["well"].level == Level.OK


def test_a_check_that_hangs_is_a_finding_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(doctor, "LIMIT_S", 0.3)

    @doctor_check("hangs")
    def hangs() -> list[Finding]:
        released.wait(60)
        return []

    @doctor_check("well")
    def well() -> list[Finding]:
        return [finding("well")]

    begin = time.monotonic()
    report = doctor_examine()
    took_s = time.monotonic() - begin
    released.set()
    assert [(each.check, each.level) for each in report.findings] == [
        ("hangs", Level.FAILED),
        ("well", Level.OK),
    ]
    assert "0.3 s" in report.findings[0].summary and report.findings[0].remedy
    assert took_s < 30


def test_what_cannot_read_the_database_is_told_in_one_line(db: None) -> None:
    def away() -> list[Finding]:
        raise OperationalError("could not connect")

    doctor_check("first", title=_("First"), reads_database=True)(away)
    doctor_check("second", title=_("Second"), reads_database=True)(away)
    doctor_check("disk")(lambda: [finding("disk")])
    report = doctor_examine()
    assert [(each.check, each.level) for each in report.findings] == [
        ("database", Level.WARNING),
        ("disk", Level.OK),
    ]
    assert "First, Second" in report.findings[0].summary


def test_while_the_database_is_away_nothing_that_reads_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> float:
        raise OperationalError("could not connect")

    tried: list[int] = []
    monkeypatch.setattr(doctor, "database_probe", away)
    doctor_check("first", title=_("First"), reads_database=True)(lambda: tried.append(1) or [])
    [found] = doctor_examine().findings
    assert "First" in found.summary and tried == []


def test_a_reader_that_hangs_is_named_and_those_after_it_are_told(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    monkeypatch.setattr(doctor, "LIMIT_S", 2.0)
    doctor_check("quick", reads_database=True)(lambda: [finding("quick")])
    doctor_check("hangs", reads_database=True)(lambda: [finding("late")] if released.wait(60) else [])
    doctor_check("after", title=_("After"), reads_database=True)(list)
    report = doctor_examine()
    released.set()
    told = {each.check: each for each in report.findings}
    assert told["quick"].level == Level.OK
    assert "no answer within 2 s" in told["hangs"].summary
    assert "After" in told["database"].summary


def test_a_deep_check_runs_only_when_asked_for() -> None:
    doctor_check("deep", deep=True)(lambda: [finding("deep")])
    assert doctor_examine().findings == ()
    assert [each.check for each in doctor_examine(deep=True).findings] == ["deep"]


def test_a_report_is_kept_for_as_long_as_the_asker_allows_and_shared_by_those_who_ask_at_once() -> None:
    n_looks = 0

    @doctor_check("slow")
    def slow() -> list[Finding]:
        nonlocal n_looks
        n_looks += 1
        time.sleep(0.2)
        return [finding("slow")]

    askers = [threading.Thread(target=doctor_report) for _asker in range(5)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert n_looks <= 2  # one, or two where an asker came late
    first = doctor_report(max_age_s=60)
    assert doctor_report(max_age_s=60) is first
    assert doctor_report() is not first


def test_the_text_has_every_finding_with_its_remedy_and_a_count() -> None:
    doctor_check("broker", title=_("Broker"))(lambda: [finding("broker", Level.FAILED, "Start it")])
    doctor_check("disk", title=_("Disk"))(lambda: [finding("disk")])
    text = doctor_text(doctor_examine())
    lines = text.splitlines()
    assert lines[2].split() == ["FAILED", "Broker", "broker", "was", "looked", "at"]
    assert lines[3].strip() == "-> Start it"
    assert lines[4].split()[:2] == ["ok", "Disk"]
    assert lines[-1].startswith("1 failed, 0 warnings, 1 ok")


def test_the_json_can_be_read_by_a_program() -> None:
    doctor_check("disk", title=_("Disk"))(lambda: [finding("disk", Level.WARNING, "Make room")])
    told = json.loads(json.dumps(doctor_json(doctor_examine())))
    assert told["level"] == "warning"
    assert told["checked_at"].endswith("Z")
    assert told["findings"] == [
        {
            "check": "disk",
            "title": "Disk",
            "level": "warning",
            "summary": "disk was looked at",
            "remedy": "Make room",
        }
    ]
