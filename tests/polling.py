"""Waiting for something to become true, without sleeping longer than needed."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool],
    *,
    timeout_s: float = 20.0,
    every_s: float = 0.02,
    what: str | Callable[[], str] = "the condition",
) -> None:
    """Asks until the answer is true; fails the test with what was waited for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what if isinstance(what, str) else what()}")
        time.sleep(every_s)
