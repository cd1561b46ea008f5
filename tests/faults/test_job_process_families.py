"""Jobs that start processes, hide them and ignore SIGTERM: nothing of a job outlives it, however it ends."""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.models import TrainingJob
from jobs.runner.control_groups import place_find
from jobs.runner.follow import Limits
from jobs.runner.isolation import isolation
from jobs.services import execution
from jobs.services.clearing import leftovers_clear
from jobs.services.sweeping import sweep_owners
from jobs.services.training import training_job_stop
from jobs.services.worker_state import WorkerState
from mlplatform.core.logs import log_read
from tests.faults.stage import assert_one_outcome, folders_of, job_processes, lives
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import python_running
from tests.jobs.training.scripts import Running, program
from tests.polling import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.once]

GONE_WITHIN_S = 20.0
"""From the end of the first process to the recorded outcome, with everything else gone: seconds, not minutes."""

FAMILY = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
token = sys.argv[1]
def stay():
    while True: time.sleep(0.05)
if os.fork() == 0:            # a child
    stay()
if os.fork() == 0:            # a grandchild without a parent, in a session of its own
    os.setsid()
    if os.fork() == 0:
        stay()
    os._exit(0)
os.wait()
sleeper = [sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(86400)", token]
subprocess.Popen(sleeper, start_new_session=True)
"""
FORGETFUL = """
silent = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
daemon = "import subprocess, sys; subprocess.Popen(sys.argv[1:], env={}, start_new_session=True)"
subprocess.run([sys.executable, "-c", daemon, *sleeper], env={}, start_new_session=True, check=True, **silent)
"""
"""A daemon without any of its environment: only a process namespace or control group still knows whose it is."""

BOMB = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
n = 0
for _ in range(200):
    try:
        if os.fork() == 0:
            if n % 2: os.setsid()
            while True: time.sleep(0.2)
        n += 1
    except BlockingIOError:   # a limit on processes
        break
"""
READY = 'print("ready", flush=True)\n'
STAY = f"{READY}while True: time.sleep(0.05)\n"
END = f"open('model/weights', 'w').write('w')\n{READY}sys.exit(0)\n"
"""The first process ends well and leaves everybody else behind."""


@pytest.fixture(params=["off", "auto"])
def sandbox(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Without a sandbox, and with the one that this machine has."""
    monkeypatch.setenv("MLPLATFORM_SANDBOX", request.param)
    return str(request.param)


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ignores SIGTERM has 30 seconds; here one."""
    monkeypatch.setattr(execution, "Limits", functools.partial(Limits, grace_s=1.0))


@pytest.fixture
def token(tmp_path: Path) -> Iterator[str]:
    """In the arguments of every process of the job; whoever is still there after a failed test is ended."""
    token = f"token-{tmp_path.name}-{time.time_ns()}"
    yield token
    for process in named(token):
        process.kill()


def named(token: str) -> list[psutil.Process]:
    """The live processes with the token among their arguments, but not this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if token in process.cmdline() and lives(process):
                found.append(process)
        except psutil.Error:
            continue
    return found


def family(end: str) -> str:
    return FAMILY + (FORGETFUL if _keeps_daemons() else "") + end


def _keeps_daemons() -> bool:
    """Whether even daemons that forgot everything are known as the job's."""
    return isolation().enclosed or place_find() is not None


def _until_ready(job: TrainingJob, token: str, n_least: int) -> list[psutil.Process]:
    def ready() -> bool:
        return "ready" in log_read(stream=job.log).text and len(named(token)) >= n_least

    wait_until(ready, timeout_s=60, what=lambda: f"{n_least} processes: {log_read(stream=job.log).text}")
    return named(token)


@pytest.mark.parametrize(("script", "n_least"), [(FAMILY, 4), (BOMB, 200)], ids=["family", "200 processes"])
def test_a_stop_ends_all_that_a_job_started_and_hid(
    threads_cast: Cast,
    worker: WorkerState,
    tmp_path: Path,
    token: str,
    sandbox: str,
    short_grace: None,
    script: str,
    n_least: int,
) -> None:
    job = job_make(threads_cast.alice, "many")
    text = family(STAY) if script is FAMILY else script + STAY
    running = Running(job, worker, [*program(tmp_path, text), token])
    assert len(_until_ready(job, token, n_least)) >= n_least
    training_job_stop(actor=threads_cast.alice, name="many")
    asked_at = time.monotonic()
    running.end()
    assert not named(token)
    assert time.monotonic() - asked_at < 1.0 + GONE_WITHIN_S
    assert_one_outcome(job, status="Stopped", attempt=1)


@pytest.mark.parametrize("script", [FAMILY, BOMB], ids=["family", "200 processes"])
def test_a_normal_end_ends_all_that_a_job_left_behind(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, token: str, sandbox: str, script: str
) -> None:
    job = job_make(threads_cast.alice, "many")
    text = family(END) if script is FAMILY else script + END
    begun = time.monotonic()
    Running(job, worker, [*program(tmp_path, text), token]).end()
    assert not named(token)
    assert time.monotonic() - begun < 30 + GONE_WITHIN_S
    assert_one_outcome(job, status="Completed", attempt=1)


def test_what_a_dead_worker_s_job_hid_is_ended_by_the_next_worker(
    threads_cast: Cast, tmp_path: Path, token: str, sandbox: str
) -> None:
    """With a sandbox it ends with the worker; else it is found by the mark that it carries, or by its group."""
    job = job_make(threads_cast.alice, "orphans")
    script = program(tmp_path, family(STAY))
    log = tmp_path / "attempt.log"
    with python_running(log, "-m", "tests.faults.attempt", str(job.pk), *script, token) as attempt:
        assert len(_until_ready(job, token, 5)) >= 5, "the attempt's own process has the token too"
        attempt.send_signal(signal.SIGKILL)
        attempt.wait()
    if isolation().enclosed:
        _until_none(token)
    assert sweep_owners() == 1
    leftovers_clear()
    _until_none(token)
    assert not job_processes(job) and not folders_of(job)
    job.refresh_from_db()
    assert (job.secondary_status, job.attempt) == ("Pending", 1)


def _until_none(token: str) -> None:
    wait_until(lambda: not named(token), timeout_s=GONE_WITHIN_S, what=lambda: f"the end of {named(token)}")
