"""What the platform clears away by itself: deletions not carried out, orphans, missing objects, what is too old."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from mlplatform.core import clock
from mlplatform.core.amounts import size_text, time_text
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.keeping import orphans, retention
from mlplatform.core.models import ObjectTombstone, SweepState
from mlplatform.core.text import text as _

TRIES_MANY: Final = 5
WAITING_LONG_S: Final = 3600
LATE_TIMES: Final = 3
"""A sweep is late after so many times its interval, and an hour."""


@doctor_check("deletions", title=_("Deletions"), reads_database=True)
def deletions_check() -> Iterator[Finding]:
    waiting = ObjectTombstone.objects.order_by("created_at")
    n_waiting = waiting.count()
    stuck = waiting.filter(n_tries__gte=TRIES_MANY).last()
    oldest = waiting.first()
    if stuck is not None:
        yield Finding(
            "deletions",
            Level.WARNING,
            _(
                "{n} deleted objects are still in the store; one could not be deleted in {tries} tries: {error}",
                n=n_waiting,
                tries=stuck.n_tries,
                error=_bare(stuck),
            ),
            _(
                "Mend the object store (see its own check); what waits is then deleted by itself within an hour."
            ),
        )
    elif oldest is not None and _age_s(oldest.created_at) > WAITING_LONG_S:
        yield Finding(
            "deletions",
            Level.WARNING,
            _(
                "{n} deleted objects are still in the store, the oldest for {time}",
                n=n_waiting,
                time=time_text(_age_s(oldest.created_at)),
            ),
            _("Start a scheduler: `manage.py scheduler`. It deletes them by itself."),
        )
    else:
        said = _("Deleted objects that wait for the store: {n}", n=n_waiting)
        yield Finding("deletions", Level.OK, said if n_waiting else _("Nothing deleted is left in the store"))


@doctor_check("orphans", title=_("Orphans"), reads_database=True)
def orphans_check() -> Iterator[Finding]:
    if orphans.grace_s() <= 0:
        said = _("Orphans are not looked for: MLPLATFORM_ORPHAN_GRACE_S is 0")
        yield Finding("orphans", Level.OK, said, _("`manage.py orphans` looks for them."))
        return
    state = SweepState.objects.filter(name=orphans.SWEEP).first()
    if state is None or state.ended_at is None:
        yield Finding("orphans", Level.OK, _("The store has not been searched for orphans yet"))
        return
    found = state.detail
    if found.get("n_dangling"):
        yield Finding(
            "orphans",
            Level.FAILED,
            _("{n} objects that rows refer to are missing from the store", n=found["n_dangling"]),
            _(
                "`manage.py orphans` names them. Restore the object store from a backup as old as the database's, "
                "or delete what they belong to."
            ),
        )
    if found.get("held_back"):
        yield Finding(
            "orphans",
            Level.WARNING,
            _("{found}: more than half of the store, so none was removed", found=_orphans_words(found)),
            _(
                "Is this the database that belongs to the store? If so, `manage.py orphans --delete` removes them."
            ),
        )
    if not found.get("n_dangling") and not found.get("held_back"):
        removed = _("{found}; {n} were removed", found=_orphans_words(found), n=found.get("n_buried", 0))
        yield Finding("orphans", Level.OK, removed if found.get("n_orphans") else _orphans_words(found))


@doctor_check("sweeps", title=_("Clearing away"), reads_database=True)
def sweeps_check() -> Iterator[Finding]:
    states = {state.name: state for state in SweepState.objects.all()}
    broken = [state for state in states.values() if state.error]
    for state in broken:
        said = _("The sweep “{name}” broke: {error}", name=state.name, error=state.error)
        remedy = _("The scheduler's log has the whole error. It is tried again by itself.")
        yield Finding("sweeps", Level.WARNING, said, remedy)
    last = states.get(retention.SWEEP)
    if last is None or last.ended_at is None:
        yield Finding("sweeps", Level.OK, _("Nothing has been cleared away yet"))
        return
    age_s = _age_s(last.ended_at)
    if age_s > LATE_TIMES * retention.EVERY_S:
        yield Finding(
            "sweeps",
            Level.WARNING,
            _("Nothing has been cleared away for {time}", time=time_text(age_s)),
            _("Start a scheduler: `manage.py scheduler`."),
        )
    elif not broken:
        yield Finding(
            "sweeps", Level.OK, _("What is too old was last removed {time} ago", time=time_text(age_s))
        )


def _orphans_words(found: dict[str, Any]) -> Any:
    return _(
        "{n} of {all} objects were referred to by nothing at the last search ({size})",
        n=found.get("n_orphans", 0),
        all=found.get("n_objects", 0),
        size=size_text(found.get("n_bytes", 0)),
    )


def _bare(tombstone: ObjectTombstone) -> str:
    """The error without the address: whoever operates the platform need not be a member of the project."""
    return tombstone.last_error.replace(tombstone.uri, "an object")


def _age_s(at: datetime) -> float:
    return (clock.now() - at) / timedelta(seconds=1)
