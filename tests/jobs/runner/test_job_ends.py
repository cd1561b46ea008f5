"""How a job ends is told, whoever ended it; and it ends with its worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from jobs.runner.control_groups import GroupLimits
from jobs.runner.follow import Cause
from jobs.runner.isolation import isolation
from jobs.runner.launch import JobProcess, marked_processes
from mlplatform.core.env import PROJECT_ROOT
from tests.jobs.runner.scripted import follow
from tests.polling import wait_until

both_ways = pytest.mark.usefixtures("either_way")

in_sandbox = pytest.mark.usefixtures("sandboxed")


@both_ways
def test_the_exit_status_and_signals_are_told_apart(tmp_path: Path) -> None:
    kinds = {
        "raise SystemExit(3)": (3, "Exception"),
        "import os; os.kill(os.getpid(), 9)": (-9, "KilledBySignal"),
        "import os; os.kill(os.getpid(), 15)": (-15, "KilledBySignal"),
        "import ctypes; ctypes.string_at(0)": (-11, "KilledBySignal"),
        "import os; os.abort()": (-6, "KilledBySignal"),
        "print('nothing')": (0, "NoModel"),
    }
    for number, (script, expected) in enumerate(kinds.items()):
        # In a group of its own the kernel says of this job alone whether it was out of memory.
        done = follow(tmp_path / str(number), script, group_limits=GroupLimits())
        assert done.outcome.failure is not None
        assert (done.ending.returncode, done.outcome.failure["kind"]) == expected, script


@in_sandbox
def test_a_signal_from_outside_is_the_jobs_end_wherever_it_strikes(tmp_path: Path) -> None:
    """An operator's kill may strike bubblewrap, the first process of the namespace, or the program."""

    def victims(process: JobProcess) -> list[int]:
        return [process.pid, psutil.Process(process.pid).children()[0].pid, process.main_pid]

    for position in range(3):
        done = follow(
            tmp_path / str(position),
            "import time; print('on', flush=True); time.sleep(600)",
            started=lambda process, position=position: os.kill(victims(process)[position], signal.SIGKILL),
        )
        assert done.ending.returncode == -9
        assert (done.ending.cause, done.outcome.status) == (Cause.EXIT, "Failed")
        assert not marked_processes(prefix=str(tmp_path / str(position)))


@both_ways
def test_the_job_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    worker = (
        "import sys\nfrom pathlib import Path\nfrom jobs.runner.workspace import Workspace\n"
        "from tests.jobs.runner.scripted import start\n"
        "workspace = Workspace(Path(sys.argv[1]))\nworkspace.make()\n"
        "process = start(workspace, sys.argv[2])\n"
        "print(process.output.readline().decode(), flush=True)\nsys.stdin.read()\n"
    )
    script = (
        "import os, sys\nfrom jobs.runner.process import parent_follow\n"
        "parent_follow(-1 if os.getppid() == 1 else os.getppid())\n"
        "import subprocess\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('on', flush=True)\nimport time\ntime.sleep(600)\n"
    )
    attempt = tmp_path / "attempt"
    process = subprocess.Popen(
        [sys.executable, "-c", worker, str(attempt), script],
        cwd=PROJECT_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    started = marked_processes(prefix=str(attempt))
    assert len(started) >= 2
    process.kill()
    process.communicate()
    first = min((each for each, _ in started), key=lambda each: each.pid)
    wait_until(lambda: not _lives(first), what="the end of the job")
    if isolation().enclosed:  # elsewhere the child of a child is found by its marker, by the next worker
        wait_until(lambda: not marked_processes(prefix=str(attempt)), what="the end of all it started")
    for each, _ in marked_processes(prefix=str(attempt)):
        each.kill()


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
