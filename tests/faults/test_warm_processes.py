"""kill -9 of a worker that has processes waiting, one of which runs a job: none is left, and the job is run again."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from jobs.runner.launch import marked_processes
from jobs.services.clearing import attempt_of, leftovers_clear, work_dir
from mlplatform.core.logs import log_read
from tests.faults.stage import assert_one_outcome, held_job, until
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import managed, worker_running
from tests.polling import wait_until

pytestmark = pytest.mark.slow


def _attempts() -> set[str]:
    """What the processes of all workers are for: names of folders of attempts, or of those that wait."""
    return {attempt_of(Path(mark).name) for _, mark in marked_processes(prefix=f"{work_dir()}/")}


def _n_waiting() -> int:
    return sum(name.startswith("warm-") for name in _attempts())


def test_a_killed_worker_leaves_none_and_its_job_is_run_again(
    threads_cast: Cast,
    redis: subprocess.Popen[bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLPLATFORM_WARM_PROCESSES", "1")
    held, data = held_job(threads_cast, "held")
    with data, managed(tmp_path / "scheduler.log", "scheduler"):
        with worker_running(tmp_path, "w1") as worker:
            until(held, "Training")
            wait_until(lambda: _n_waiting() == 1, what="one that waits, of the same kind")
            quick = job_make(threads_cast.alice, "quick")
            until(quick)
            assert_one_outcome(quick, status="Completed", attempt=1)
            second, more = held_job(threads_cast, "second")
            with more:
                until(second, "Training")
                wait_until(
                    lambda: _attempts() >= {f"{held.uid}-1", f"{second.uid}-1"} and _n_waiting() == 1,
                    what=lambda: f"one that has the job, and another: {_attempts()}",
                )
                assert [link.resolve().name for link in work_dir().glob("warm-*") if link.is_symlink()] == [
                    f"{second.uid}-1"
                ]
                leftovers_clear()
                assert _n_waiting() == 1, "who clears away for the dead leaves the living alone"
                worker.send_signal(signal.SIGKILL)
                worker.wait()
                wait_until(lambda: not _attempts(), what=lambda: f"the end of all of them: {_attempts()}")
                more.release()
        data.release()
        with worker_running(tmp_path, "w2") as worker:
            for job in (held, second):
                until(job)
                assert_one_outcome(job, status="Completed", attempt=2)
            wait_until(
                lambda: len(list(work_dir().glob("warm-*"))) == _n_waiting() == 1, what="only w2's own"
            )
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(20) == 0, (tmp_path / "w2.log").read_text()
    assert not _attempts()
    assert not list(work_dir().iterdir()), log_read(stream=held.log).text
