"""The doctor: checks that every room contributes, each finding with its remedy. Shown by a page, REST and a command.

A room registers its checks with `@doctor_check` in a module that its AppConfig imports when ready. A check reads and
never mends; what it raises is a finding too, so that one broken part never hides the others. Checks run side by side,
each within a time limit; those that read the database share one connection, one after the other.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final

from django.db import Error as DatabaseError

from mlplatform.core import clock
from mlplatform.core.health.bounded import Late, bounded_calls
from mlplatform.core.health.probes import database_probe
from mlplatform.core.text import Text, text_join
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)
LIMIT_S = 5.0
DEEP_LIMIT_S = 300.0
_READERS: Final = "doctor-readers"


class Level(StrEnum):
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True)
class Finding:
    """One thing the doctor saw.

    Attributes:
        check: Name of the check in lower case with underscores, such as `disk`.
        level: `failed` where something does not work, `warning` where it soon will not.
        summary: What is, in one sentence with its figures. It names no object of a project: whoever operates the
            platform need not be a member.
        remedy: What to do about it; empty where nothing is to be done.
    """

    check: str
    level: Level
    summary: Text
    remedy: Text | str = ""


Check = Callable[[], Iterable[Finding]]


@dataclass(frozen=True)
class RegisteredCheck:
    """`reads_database`: left out while the database is away. `deep`: takes long and runs only when asked for."""

    name: str
    title: Text
    run: Check
    reads_database: bool = False
    deep: bool = False


@dataclass(frozen=True)
class Report:
    """What all checks found, the worst first, and when."""

    findings: tuple[Finding, ...]
    checked_at: datetime
    took_s: float
    titles: Mapping[str, Text] = field(default_factory=dict)

    @property
    def level(self) -> Level:
        return doctor_level(self.findings)


_CHECKS: Final[dict[str, RegisteredCheck]] = {}
_SEVERITY: Final = {Level.FAILED: 0, Level.WARNING: 1, Level.OK: 2}
_kept: tuple[float, Report] | None = None
_lock = threading.Lock()


def doctor_check(
    name: str, *, title: Text | None = None, reads_database: bool = False, deep: bool = False
) -> Callable[[Check], Check]:
    """Registers a check under `name`; the order of registration is the order of showing."""

    def register(check: Check) -> Check:
        shown = title or _("{name}", name=name.replace("_", " ").capitalize())
        _CHECKS[name] = RegisteredCheck(name, shown, check, reads_database, deep)
        return check

    return register


def doctor_report(*, max_age_s: float = 0.0) -> Report:
    """The report, made anew unless one is younger than `max_age_s`. Those who ask at once share one. Never raises."""
    global _kept
    asked_at = time.monotonic()
    with _lock:
        if _kept is None or _kept[0] < asked_at - max_age_s:
            report = doctor_examine()
            _kept = (time.monotonic(), report)
        return _kept[1]


def doctor_last() -> Report | None:
    """The report that was made last in this process, however old: costs nothing."""
    return _kept[1] if _kept else None


def doctor_examine(*, deep: bool = False) -> Report:
    """Runs every check now, within `LIMIT_S` (the deep ones too within `DEEP_LIMIT_S`). Never raises."""
    begin = time.monotonic()
    checks = [check for check in _CHECKS.values() if deep or not check.deep]
    found = _run_all(checks, limit_s=DEEP_LIMIT_S if deep else LIMIT_S)
    findings = [finding for check in checks for finding in found[check.name]]
    findings += _not_looked_at([check for check in checks if check.name in found.unseen])
    return Report(
        findings=tuple(sorted(findings, key=lambda finding: _SEVERITY[finding.level])),
        checked_at=clock.now(),
        took_s=time.monotonic() - begin,
        titles={check.name: check.title for check in _CHECKS.values()},
    )


def doctor_level(findings: Iterable[Finding]) -> Level:
    """The worst level among the findings."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAILED, Level.WARNING) if level in levels), Level.OK)


class _Found(dict[str, list[Finding]]):
    """Findings by check; `unseen` has the checks that could not look because what they need does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.unseen: set[str] = set()
        self.database_answers = False

    def leave_out(self, checks: Iterable[RegisteredCheck]) -> None:
        for check in checks:
            self[check.name] = []
            self.unseen.add(check.name)


def _run_all(checks: list[RegisteredCheck], *, limit_s: float) -> _Found:
    found = _Found()
    readers = [check for check in checks if check.reads_database]
    calls: dict[str, Callable[[], None]] = {
        f"doctor-{check.name}": partial(_run, check, found) for check in checks if not check.reads_database
    }
    calls[_READERS] = partial(_run_readers, readers, found)
    late = {name for name, end in bounded_calls(calls, limit_s=limit_s).items() if isinstance(end, Late)}
    for check in checks:
        if f"doctor-{check.name}" in late and check.name not in found:
            found[check.name] = [_late(check, limit_s)]
    if _READERS in late:
        _tell_late_readers([check for check in readers if check.name not in found], found, limit_s)
    return found


def _run_readers(readers: list[RegisteredCheck], found: _Found) -> None:
    """One after the other; none where the database does not answer, which is a finding of the database's own check."""
    try:
        database_probe()
    except (DatabaseError, OSError):
        found.leave_out(readers)
        return
    found.database_answers = True
    for check in readers:
        _run(check, found)


def _tell_late_readers(waiting: list[RegisteredCheck], found: _Found, limit_s: float) -> None:
    """The first of them hangs and keeps the others from looking; or the database keeps all."""
    if found.database_answers and waiting:
        hanging = waiting.pop(0)
        found[hanging.name] = [_late(hanging, limit_s)]
    found.leave_out(waiting)


def _run(check: RegisteredCheck, found: _Found) -> None:
    try:
        found[check.name] = list(check.run())
    except DatabaseError as error:
        logger.warning("the check %s could not read the database: %s", check.name, error)
        found.leave_out([check])
    except Exception as error:
        logger.exception("the check %s broke", check.name)
        said = _("This could not be checked: {error}", error=type(error).__name__)
        remedy = _("The platform's own log has the whole error.")
        found[check.name] = [Finding(check.name, Level.FAILED, said, remedy)]


def _late(check: RegisteredCheck, limit_s: float) -> Finding:
    return Finding(
        check.name,
        Level.FAILED,
        _(
            "There was no answer within {limit} s: a disk or service that this needs hangs",
            limit=f"{limit_s:g}",
        ),
        _(
            "Look for a network disk or server that does not answer (`df`, `mount`, ping). Restart the platform if it "
            "stays after that is mended."
        ),
    )


def _not_looked_at(checks: list[RegisteredCheck]) -> list[Finding]:
    if not checks:
        return []
    titles = text_join(", ", [check.title for check in checks])
    said = _("Not looked at, because what this needs does not answer: {checks}", checks=titles)
    return [Finding("database", Level.WARNING, said, _("Mend what is told here first; then look again."))]
