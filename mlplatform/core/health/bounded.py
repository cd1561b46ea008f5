"""Calls side by side, each on a thread of its own, within one time limit: a part that hangs holds nobody up.

Called by the health answer and the doctor. A thread cannot be ended from outside: what hangs is left behind, and is not
called again before it has come to its end, so that asking often does not pile threads up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from django.db import connections

T = TypeVar("T")
_running: Final[dict[str, threading.Thread]] = {}
_lock = threading.Lock()


class Late(Exception):
    """There was no answer within the limit, in seconds."""

    def __init__(self, limit_s: float) -> None:
        super().__init__(f"no answer within {limit_s:g} s")
        self.limit_s = limit_s


def bounded_calls(calls: Mapping[str, Callable[[], T]], *, limit_s: float) -> dict[str, T | Exception]:
    """What each call returned or raised, or `Late`; in the order of `calls`.

    Args:
        calls: By a name that is unique in this process.
    """
    found: dict[str, T | Exception] = {}
    threads = [thread for name, call in calls.items() if (thread := _start(name, call, found))]
    until = time.monotonic() + limit_s
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return {name: found[name] if name in found else Late(limit_s) for name in calls}


def _start(name: str, call: Callable[[], T], found: dict[str, T | Exception]) -> threading.Thread | None:
    """Begins the call, unless an earlier one of that name still hangs."""
    with _lock:
        earlier = _running.get(name)
        if earlier is not None and earlier.is_alive():
            return None
        thread = threading.Thread(target=_carry_out, args=(name, call, found), daemon=True, name=name)
        _running[name] = thread
        thread.start()
        return thread


def _carry_out(name: str, call: Callable[[], T], found: dict[str, T | Exception]) -> None:
    try:
        found[name] = call()
    except Exception as error:
        found[name] = error
    finally:
        connections.close_all()
