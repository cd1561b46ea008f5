"""Calls side by side within one limit: results, faults, and what hangs."""

from __future__ import annotations

import threading
import time

from mlplatform.core.health.bounded import Late, bounded_calls


def test_each_call_gives_its_result_or_its_fault_in_order() -> None:
    found = bounded_calls({"b-one": lambda: 1, "b-two": lambda: 1 // 0, "b-none": lambda: None}, limit_s=30)
    assert list(found) == ["b-one", "b-two", "b-none"]
    assert found["b-one"] == 1
    assert isinstance(found["b-two"], ZeroDivisionError)
    assert found["b-none"] is None


def test_what_hangs_is_late_holds_nobody_up_and_is_not_called_again_meanwhile() -> None:
    released = threading.Event()
    calls: list[int] = []

    def hang() -> int:
        calls.append(1)
        released.wait(60)
        return 7

    begin = time.monotonic()
    first = bounded_calls({"h-hang": hang, "h-well": lambda: 2}, limit_s=0.2)
    second = bounded_calls({"h-hang": hang, "h-well": lambda: 3}, limit_s=0.2)
    assert time.monotonic() - begin < 30
    assert isinstance(first["h-hang"], Late) and isinstance(second["h-hang"], Late)
    assert (first["h-well"], second["h-well"]) == (2, 3)
    assert len(calls) == 1
    released.set()
    [thread] = [thread for thread in threading.enumerate() if thread.name == "h-hang"] or [None]
    if thread is not None:
        thread.join(30)
    assert bounded_calls({"h-hang": hang}, limit_s=30) == {"h-hang": 7}
