"""Following real processes: output, limits, orders, and that nothing of a job outlives it."""

from __future__ import annotations

import re
from pathlib import Path

import psutil
import pytest

from jobs.runner.follow import Cause
from jobs.runner.launch import marked_processes
from tests.jobs.runner.scripted import Recorder, follow, order_when_printed

MIB = 1024**2
both_ways = pytest.mark.usefixtures("either_way")


def test_output_of_both_streams_arrives_line_by_line(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import sys
        print("one"); print("two", file=sys.stderr, flush=True); print("drei ä 日本"); sys.stdout.write("no newline")
        """,
    )
    assert done.lines == ["one", "two", "drei ä 日本", "no newline"]
    assert (done.ending.returncode, done.ending.cause) == (0, Cause.EXIT)


@both_ways
def test_the_environment_holds_only_what_the_job_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPLATFORM_SECRET_KEY", "hush")
    monkeypatch.setenv("DATABASE_URL", "postgres://hush")
    done = follow(tmp_path, "import os\nfor name, value in sorted(os.environ.items()): print(name, value)")
    names = {line.split()[0] for line in done.lines}
    assert "hush" not in "\n".join(done.lines)
    assert {"GIVEN", "PATH", "TRAINING_JOB_NAME", "MLPLATFORM_JOB_PROCESS"} <= names
    assert not names & {"DATABASE_URL", "DJANGO_SETTINGS_MODULE", "MLPLATFORM_DATA_DIR"}


def test_an_endless_line_is_cut_with_a_notice_and_does_not_grow_our_memory(tmp_path: Path) -> None:
    before = psutil.Process().memory_info().rss
    done = follow(
        tmp_path,
        """
        import sys
        for _ in range(100):
            sys.stdout.write("x" * 1_000_000)
        print(); print("after")
        """,
    )
    first, second = done.lines
    assert re.fullmatch(r"x{65536} \[line cut here: 99,934,464 more bytes left out\]", first)
    assert second == "after"
    assert psutil.Process().memory_info().rss - before < 50 * MIB


def test_bytes_that_are_no_text_are_replaced(tmp_path: Path) -> None:
    done = follow(tmp_path, r"import os; os.write(1, b'a\xff\xfeb\x00c\n')")
    assert done.lines == ["a\ufffd\ufffdb\x00c"]


def test_a_full_sink_holds_the_process_up_and_nothing_is_lost(tmp_path: Path) -> None:
    class Narrow(Recorder):
        n_asked = 0

        @property
        def full(self) -> bool:  # type: ignore[override]
            self.n_asked += 1
            return self.n_asked % 3 != 0

        @full.setter
        def full(self, value: bool) -> None: ...

    done = follow(tmp_path, "for n in range(20000): print(n, 'x' * 30)", recorder=Narrow())
    assert len(done.lines) == 20000


@both_ways
def test_a_stop_asks_first_and_the_process_may_save_its_work(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import pathlib, signal, sys, time
        def end(*_):
            pathlib.Path("model/weights").write_text("w"); print("saved", flush=True); sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        print("ready", flush=True)
        while True: time.sleep(0.05)
        """,
        recorder=Recorder(order_when_printed("ready", Cause.STOP)),
    )
    assert done.lines == ["ready", "saved"]
    assert (done.ending.cause, done.ending.returncode) == (Cause.STOP, 0)
    assert done.outcome.status == "Stopped"
    assert done.outcome.may_have_model


@both_ways
def test_a_process_that_ignores_the_stop_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import signal, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("ready", flush=True)
        while True: time.sleep(0.05)
        """,
        recorder=Recorder(order_when_printed("ready", Cause.STOP)),
        grace_s=0.5,
    )
    assert (done.ending.cause, done.ending.returncode) == (Cause.STOP, -9)
    assert 0.4 < done.ending.runtime_s < 5


@both_ways
def test_children_that_left_the_session_and_ignore_signals_are_gone_too(tmp_path: Path) -> None:
    seen: list[int] = []
    done = follow(
        tmp_path,
        """
        import os, signal, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if os.fork() == 0:                 # a child
            if os.fork() == 0:             # a grandchild, in a session of its own
                os.setsid()
                if os.fork():
                    os._exit(0)
            os.write(1, b"child\\n")
            while True: time.sleep(0.05)
        while True: time.sleep(0.05)
        """,
        recorder=Recorder(
            lambda lines: seen.extend(_alive(tmp_path)) or Cause.STOP if len(lines) >= 2 else None
        ),
        grace_s=0.3,
    )
    assert done.lines == ["child", "child"]
    assert len(set(seen)) >= 3
    assert not _alive(tmp_path)


@both_ways
def test_children_left_behind_by_a_process_that_ended_well_are_ended(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import subprocess, sys
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
        """,
    )
    assert done.ending.returncode == 0
    assert done.ending.runtime_s < 20
    assert not _alive(tmp_path)


