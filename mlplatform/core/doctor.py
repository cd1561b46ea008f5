"""The doctor: checks that every room contributes, each finding with its remedy. Shown by a page, REST and a command.

A room registers its checks with `@doctor_check` in a module that its AppConfig imports when ready. A check reads and
never mends; what it raises is a finding too, so that one broken part never hides the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mlplatform.core.text import Text
from mlplatform.core.text import text as _

logger = logging.getLogger(__name__)


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
        summary: What is, in one sentence with its figures.
        remedy: What to do about it; empty where nothing is to be done.
    """

    check: str
    level: Level
    summary: Text
    remedy: Text | str = ""


Check = Callable[[], Iterable[Finding]]
_CHECKS: Final[dict[str, Check]] = {}


def doctor_check(name: str) -> Callable[[Check], Check]:
    """Registers a check under `name`; the order of registration is the order of showing."""

    def register(check: Check) -> Check:
        _CHECKS[name] = check
        return check

    return register


def doctor_run() -> list[Finding]:
    """What every check found. Never raises."""
    return [finding for name, check in _CHECKS.items() for finding in _run(name, check)]


def doctor_level(findings: Iterable[Finding]) -> Level:
    """The worst level among the findings."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAILED, Level.WARNING) if level in levels), Level.OK)


def _run(name: str, check: Check) -> list[Finding]:
    try:
        return list(check())
    except Exception as error:
        logger.exception("the check %s broke", name)
        said = _("This could not be checked: {error}", error=type(error).__name__)
        return [Finding(name, Level.FAILED, said, _("The platform's own log has the whole error."))]
