"""Waiting for something to become true, neither longer than needed nor at the cost of what is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_PAUSE: Final = 3.0
"""Times what a question took: to ask a busy platform again at once would take it the processor that it answers with."""
_OFTEN_S: Final = 0.02
"""Who asks more often than that must not miss a moment."""


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout_s: float = 20.0,
    every_s: float = 0.02,
    what: str | Callable[[], str] = "the condition",
) -> None:
    """Asks until the answer is true; fails the test with what was waited for."""
    deadline = time.monotonic() + timeout_s
    asked_at = time.monotonic()
    while not condition():
        answered_at = time.monotonic()
        if answered_at > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        pause_s = (
            min(_PAUSE * (answered_at - asked_at), deadline - answered_at) if every_s >= _OFTEN_S else 0.0
        )
        time.sleep(max(every_s, pause_s))
        asked_at = time.monotonic()