def test_the_maximum_run_time_stops_the_job_and_says_so(tmp_path: Path) -> None:
    done = follow(tmp_path, "import time; time.sleep(600)", max_runtime_s=1)
    assert (done.outcome.status, done.outcome.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    assert done.outcome.failure is not None
    assert done.outcome.failure["kind"] == "TimeLimit"
    assert "1 s" in done.outcome.failure["reason"]


@both_ways
def test_memory_over_the_limit_of_all_processes_together_ends_the_job(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import os, time
        os.fork()
        block = bytearray(os.urandom(1)) * (150 * 1024 * 1024)
        while True: time.sleep(0.05)
        """,
        memory_bytes=200 * MIB,
    )
    assert done.ending.cause is Cause.MEMORY_LIMIT
    assert done.outcome.failure is not None
    assert done.outcome.failure["kind"] == "OutOfMemory"
    assert "its instance type has 200 MiB" in done.outcome.failure["reason"]


@both_ways
def test_memory_shared_by_forked_processes_is_counted_once(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        """
        import os, pathlib, time
        block = b"x" * (150 * 1024 * 1024)
        children = []
        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                sum(block[::4096]); time.sleep(3); os._exit(0)
            children.append(pid)
        for pid in children: os.waitpid(pid, 0)
        pathlib.Path("model/weights").write_text("w")
        """,
        memory_bytes=300 * MIB,
    )
    assert done.outcome.status == "Completed", done.outcome
    assert done.ending.peak_memory_bytes > 150 * MIB


@both_ways
def test_an_attempt_that_lost_its_lease_is_killed_at_once(tmp_path: Path) -> None:
    done = follow(
        tmp_path,
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\nprint('ready', flush=True)\ntime.sleep(600)",
        recorder=Recorder(order_when_printed("ready", Cause.LOST)),
        grace_s=60,
    )
    assert (done.ending.cause, done.ending.returncode) == (Cause.LOST, -9)
    assert done.ending.runtime_s < 10


def test_an_order_that_comes_after_the_end_changes_nothing(tmp_path: Path) -> None:
    """The process has ended when its last line is read, and the follower asks for orders afterwards."""
    for n in range(20):
        done = follow(
            tmp_path / str(n),
            "import pathlib; pathlib.Path('model/w').write_text('w'); print('end', flush=True)",
            recorder=Recorder(order_when_printed("end", Cause.STOP)),
        )
        assert (done.ending.cause, done.outcome.status) in {
            (Cause.EXIT, "Completed"),
            (Cause.STOP, "Stopped"),
        }
        assert (done.ending.cause is Cause.EXIT) == (done.outcome.status == "Completed")


def _alive(folder: Path) -> list[int]:
    """The processes of the job in `folder`, told by their marker wherever they are."""
    return [
        process.pid
        for process, _ in marked_processes(prefix=str(folder))
        if process.status() != psutil.STATUS_ZOMBIE
    ]


@both_ways
def test_whatever_we_stumble_over_nothing_goes_on_running(tmp_path: Path) -> None:
    class Broken(Recorder):
        def order(self) -> Cause | None:
            if self.lines:
                raise RuntimeError("the database said something unheard of")
            return None

    started: list[int] = []
    with pytest.raises(RuntimeError, match="unheard of"):
        follow(
            tmp_path,
            "import time\nprint('here', flush=True)\ntime.sleep(60)",
            recorder=Broken(),
            started=lambda process: started.append(process.pid),
        )
    assert not psutil.pid_exists(started[0])
