"""Redis flushed, hung and stopped for a minute, with jobs running, waiting and created meanwhile.

The message is a hint and the row is the truth: every job runs exactly once, nobody who creates one waits for Redis,
and neither worker nor scheduler has to be started again.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.models import TrainingJob
from mlplatform.core.broker import app
from mlplatform.core.models import Node
from tests.faults.stage import HeldData, assert_one_outcome, held_job, job_processes, until
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import managed, redis_running, worker_running
from tests.polling import wait_until

pytestmark = [pytest.mark.slow]

CREATE_WITHIN_S = 10.0
HUNG_S = 12.0
AWAY_S = 60.0
"""From the moment at which it hangs."""


@contextlib.contextmanager
def busy_worker(
    cast: Cast, folder: Path, name: str
) -> Iterator[tuple[list[tuple[TrainingJob, HeldData]], subprocess.Popen[bytes]]]:
    """A scheduler, and a worker both of whose places are taken by jobs that wait for their data."""
    with contextlib.ExitStack() as stack:
        running = [held_job(cast, f"{name}-running-{n}") for n in range(2)]
        for _, data in running:
            stack.enter_context(data)
        stack.enter_context(managed(folder / "scheduler.log", "scheduler"))
        worker = stack.enter_context(worker_running(folder, name))
        for job, _ in running:
            until(job, "Training")
            wait_until(lambda job=job: bool(job_processes(job)), what="the job process")  # type: ignore[misc]
        yield running, worker


def create(cast: Cast, name: str) -> TrainingJob:
    """A job, whose creator has the answer at once, whatever the broker does."""
    begun = time.monotonic()
    job = job_make(cast.alice, name)
    assert time.monotonic() - begun < CREATE_WITHIN_S
    return job


def test_jobs_of_a_flushed_broker_run_all_the_same(
    threads_cast: Cast, redis: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    with busy_worker(threads_cast, tmp_path, "flushed") as (running, worker):
        waiting = [create(threads_cast, f"waiting-{n}") for n in range(3)]
        with app.connection_for_write() as broker:
            client = broker.default_channel.client
            assert client.llen("cpu") >= len(waiting)
            client.flushall()
        created = create(threads_cast, "created-after")
        for _, data in running:
            data.release()
        jobs = [job for job, _ in running] + waiting + [created]
        for job in jobs:
            until(job)
        assert worker.poll() is None
    for job in jobs:
        assert_one_outcome(job, status="Completed", attempt=1)


def test_jobs_outlive_a_minute_without_broker(threads_cast: Cast, tmp_path: Path) -> None:
    """It hangs at first, then it is gone; one that knows nothing comes back a minute later."""
    with contextlib.ExitStack() as stack:
        with redis_running(tmp_path) as redis:
            running, worker = stack.enter_context(busy_worker(threads_cast, tmp_path, "away"))
            (first, first_data), (second, second_data) = running
            jobs = [first, second, create(threads_cast, "waiting")]
            redis.send_signal(signal.SIGSTOP)
            hung_at = time.monotonic()
            jobs.append(create(threads_cast, "while-it-hangs"))
            first_data.release()
            until(first)
            wait_until(lambda: time.monotonic() - hung_at > HUNG_S, timeout_s=2 * HUNG_S)
        jobs.append(create(threads_cast, "while-it-is-gone"))
        second_data.release()
        until(second)
        wait_until(lambda: time.monotonic() - hung_at > AWAY_S, timeout_s=2 * AWAY_S, every_s=0.5)
        assert all(job.secondary_status == "Pending" for job in jobs[2:])
        assert worker.poll() is None and Node.objects.filter(name="away", pid=worker.pid).exists()
        with redis_running(tmp_path):
            for job in jobs:
                until(job)
            jobs.append(create(threads_cast, "afterwards"))
            until(jobs[-1])
            assert worker.poll() is None
    for job in jobs:
        assert_one_outcome(job, status="Completed", attempt=1)
