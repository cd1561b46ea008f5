"""Every kind of failure, told apart with a real process."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.runner.scripted import Followed, Recorder, follow


def _failure(done: Followed) -> dict[str, Any]:
    assert done.outcome.failure is not None
    return done.outcome.failure


def test_exit_0_with_a_model_is_completed(tmp_path: Path) -> None:
    done = follow(tmp_path, "open('model/weights', 'w').write('w')")
    assert (done.outcome.status, done.outcome.failure) == ("Completed", None)


def test_exit_0_without_a_model_is_named(tmp_path: Path) -> None:
    done = follow(tmp_path, "import os; os.symlink('/etc/passwd', 'model/weights')")
    assert done.outcome.status == "Failed"
    assert _failure(done)["kind"] == "NoModel"


def test_an_exception_gives_its_last_line_as_the_reason_and_its_traceback(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        for n in range(100): print("step", n)
        def inner(): raise ValueError("the width must be even")
        inner()
        """,
    )
    failure = _failure(done)
    assert failure["kind"] == "Exception"
    assert failure["reason"] == "The process ended with exit code 1: ValueError: the width must be even"
    assert failure["log_tail"][0] == "Traceback (most recent call last):"
    assert failure["log_tail"][-1] == "ValueError: the width must be even"
    assert failure["first_line"] == 101
    assert failure["exit_code"] == 1


def test_a_silent_exit_with_an_error_says_so(tmp_path: Path) -> None:
    failure = _failure(follow(tmp_path, "import os; os._exit(7)"))
    assert failure["reason"] == "The process ended with exit code 7, and printed nothing"


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (signal.SIGKILL, "SIGKILL"),
        (signal.SIGSEGV, "SIGSEGV"),
        (signal.SIGABRT, "SIGABRT"),
        (signal.SIGUSR1, "SIGUSR1"),
    ],
)
def test_a_signal_is_named(tmp_path: Path, number: int, name: str) -> None:
    done = follow(tmp_path, f"import os; os.kill(os.getpid(), {int(number)})")
    failure = _failure(done)
    assert (failure["kind"], failure["signal"], failure["exit_code"]) == ("KilledBySignal", name, None)
    assert name in failure["reason"]


def test_a_kill_from_outside_is_named(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        "import time; print('ready', flush=True); time.sleep(600)",
        started=lambda process: os.kill(process.pid, signal.SIGKILL),
    )
    assert _failure(done)["signal"] == "SIGKILL"


def test_a_sigterm_from_outside_is_no_exception_even_when_the_job_tidies_up_first(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        print('ready', flush=True)
        time.sleep(600)
        """,
        started=lambda process: os.kill(process.pid, signal.SIGTERM),
    )
    failure = _failure(done)
    assert (failure["kind"], failure["signal"], failure["exit_code"]) == ("KilledBySignal", "SIGTERM", None)
    assert "outside the platform" in failure["reason"]


def test_what_the_job_wrote_about_its_failure_is_taken_over(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import json, sys
        said = {"kind": "data_error", "message": "row 3, column 'b': not a number"}
        said |= {"row": 3, "column": "b", "value": "x"}
        json.dump(said, open("output/failure.json", "w"))
        sys.exit(1)
        """,
    )
    failure = _failure(done)
    assert (failure["kind"], failure["row"], failure["column"], failure["value"]) == (
        "DataError",
        3,
        "b",
        "x",
    )
    assert done.outcome.message == "DataError: row 3, column 'b': not a number"


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("ClientError: k must be positive", "ClientError", "k must be positive"),
        ("AlgorithmError: internal", "AlgorithmError", "internal"),
        ("something else went wrong", "Exception", "something else went wrong"),
    ],
)
def test_the_services_own_failure_file_is_understood(
    tmp_path: Path, text: str, kind: str, reason: str
) -> None:
    failure = _failure(follow(tmp_path, f"open('output/failure', 'w').write({text!r}); raise SystemExit(1)"))
    assert (failure["kind"], failure["reason"]) == (kind, reason)


@pytest.mark.parametrize(
    "mischief",
    [
        "os.mkfifo('output/failure.json')",
        "os.symlink('/etc/passwd', 'output/failure.json')",
        "open('output/failure.json', 'w').write('[' * 200000)",
        "open('output/failure.json', 'wb').write(bytes([255, 0, 1]))",
        "os.makedirs('output/failure.json')",
    ],
)
def test_a_failure_file_that_is_no_such_thing_is_not_trusted(tmp_path: Path, mischief: str) -> None:
    failure = _failure(follow(tmp_path, f"import os\n{mischief}\nraise SystemExit(3)"))
    assert (failure["kind"], failure["exit_code"]) == ("Exception", 3)
    assert "root:" not in str(failure)


def test_the_reason_is_never_longer_than_the_services(tmp_path: Path) -> None:
    failure = _failure(follow(tmp_path, "raise ValueError('x' * 5000)", recorder=Recorder()))
    assert len(failure["reason"]) == 1024
