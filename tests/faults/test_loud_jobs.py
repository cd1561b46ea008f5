"""A job that prints as fast as it can, whose worker is killed: no line of the log is missing, and none there twice."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from jobs.services.sweeping import sweep_owners
from jobs.services.worker_state import WorkerState
from mlplatform.core.logs import log_download
from mlplatform.core.models import LogStream
from tests.faults.stage import assert_one_outcome, until
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import python_running
from tests.jobs.training.scripts import MODEL, program, run
from tests.polling import wait_until

pytestmark = pytest.mark.slow

LINE_BYTES = 100
KILL_AFTER_BYTES = 15_000_000
SECOND_BYTES = 10_000_000
LOUD = """
import os
n = 0
def block(n_lines):
    global n
    text = "".join(f"{n + i:09d} {'x' * 89}\\n" for i in range(n_lines)).encode()
    while text:
        text = text[os.write(1, text):]
    n += n_lines
"""


def _numbers(lines: list[bytes]) -> list[int]:
    assert all(len(line) == LINE_BYTES - 1 for line in lines), "a line was cut"
    return [int(line[:9]) for line in lines]


def test_the_log_of_a_loud_job_is_whole_across_the_death_of_its_worker(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "loud")
    endless = program(tmp_path, f"{LOUD}\nwhile True: block(1000)")
    log = tmp_path / "attempt.log"
    with python_running(log, "-m", "tests.faults.attempt", str(job.pk), *endless) as attempt:
        wait_until(
            lambda: _stored(job.log) > KILL_AFTER_BYTES,
            timeout_s=120,
            what=lambda: f"{KILL_AFTER_BYTES} bytes of log, there are {_stored(job.log)}: {log.read_text()}",
        )
        attempt.send_signal(signal.SIGKILL)
        attempt.wait()
    kept = _stored(job.log)
    assert sweep_owners() == 1
    until(job, "Pending")
    n_blocks = SECOND_BYTES // LINE_BYTES // 1000
    run(job, worker, tmp_path, f"{LOUD}\nfor _ in range({n_blocks}): block(1000)\n{MODEL}")
    assert_one_outcome(job, status="Completed", attempt=2)
    whole = b"".join(log_download(stream=job.log))
    assert len(whole) == job.log.n_bytes == kept + len("[attempt 2]\n") + SECOND_BYTES
    lines = whole.split(b"\n")
    assert lines.pop() == b""
    border = lines.index(b"[attempt 2]")
    assert _numbers(lines[:border]) == list(range(kept // LINE_BYTES))
    assert _numbers(lines[border + 1 :]) == list(range(SECOND_BYTES // LINE_BYTES))


def _stored(stream: LogStream) -> int:
    return LogStream.objects.values_list("n_bytes", flat=True).get(pk=stream.pk)
