"""Workers, scheduler and Redis as processes: delivery at once, and work that survives the loss of each of them."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jobs.models import TrainingJob
from jobs.services.clearing import work_dir
from jobs.services.lifecycle import TASK
from jobs.services.training import training_job_stop
from mlplatform.core import clock
from mlplatform.core.broker import app
from mlplatform.core.logs import log_read
from mlplatform.core.models import Node
from tests.faults.stage import held_job
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import managed, redis_running, worker_running
from tests.polling import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with redis_running(tmp_path) as popen:
        yield popen


def _until(job: TrainingJob, *secondary: str, timeout_s: float = 60) -> None:
    def reached() -> bool:
        job.refresh_from_db()
        return job.secondary_status in secondary

    def seen() -> str:
        return f"{job.name} is {job.secondary_status} and not {secondary}: {log_read(stream=job.log).text[-2000:]}"

    wait_until(reached, timeout_s=timeout_s, what=seen)


def _job_processes() -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if any(argument.startswith(str(work_dir())) for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_an_idle_worker_takes_a_job_at_once(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with worker_running(tmp_path):
        _until(job_make(threads_cast.alice, "warm-up"), "Completed", "Failed")
        job = job_make(threads_cast.alice, "quick")
        _until(job, "Completed", "Failed")
        events = {event.secondary_status: event.at for event in job.events.all()}
        assert events["Starting"] - job.created_at < timedelta(seconds=1)
        lines = log_read(stream=job.log)
        assert lines.line_times_ms[0] / 1000 - job.created_at.timestamp() < 3
    assert not Node.objects.exists(), "the worker takes its heartbeat back when it ends in order"


def test_a_worker_imports_no_library_that_computes(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with worker_running(tmp_path) as popen:
        _until(job_make(threads_cast.alice, "one"), "Completed", "Failed")
        mapped = Path(f"/proc/{popen.pid}/maps").read_text()
    assert not [
        name for name in ("numpy", "pyarrow", "faiss", "sklearn", "scipy", "libgomp") if name in mapped
    ]


def test_a_message_delivered_many_times_runs_the_job_once(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "often")
    for _ in range(30):
        app.send_task(TASK, args=[job.pk], queue="cpu", retry=False)
    with worker_running(tmp_path, "w1"), worker_running(tmp_path, "w2"):
        _until(job, "Completed", "Failed")
        other = job_make(threads_cast.alice, "after")
        _until(other, "Completed", "Failed")
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("Completed", 1)
    assert [event.secondary_status for event in job.events.all()].count("Starting") == 1


def test_messages_that_the_broker_lost_are_sent_again(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "unheard")
    with app.connection_for_write() as broker:
        broker.default_channel.client.flushall()
    with worker_running(tmp_path), managed(tmp_path / "scheduler.log", "scheduler"):
        _until(job, "Completed", "Failed")
    assert job.attempt == 1


def test_a_job_submitted_while_the_broker_is_away_runs_when_it_is_back(
    threads_cast: Cast, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "early")
    with redis_running(tmp_path), worker_running(tmp_path), managed(tmp_path / "scheduler.log", "scheduler"):
        _until(job, "Completed", "Failed")


def test_the_job_of_a_killed_worker_ends_with_it_and_is_run_again(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job, data = held_job(threads_cast, "orphan")
    with data, worker_running(tmp_path, "w1") as popen:
        _until(job, "Training")
        wait_until(lambda: bool(_job_processes()), what="the job process")
        popen.send_signal(signal.SIGKILL)
        popen.wait()
        wait_until(lambda: not _job_processes(), what="the end of the job process")
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))
    with managed(tmp_path / "scheduler.log", "scheduler"), worker_running(tmp_path, "w2"):
        _until(job, "Completed", "Failed")
    assert (job.status, job.attempt) == ("Completed", 2)
    statuses = [event.secondary_status for event in job.events.all()]
    assert statuses.index("Interrupted") < len(statuses) - 1 - statuses[::-1].index("Starting")


def test_a_worker_that_is_asked_to_end_gives_its_job_to_another(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job, data = held_job(threads_cast, "handed-on")
    with data, worker_running(tmp_path, "w1") as popen:
        _until(job, "Training")
        wait_until(lambda: bool(_job_processes()), what="the job process")
        popen.send_signal(signal.SIGTERM)
        assert popen.wait(15) == 0, (tmp_path / "w1.log").read_text()
    assert not _job_processes()
    job.refresh_from_db()
    assert (job.status, job.secondary_status, job.lease_owner) == ("InProgress", "Pending", "")
    with managed(tmp_path / "scheduler.log", "scheduler"), worker_running(tmp_path, "w2"):
        _until(job, "Completed", "Failed")
    assert (job.status, job.attempt) == ("Completed", 2)


def test_a_stop_ends_the_process_within_seconds(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    job, data = held_job(threads_cast, "stopped")
    with data, worker_running(tmp_path):
        _until(job, "Training")
        wait_until(lambda: bool(_job_processes()), what="the job process")
        training_job_stop(actor=threads_cast.alice, name="stopped")
        _until(job, "Stopped", "Completed", timeout_s=40)
        assert job.status == "Stopped"
        assert not _job_processes()
