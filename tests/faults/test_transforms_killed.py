"""kill -9 of a worker in the middle of a batch transform: nothing is left running, and the next attempt is whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from endpoints.models import TransformJob
from endpoints.services.transform_runs import attempt_folder
from endpoints.services.transforms import (
    TransformRequest,
    transform_job_create,
    transform_job_execute,
    transform_job_stop,
    transform_job_sweep,
)
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.logs import log_read
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.databases import database_url
from tests.faults.endpoint_fixtures import *  # noqa: F403
from tests.polling import wait_until

pytestmark = pytest.mark.slow
N_ROWS = 20_000
_PROGRAM = """
import sys, django
django.setup()
from endpoints.services.transforms import transform_job_execute
transform_job_execute(transform_job_id=int(sys.argv[1]))
"""


@contextmanager
def worker(job: TransformJob, data_dir: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that carries the job out, as a worker's does."""
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "mlplatform.settings",
        "MLPLATFORM_DATA_DIR": str(data_dir),
        "DATABASE_URL": database_url(),
    }
    program = [sys.executable, "-c", _PROGRAM, str(job.pk)]
    with subprocess.Popen(program, cwd=PROJECT_ROOT, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def made(actor: Actor, name: str) -> TransformJob:
    """A job of many requests, one record each."""
    address = uri(actor.project.bucket, "rows.csv")
    rows = (f"{n % 7}.{n % 10},3.5,1.4,0.2" for n in range(N_ROWS))
    object_store().put_bytes("\n".join(rows).encode(), address)
    request = TransformRequest(
        model="iris-knn",
        name=name,
        uri=address,
        batch_strategy="SingleRecord",
        join="Input",
        accept="application/jsonlines",
    )
    return transform_job_create(actor=actor, request=request)


def fresh(job: TransformJob) -> TransformJob:
    return TransformJob.objects.select_related("log").get(pk=job.pk)


def processes_of(job: TransformJob) -> list[int]:
    """Its model server and the process that sends, told by the folder of the attempt or the user that they run as."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if str(attempt_folder(job.uid, 1)) in words:
            found.append(process.info["pid"])
    return found


def test_a_killed_worker_leaves_nothing_running_and_another_finishes(alice: Actor, data_dir: Path) -> None:
    job = made(alice, "killed")
    with worker(job, data_dir) as process:
        wait_until(lambda: (fresh(job).progress.get("n_done") or 0) > 0, timeout_s=60, what="progress")
        assert processes_of(job)
        process.kill()
        process.wait()
    wait_until(lambda: not processes_of(job), timeout_s=10, what="the end of its processes")
    assert fresh(job).status == "InProgress" and not fresh(job).result_uri
    assert transform_job_sweep() == 1  # its owner is gone, so no lease is waited for
    TransformJob.objects.filter(pk=job.pk).update(batch_strategy="MultiRecord")
    assert transform_job_execute(transform_job_id=job.pk)
    done = fresh(job)
    assert (done.status, done.attempt) == ("Completed", 2), done.failure
    lines = object_store().get_bytes(done.result_uri).decode().splitlines()
    assert [line.rsplit(",", 1)[0] for line in lines] == [
        f"{n % 7}.{n % 10},3.5,1.4,0.2" for n in range(N_ROWS)
    ]
    assert (
        "attempt 1 of" in log_read(stream=done.log).text and "attempt 2 of" in log_read(stream=done.log).text
    )
    assert not attempt_folder(job.uid, 1).exists()


def test_a_job_that_runs_is_stopped_within_seconds(alice: Actor, data_dir: Path) -> None:
    job = made(alice, "stopped")
    with worker(job, data_dir) as process:
        wait_until(lambda: (fresh(job).progress.get("n_done") or 0) > 0, timeout_s=60, what="progress")
        transform_job_stop(actor=alice, name="stopped")
        wait_until(lambda: fresh(job).status == "Stopped", timeout_s=15, what="the stop")
        assert process.wait(15) == 0
    ended = fresh(job)
    assert ended.billable_s and ended.log.ended and not ended.result_uri
    assert not processes_of(job) and not attempt_folder(job.uid, 1).exists()
