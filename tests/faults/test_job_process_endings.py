"""Every way in which a job's process can end, told apart: kind, reason, code or signal, and what its page says."""

from __future__ import annotations

import dataclasses
import html
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse

from jobs import instance_types
from jobs.models import TrainingJob
from jobs.services.worker_state import WorkerState
from mlplatform.core.status import FailureKind
from mlplatform.web.failures import failure_cause
from tests.faults.stage import assert_one_outcome, job_processes, until_gone
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.scripts import FOREVER, MODEL, Running, program, run
from tests.polling import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.once]

TRACEBACK = """
def loss(value):
    raise ValueError(f"loss is {value}")
print("epoch 1", flush=True)
loss(float("nan"))
"""
OUT_OF_MEMORY = """
import time
print("allocating", flush=True)
blocks = []
while True:
    blocks.append(b"x" * (16 * 1024**2))
    time.sleep(0.05)
"""
CRASH = """
import ctypes
print("into native code", flush=True)
ctypes.string_at(0)
"""


@dataclass(frozen=True)
class Expected:
    """`reason` is the beginning of it; `log_tail` the last of the lines that are shown."""

    kind: FailureKind
    reason: str
    exit_code: int | None = None
    signal: str | None = None
    status: str = "Failed"
    secondary: str = "Failed"
    last_line: str | None = None


ENDINGS = {
    "SIGKILL from itself": (
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        Expected(
            FailureKind.SIGNAL,
            "The process was killed by signal 9 (SIGKILL): something outside the platform ended it",
            signal="SIGKILL",
        ),
    ),
    "SIGSEGV": (
        CRASH,
        Expected(
            FailureKind.SIGNAL,
            "The process was killed by signal 11 (SIGSEGV): it crashed in native code",
            signal="SIGSEGV",
            last_line="into native code",
        ),
    ),
    "SIGABRT": (
        "import os; os.abort()",
        Expected(
            FailureKind.SIGNAL,
            "The process was killed by signal 6 (SIGABRT): it aborted in native code",
            signal="SIGABRT",
        ),
    ),
    "exit 1 with a traceback": (
        TRACEBACK,
        Expected(
            FailureKind.EXCEPTION,
            "The process ended with exit code 1: ValueError: loss is nan",
            exit_code=1,
            last_line="ValueError: loss is nan",
        ),
    ),
    "exit 3 without a word": (
        "import os; os._exit(3)",
        Expected(
            FailureKind.EXCEPTION, "The process ended with exit code 3, and printed nothing", exit_code=3
        ),
    ),
    "exit 0 without a model": (
        "print('all done')",
        Expected(
            FailureKind.NO_MODEL,
            "The process ended with exit code 0 but wrote no file into the model folder",
            exit_code=0,
            last_line="all done",
        ),
    ),
    "exit 0 with nothing but a link for a model": (
        "import os; os.symlink('/etc/hostname', 'model/weights')",
        Expected(
            FailureKind.NO_MODEL,
            "The process ended with exit code 0 but wrote no file into the model folder",
            exit_code=0,
        ),
    ),
}


@pytest.mark.parametrize(("script", "expected"), ENDINGS.values(), ids=ENDINGS)
def test_an_ending_by_itself(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, script: str, expected: Expected
) -> None:
    _is(threads_cast, run(job_make(threads_cast.alice, "ends"), worker, tmp_path, script), expected)


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (15, "SIGTERM"), (11, "SIGSEGV")])
def test_an_ending_by_a_signal_from_outside(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, number: int, name: str
) -> None:
    """Somebody on the machine, not the platform, ends the program."""
    job = job_make(threads_cast.alice, "ended")
    running = Running(job, worker, program(tmp_path, f"import os\n{FOREVER}"))
    wait_until(lambda: job_lines(job) == ["ready"], what="the first line")
    [inner] = [
        process for process in job_processes(job) if str(tmp_path / "program.py") in process.cmdline()[1:2]
    ]
    inner.send_signal(number)
    reason = f"The process was killed by signal {number} ({name}): "
    _is(threads_cast, running.end(), Expected(FailureKind.SIGNAL, reason, signal=name, last_line="ready"))


def test_more_memory_than_the_instance_type_has(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = dataclasses.replace(instance_types.instance_type_get("ml.t3.medium"), memory_mb=200)
    monkeypatch.setitem(instance_types._BY_NAME, "ml.t3.medium", small)
    job = job_make(threads_cast.alice, "hungry", instance_type="ml.t3.medium")
    run(job, worker, tmp_path, OUT_OF_MEMORY)
    assert job.failure is not None and "its instance type has 200 MiB" in job.failure["reason"]
    expected = Expected(FailureKind.OUT_OF_MEMORY, "The job used ", signal="SIGKILL", last_line="allocating")
    _is(threads_cast, job, expected)


def test_longer_than_the_maximum_run_time(threads_cast: Cast, worker: WorkerState, tmp_path: Path) -> None:
    job = run(job_make(threads_cast.alice, "slow", max_runtime_s=1), worker, tmp_path, FOREVER)
    reason = "The job ran for its maximum run time of 1 s and was stopped"
    expected = Expected(
        FailureKind.TIME_LIMIT,
        reason,
        signal="SIGTERM",
        status="Stopped",
        secondary="MaxRuntimeExceeded",
        last_line="ready",
    )
    _is(threads_cast, job, expected)


def test_an_ending_with_a_model_is_none_of_these(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = run(job_make(threads_cast.alice, "good"), worker, tmp_path, MODEL)
    assert (job.status, job.failure) == ("Completed", None)
    assert_one_outcome(job, status="Completed", attempt=1)


def job_lines(job: TrainingJob) -> list[str]:
    from mlplatform.core.logs import log_read

    return log_read(stream=job.log).text.splitlines()


def _is(cast: Cast, job: TrainingJob, expected: Expected) -> None:
    """The row, the REST answer and the page say the same."""
    until_gone(job_processes(job))
    assert_one_outcome(job, status=expected.status, attempt=1)
    assert job.secondary_status == expected.secondary
    failure = job.failure
    assert failure is not None
    assert (failure["kind"], failure["exit_code"], failure["signal"]) == (
        expected.kind.value,
        expected.exit_code,
        expected.signal,
    ), failure
    assert failure["reason"].startswith(expected.reason), failure
    assert expected.last_line is None or failure["log_tail"][-1] == expected.last_line, failure
    assert job.events.all()[len(job.events.all()) - 1].message.endswith(failure["reason"])
    page = _page_of(cast, job)
    cause = failure_cause(expected.kind.value)
    for said in (cause.title, cause.next_step, failure["reason"], failure["signal"], expected.last_line):
        assert said is None or said in page, f"{said!r} is not on the page"


def _page_of(cast: Cast, job: TrainingJob) -> str:
    client = Client()
    client.force_login(cast.alice.user)
    url = reverse("web:training-job-detail", kwargs={"project": cast.alice.project.name, "name": job.name})
    answer = client.get(url)
    assert answer.status_code == 200
    return html.unescape(answer.content.decode())
