"""The supervisor with real processes: one log, restarts, the order of the end, and nothing orphaned."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.polling import wait_until
from tests.setup.supervised import Supervised, alive

FOREVER = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("up", flush=True)
time.sleep(600)
"""
TELLS_ITS_END = """
import signal, sys, time
def end(*_):
    print("ending", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("up", flush=True)
time.sleep(600)
"""
WITH_CHILDREN = """
import subprocess, sys, time
sleeper = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", sleeper])
subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True)
print("up", flush=True)
time.sleep(600)
"""


def entry(name: str, code: str = FOREVER, **rest: Any) -> dict[str, Any]:
    return {"name": name, "code": code, **rest}


def started(run: Supervised, *names: str) -> list[psutil.Process]:
    """Waits until the processes say that they are up; everything under the supervisor."""
    run.until("all started")
    for name in names:
        run.until(rf"{name} +up")
    return run.descendants()


def test_lines_of_all_processes_come_out_in_one_log_with_time_and_name() -> None:
    with Supervised([entry("alpha"), entry("b")]) as run:
        started(run, "alpha", "b")
        assert re.search(r"^\d\d:\d\d:\d\d alpha      up$", run.text, re.MULTILINE)
        assert re.search(r"^\d\d:\d\d:\d\d b          up$", run.text, re.MULTILINE)
        assert "\x1b" not in run.text


def test_a_process_cannot_write_escape_sequences_into_the_terminal() -> None:
    code = r"print('\x1b[2Jgone\x07', flush=True); import time; time.sleep(600)"
    with Supervised([entry("rude", code)]) as run:
        assert run.until(r"rude +(.*)").group(1) == r"\x1b[2Jgone\x07"


def test_an_endless_line_and_invalid_utf8_do_no_harm() -> None:
    code = (
        "import sys, time; out = sys.stdout.buffer; out.write(b'x' * 1_000_000 + b'\\n'); "
        "out.write(b'caf\\xe9 after\\n'); out.flush(); time.sleep(600)"
    )
    with Supervised([entry("loud", code)]) as run:
        run.until(r"caf\\xe9 after")
        [line] = [line for line in run.lines if "xxx" in line]
        assert line.endswith("x [line cut]")
        assert len(line) < 17_000


def test_the_last_words_of_a_process_are_not_lost() -> None:
    code = "import sys; sys.stdout.write('famous last words'); sys.exit(3)"
    with Supervised([entry("brief", code, restarts=False)], [entry("other")]) as run:
        run.until("famous last words")
        run.until(r"brief ended with exit code 3")


