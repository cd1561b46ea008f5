"""What the doctor says of deletions, orphans and sweeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from mlplatform.core import clock
from mlplatform.core.health.checks.keeping import deletions_check, orphans_check, sweeps_check
from mlplatform.core.health.doctor import Finding, Level
from mlplatform.core.models import ObjectTombstone, SweepState

pytestmark = pytest.mark.django_db
URI = "s3://mlplatform-1/datasets/0/data.csv"


def _one(check: Callable[[], Iterator[Finding]]) -> tuple[Level, str, str]:
    [finding] = check()
    return finding.level, str(finding.summary), str(finding.remedy)


def _swept(name: str, *, ago: timedelta = timedelta(0), error: str = "", **detail: object) -> None:
    at = clock.now() - ago
    SweepState.objects.create(name=name, due_at=at, ended_at=at, detail=detail, error=error)


def test_deletions_that_wait_for_a_moment_are_in_order() -> None:
    assert _one(deletions_check)[:2] == (Level.OK, "Nothing deleted is left in the store")
    ObjectTombstone.objects.create(uri=URI, reason="dataset")
    assert _one(deletions_check)[:2] == (Level.OK, "Deleted objects that wait for the store: 1")


def test_deletions_that_cannot_be_carried_out_are_told_with_their_error_and_without_an_address() -> None:
    error = f"The object store could not delete {URI}: Read-only file system"
    ObjectTombstone.objects.create(uri=URI, reason="dataset", n_tries=5, last_error=error)
    level, summary, remedy = _one(deletions_check)
    assert level == Level.WARNING and "Read-only file system" in summary and "in 5 tries" in summary
    assert URI not in summary and "Mend the object store" in remedy


def test_deletions_that_nobody_carries_out_ask_for_a_scheduler() -> None:
    old = clock.now() - timedelta(hours=3)
    ObjectTombstone.objects.create(uri=URI, reason="dataset", created_at=old)
    level, summary, remedy = _one(deletions_check)
    assert level == Level.WARNING and "the oldest for 3 h" in summary and "manage.py scheduler" in remedy


def test_orphans_are_told_from_the_last_search() -> None:
    assert _one(orphans_check)[0] == Level.OK
    _swept("orphans", n_objects=10, n_orphans=3, n_bytes=2048, n_buried=3, n_dangling=0, held_back=False)
    level, summary, _remedy = _one(orphans_check)
    assert level == Level.OK and "3 of 10 objects" in summary and "2 KiB" in summary
    assert "3 were removed" in summary


def test_missing_objects_are_a_failure_and_a_strange_store_a_warning() -> None:
    _swept("orphans", n_objects=40, n_orphans=30, n_bytes=1, n_buried=0, n_dangling=2, held_back=True)
    findings = list(orphans_check())
    assert [finding.level for finding in findings] == [Level.FAILED, Level.WARNING]
    assert "2 objects that rows refer to are missing" in str(findings[0].summary)
    assert "orphans --delete" in str(findings[1].remedy)


def test_sweeps_that_broke_or_are_late_are_told() -> None:
    assert _one(sweeps_check)[0] == Level.OK
    _swept("retention")
    assert _one(sweeps_check)[0] == Level.OK
    _swept("leftovers", error="OSError: no")
    assert _one(sweeps_check)[:2] == (Level.WARNING, "The sweep “leftovers” broke: OSError: no")
    SweepState.objects.all().delete()
    _swept("retention", ago=timedelta(hours=5))
    assert _one(sweeps_check)[:2] == (Level.WARNING, "Nothing has been cleared away for 5 h")
