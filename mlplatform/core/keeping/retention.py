"""How long things are kept, and their removal when that is over: a registry that every room adds its rules to.

A rule removes at most so many rows that are older than an instant, in one short transaction; it is called until it
finds no more, with pauses in which others write. Days come from the settings; 0 keeps for ever. What was removed is
told where it was shown. Called by the scheduler's sweep; pages and the doctor read `retention_rules`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings

from mlplatform.core import clock
from mlplatform.core.health.outages import is_outage
from mlplatform.core.keeping.sweeps import Swept, sweep
from mlplatform.core.models import SweepState
from mlplatform.core.text import Text

logger = logging.getLogger(__name__)
SWEEP: Final = "retention"
EVERY_S: Final = 3600
BATCH: Final = 500
PAUSE_S: Final = 0.02
BUDGET_S: Final = 20.0
"""So long one run goes on; what is left then is taken up at the next turn."""

Remove = Callable[[datetime, int], int]
"""Removes at most so many (second) of what is older (first); how many it removed, 0 when there is no more."""


@dataclass(frozen=True)
class RetentionRule:
    """One kind of thing that is not kept for ever.

    Attributes:
        setting: Name of the setting with the days; empty where the days are fixed.
        fixed_days: Days where there is no setting.
    """

    name: str
    title: Text
    setting: str
    fixed_days: float
    remove: Remove

    @property
    def days(self) -> float:
        return float(getattr(settings, self.setting)) if self.setting else self.fixed_days

    @property
    def whole_days(self) -> int:
        return round(self.days)

    @property
    def before(self) -> datetime | None:
        """What is older goes; None where everything is kept."""
        return clock.now() - timedelta(days=self.days) if self.days > 0 or not self.setting else None


_RULES: Final[dict[str, RetentionRule]] = {}


def retention(
    name: str, *, title: Text, setting: str = "", fixed_days: float = 0
) -> Callable[[Remove], Remove]:
    """Registers a rule."""

    def register(remove: Remove) -> Remove:
        _RULES[name] = RetentionRule(name, title, setting, fixed_days, remove)
        return remove

    return register


def retention_rules() -> list[RetentionRule]:
    """Every rule with its effective days, in the order in which rooms registered them."""
    return list(_RULES.values())


@sweep(SWEEP, every_s=EVERY_S)
def retention_sweep() -> Swept:
    """Removes what has been kept long enough, rule after rule, until nothing is left or the time is up.

    A rule that breaks holds up no other; the sweep then breaks at its end, which the doctor tells.
    """
    until = time.monotonic() + BUDGET_S
    state = SweepState.objects.filter(name=SWEEP).first()
    detail: dict[str, Any] = dict(state.detail) if state else {}
    n_removed, again = 0, False
    broken: Exception | None = None
    for rule in _RULES.values():
        try:
            removed, more = _apply(rule, until)
        except Exception as error:
            if is_outage(error):
                raise
            logger.exception("the rule %s broke", rule.name)
            broken = error
            continue
        n_removed += removed
        again |= more
        if removed:
            detail[rule.name] = {"removed": removed, "at": clock.now().isoformat(timespec="seconds")}
    if broken is not None:
        raise broken
    return Swept(n_removed, again=again, detail=detail)


def _apply(rule: RetentionRule, until: float) -> tuple[int, bool]:
    """How many the rule removed, and whether it was stopped before its end."""
    before = rule.before
    n_removed = 0
    while before is not None:
        removed = rule.remove(before, BATCH)
        n_removed += removed
        if not removed:
            break
        if time.monotonic() > until:
            return n_removed, True
        time.sleep(PAUSE_S)
    return n_removed, False