def test_a_stage_starts_when_the_one_before_is_ready(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    first = f"import pathlib, time; time.sleep(0.3); pathlib.Path({str(flag)!r}).touch(); time.sleep(600)"
    second = f"import os, time; print('flag', os.path.exists({str(flag)!r}), flush=True); time.sleep(600)"
    with Supervised([entry("first", first, ready_file=str(flag))], [entry("second", second)]) as run:
        run.until(r"second +flag True")


def test_a_process_that_ends_before_it_is_ready_fails_the_start_and_ends_the_others(tmp_path: Path) -> None:
    broken = entry(
        "broken", "print('no such table'); raise SystemExit(2)", ready_file=str(tmp_path / "never")
    )
    with Supervised([entry("good")], [broken]) as run:
        assert run.wait() == 1
        assert "no such table" in run.text
        assert "failed: broken ended with exit code 2 while starting" in run.text
        assert not alive(run.descendants())


def test_a_process_that_is_not_ready_in_time_fails_the_start(tmp_path: Path) -> None:
    slow = entry("slow", ready_file=str(tmp_path / "never"), ready_timeout_s=0.3)
    with Supervised([slow]) as run:
        assert run.wait() == 1
        assert "slow was not ready within 0.3 s" in run.text


def test_a_program_that_does_not_exist_is_named() -> None:
    lost = {"name": "lost", "argv": ["/nowhere/redis"], "restarts": False}
    with Supervised([lost], [entry("other")]) as run:
        run.until("lost +/nowhere/redis cannot be started: No such file or directory")


def test_a_crashed_process_is_started_again() -> None:
    with Supervised([entry("phoenix")], policy={"first_delay_s": 0.05}) as run:
        [first] = started(run, "phoenix")
        first.kill()
        run.until(r"phoenix was ended by SIGKILL; starting it again in 0.05 s")
        wait_until(lambda: run.text.count("up") == 2)
        [second] = run.descendants()
        assert second.pid != first.pid


def test_an_essential_process_that_keeps_crashing_ends_everything_with_the_reason() -> None:
    policy = {"first_delay_s": 0.01, "max_failures": 3}
    with Supervised([entry("good"), entry("bad", "raise SystemExit(5)")], policy=policy) as run:
        assert run.wait() == 1
        assert run.text.count("starting it again") == 2
        assert "failed: bad ended with exit code 5, 3 times in a row, and is not started again" in run.text


def test_another_process_that_keeps_crashing_is_tried_for_ever_beside_the_others() -> None:
    policy = {"first_delay_s": 0.01, "max_delay_s": 0.02, "max_failures": 2}
    bad = entry("bad", "raise SystemExit(5)", is_essential=False)
    with Supervised([entry("good"), bad], policy=policy) as run:
        run.until("good +up")
        wait_until(lambda: run.text.count("bad ended with exit code 5; starting it again") > 4)
        assert "good ended" not in run.text and "failed" not in run.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_stages_in_reverse_order(number: signal.Signals) -> None:
    stages = [[entry(name, TELLS_ITS_END)] for name in ("first", "second", "third")]
    with Supervised(*stages) as run:
        processes = started(run, "first", "second", "third")
        run.send(number)
        assert run.wait() == 0
        assert re.findall(r"(\w+) +ending", run.text) == ["third", "second", "first"]
        assert not alive(processes)


def test_a_process_that_ignores_the_signal_is_killed_when_its_grace_is_over() -> None:
    with Supervised([entry("stubborn", STUBBORN, grace_s=0.3)]) as run:
        processes = started(run, "stubborn")
        run.send(signal.SIGINT)
        assert run.wait() == 0
        assert "stubborn did not end within 0.3 s: killing it" in run.text
        assert not alive(processes)


def test_a_second_ctrl_c_kills_everything_at_once() -> None:
    with Supervised([entry("stubborn", STUBBORN, grace_s=60)]) as run:
        processes = started(run, "stubborn")
        run.send(signal.SIGINT)
        run.until("once more kills everything")
        run.send(signal.SIGINT)
        assert run.wait() == 0
        assert not alive(processes)


def test_children_of_processes_end_with_them_even_in_a_session_of_their_own() -> None:
    with Supervised([entry("parent", WITH_CHILDREN)]) as run:
        processes = started(run, "parent")
        assert len(processes) == 3
        run.send(signal.SIGINT)
        assert run.wait() == 0
        assert not alive(processes)


def test_nothing_survives_the_sudden_death_of_the_supervisor() -> None:
    with Supervised([entry("one", STUBBORN), entry("two", STUBBORN)]) as run:
        processes = started(run, "one", "two")
        run.send(signal.SIGKILL)
        wait_until(lambda: not alive(processes), timeout_s=5, what="the end of the processes")


def test_a_signal_during_the_start_ends_what_was_started(tmp_path: Path) -> None:
    waiting = entry("waiting", ready_file=str(tmp_path / "never"))
    with Supervised([entry("good")], [waiting]) as run:
        run.until(r"waiting +up")
        processes = run.descendants()
        run.send(signal.SIGINT)
        assert run.wait() == 0
        assert not alive(processes)


def test_a_process_waiting_for_its_restart_is_not_started_while_stopping() -> None:
    with Supervised([entry("again", "raise SystemExit(1)")], policy={"first_delay_s": 0.5}) as run:
        run.until("starting it again")
        run.send(signal.SIGINT)
        assert run.wait() == 0
        assert run.text.count("ended with exit code 1") == 1
