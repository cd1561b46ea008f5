"""Sweeps: run when due, by one scheduler at a time; one that breaks, hangs or rests holds up no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta

import pytest
from django.db import DataError, OperationalError

from mlplatform.core import clock
from mlplatform.core.keeping import sweeps
from mlplatform.core.keeping.sweeps import Lane, Sweep, SweepThread, Swept, sweeps_turn
from mlplatform.core.models import SweepState

pytestmark = pytest.mark.django_db


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Only the sweeps of the test are there."""
    monkeypatch.setattr(sweeps, "_SWEEPS", {})

    def register(
        run: Callable[[], Swept], name: str = "x", *, rest_s: int = 0, lane: Lane = Lane.QUICK
    ) -> None:
        sweeps.sweep(name, every_s=3600, rest_s=rest_s, lane=lane)(run)

    return register


def _counted(ran: list[str], name: str = "x", *, again: bool = False) -> Callable[[], Swept]:
    def run() -> Swept:
        ran.append(name)
        return Swept(1, again=again)

    return run


def test_a_sweep_runs_when_it_is_due_and_not_before(registered: Callable[..., None]) -> None:
    ran: list[str] = []
    registered(_counted(ran))
    assert [sweeps_turn() for _ in range(3)] == [1, 0, 0]
    state = SweepState.objects.get(name="x")
    assert state.ended_at and timedelta(minutes=59) < state.due_at - clock.now() <= timedelta(hours=1)


def test_more_of_the_same_is_done_at_the_next_turn(registered: Callable[..., None]) -> None:
    ran: list[str] = []
    registered(_counted(ran, again=True))
    assert [sweeps_turn() for _ in range(3)] == [1, 1, 1]


def test_of_two_schedulers_one_runs_it(registered: Callable[..., None]) -> None:
    registered(_counted([]))
    SweepState.objects.create(name="x", due_at=clock.now())
    found, seen_by_both = sweeps._SWEEPS["x"], SweepState.objects.get(name="x").due_at
    assert sweeps._take(found, seen_by_both)
    assert not sweeps._take(found, seen_by_both)


def test_one_that_was_killed_is_due_again_after_its_lease(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    registered(_counted(ran))
    SweepState.objects.create(name="x", due_at=clock.now())
    assert sweeps._take(sweeps._SWEEPS["x"], SweepState.objects.get(name="x").due_at), "and then it is killed"
    assert sweeps_turn() == 0
    later = clock.now() + timedelta(seconds=sweeps.LEASE_S + 1)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert sweeps_turn() == 1 and ran == ["x"]


def test_a_clock_that_was_put_right_holds_nothing_up(registered: Callable[..., None]) -> None:
    ran: list[str] = []
    registered(_counted(ran))
    SweepState.objects.create(name="x", due_at=clock.now() + timedelta(days=3650))
    assert sweeps_turn() == 1 and ran == ["x"]


def test_one_that_breaks_is_told_and_holds_up_no_other(registered: Callable[..., None]) -> None:
    ran: list[str] = []

    def broken() -> Swept:
        raise OSError("no such device")

    registered(broken, "broken")
    registered(_counted(ran))
    assert sweeps_turn() == 2 and ran == ["x"]
    state = SweepState.objects.get(name="broken")
    assert state.error == "OSError: no such device" and state.due_at > clock.now()


def test_a_statement_that_the_database_refuses_is_a_broken_sweep_and_no_outage(
    registered: Callable[..., None],
) -> None:
    ran: list[str] = []

    def refused() -> Swept:
        raise DataError("value too long for type character varying(300)")

    registered(refused, "refused")
    registered(_counted(ran))
    assert sweeps_turn() == 2 and ran == ["x"]
    assert SweepState.objects.get(name="refused").error.startswith("DataError: value too long")


def test_a_slow_sweep_has_no_other_wait_for_it(registered: Callable[..., None]) -> None:
    ran: list[str] = []
    registered(_counted(ran, "slow"), "slow", lane=Lane.SLOW)
    registered(_counted(ran, "quick"), "quick")
    assert sweeps_turn(lane=Lane.QUICK) == 1 and ran == ["quick"]
    assert sweeps_turn(lane=Lane.SLOW) == 1 and ran == ["quick", "slow"]


@pytest.mark.django_db(transaction=True)
def test_a_machine_that_slept_for_days_takes_nothing_in_use_for_old(
    registered: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    registered(_counted(ran, "resting"), "resting", rest_s=600)
    thread = SweepThread(lane=Lane.QUICK)
    thread.turn()
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=2))
    thread.turn()
    assert ran == [], "it is due, but everything looks two days old"
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(days=2, seconds=601))
    thread._clock_watch.jumped()  # that was only the test's waiting
    thread.turn()
    assert ran == ["resting"]


@pytest.mark.parametrize("every_s", [1, 3600])
def test_one_without_anything_to_do_is_not_begun(registered: Callable[..., None], every_s: int) -> None:
    sweeps.sweep("x", every_s=every_s, wanted=lambda: False)(_counted([]))
    assert sweeps_turn() == 0
    assert not SweepState.objects.filter(name="x").exclude(began_at=None).exists()


def test_a_turn_of_what_is_always_due_asks_only_whether_there_is_anything_to_do(
    registered: Callable[..., None], django_assert_num_queries: Callable[[int], AbstractContextManager[None]]
) -> None:
    ran: list[str] = []
    wanted: list[bool] = []
    sweeps.sweep("x", every_s=1, lane=Lane.STEPS, wanted=lambda: bool(wanted))(_counted(ran))
    with django_assert_num_queries(0):
        assert sweeps_turn(lane=Lane.STEPS) == 0
    wanted.append(True)
    assert sweeps_turn(lane=Lane.STEPS) == 1 and ran == ["x"]


@pytest.mark.django_db(transaction=True)
def test_orphans_rest_after_the_database_was_away(registered: Callable[..., None]) -> None:
    """Who waited for the database longer than the grace time writes first what his object is."""
    ran: list[str] = []
    registered(_counted(ran, "resting"), "resting", rest_s=3600)
    registered(_counted(ran, "other"), "other")
    thread = SweepThread(lane=Lane.QUICK)
    thread.turn()
    thread.turn()
    assert ran == ["other"], "nobody knows what was before the scheduler"
    SweepState.objects.update(due_at=clock.now())
    thread.turn()
    assert sorted(ran) == ["other", "other", "resting"]

    def away() -> Swept:
        raise OperationalError("the database is away")

    registered(away, "away")
    SweepState.objects.update(due_at=clock.now())
    thread.turn()
    del sweeps._SWEEPS["away"]
    SweepState.objects.update(due_at=clock.now())
    ran.clear()
    thread.turn()
    assert ran == ["other"]


def test_the_sweep_of_orphans_does_rest() -> None:
    assert sweeps._SWEEPS["orphans"].rest_s == 3600 and sweeps._SWEEPS["leftovers"].rest_s == 600
    assert (sweeps._SWEEPS["tombstones"].lane, sweeps._SWEEPS["orphans"].lane) == (Lane.QUICK, Lane.SLOW)
    assert sweeps._SWEEPS["experiments"].lane == Lane.STEPS, "a search has nobody wait who waits for a cell"
    for name in ("tombstones", "experiments"):
        assert sweeps._SWEEPS[name].lease_s < 300, "nobody waits for long after a kill"
    assert {"tombstones", "orphans", "retention", "leftovers", "database"} <= set(sweeps._SWEEPS)
    assert all(isinstance(found, Sweep) for found in sweeps._SWEEPS.values())
