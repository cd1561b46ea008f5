"""Pieces of fault tests of jobs: data that comes when the test says so, statuses held where they are, and what must
hold afterwards.

Nothing here reaches into the product's processes: what holds a job is its data (a FIFO in the store) or its database
(a trigger), both of which a real installation can suffer from.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import signal
import sqlite3
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import psutil
from django.db import connection

from jobs.models import TrainingJob
from jobs.runner.launch import marked_processes
from jobs.services.channels import ChannelRequest
from jobs.services.clearing import work_dir
from mlplatform.core.logs import log_download, log_read
from mlplatform.core.models import LogStream
from mlplatform.core.status import SecondaryStatus
from mlplatform.core.storage.objects import object_store
from tests.databases import writes_refused
from tests.jobs.training.cast import Cast, dataset_make, job_make, store_path
from tests.polling import wait_until

ENDED = ("Completed", "Failed", "Stopped", "MaxRuntimeExceeded")


class HeldData:
    """An object of the store of which not a byte comes before `release`. Its readers wait, and need no processor."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content = path.read_bytes()
        assert len(self._content) < 60_000, "must fit into the pipe"
        self._whole = path.with_name(f".{path.name}.whole")  # now, for there may be no room for it later
        path.rename(self._whole)
        os.mkfifo(path)
        self._pipe: int | None = os.open(path, os.O_RDWR)  # so that no reader waits in `open`

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """One reader that waits gets everything; whoever comes later finds the file as it was."""
        if self._pipe is None:
            return
        self._whole.rename(self._path)
        os.write(self._pipe, self._content)
        os.close(self._pipe)
        self._pipe = None


def held_job(cast: Cast, name: str) -> tuple[TrainingJob, HeldData]:
    """A job whose process waits for its data, in the status Training."""
    version = dataset_make(cast.alice, f"{name}-data")
    request = ChannelRequest(dataset=f"{name}-data", input_mode="Pipe")
    job = job_make(cast.alice, name, channels={"train": request})
    return job, HeldData(store_path(version.uri))


@contextlib.contextmanager
def moves_refused(*moves: tuple[TrainingJob, SecondaryStatus]) -> Iterator[None]:
    """The database refuses to write these statuses of these jobs, so that each stays in the one before."""
    rows = {
        f"refuse_{job.pk}_{status.value}": f"NEW.id = {job.pk} AND NEW.secondary_status = '{status.value}'"
        for job, status in moves
    }
    with writes_refused(rows, on="BEFORE UPDATE", table="jobs_trainingjob", message="refused by the test"):
        yield


def until(job: TrainingJob, *secondary: str, timeout_s: float = 90) -> None:
    """Waits until the job is in one of the statuses, by default in a terminal one."""

    def reached() -> bool:
        job.refresh_from_db()
        return job.secondary_status in (secondary or ENDED)

    def seen() -> str:
        events = [f"{event.attempt} {event.secondary_status}: {event.message}" for event in job.events.all()]
        return f"{job.name} is {job.secondary_status}: {events}, {log_read(stream=job.log).text[-2000:]}"

    wait_until(reached, timeout_s=timeout_s, what=seen)


def job_processes(*jobs: TrainingJob) -> list[psutil.Process]:
    """Every process of any attempt of the jobs."""
    prefixes = tuple(f"{work_dir() / job.uid}-" for job in jobs)
    return [
        process
        for process, marker in marked_processes(prefix=f"{work_dir()}/")
        if marker.startswith(prefixes)
    ]


def until_gone(processes: list[psutil.Process], *, timeout_s: float = 15) -> None:
    """Waits until none of these processes runs any more."""
    wait_until(
        lambda: not any(lives(process) for process in processes),
        timeout_s=timeout_s,
        what=lambda: f"the end of {[process for process in processes if lives(process)]}",
    )


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def fall_asleep(popen: subprocess.Popen[bytes]) -> None:
    """Stops the process between two of its transactions; within one it would hold the file, or rows."""
    for _ in range(100):
        popen.send_signal(signal.SIGSTOP)
        if not _is_locked():
            return
        popen.send_signal(signal.SIGCONT)
        time.sleep(0.05)
    raise AssertionError("the database is always locked")


def _is_locked() -> bool:
    if connection.vendor != "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'"
            )
            return bool(cursor.fetchone()[0])
    other = sqlite3.connect(str(connection.settings_dict["NAME"]), timeout=1.0, isolation_level=None)
    with contextlib.closing(other):
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
        except sqlite3.OperationalError:
            return True
    return False


def folders_of(*jobs: TrainingJob) -> list[Path]:
    """The work folders of the jobs' attempts."""
    return [folder for job in jobs for folder in work_dir().glob(f"{job.uid}-*")]


def assert_one_outcome(job: TrainingJob, *, status: str, attempt: int) -> None:
    """It has ended once, with that attempt; nothing of it is left, and its log and its model are whole."""
    job.refresh_from_db()
    lines = b"".join(log_download(stream=job.log)).splitlines()
    assert (job.status, job.attempt, job.lease_owner) == (status, attempt, ""), (job.failure, lines[-40:])
    told = [(event.attempt, event.secondary_status) for event in job.events.all()]
    assert [event for event in told if event[1] in ENDED] == [(attempt, job.secondary_status)], told
    assert [attempt for attempt, secondary in told if secondary == "Starting"] == list(
        range(1, attempt + 1)
    ), told
    begun = [line for line in lines if line.startswith(b"[attempt ")]
    assert begun == [b"[attempt %d]" % number for number in range(2, attempt + 1)], begun
    assert_log_whole(job.log)
    assert_model_whole(job)
    assert not job_processes(job)
    wait_until(lambda: not folders_of(job), what=lambda: f"the end of {folders_of(job)}")


def assert_log_whole(stream: LogStream) -> None:
    """Every chunk begins where the one before ended, in bytes and in lines, and the stream has what they have."""
    stream.refresh_from_db()
    n_bytes = n_lines = 0
    for chunk in stream.chunks.order_by("offset").iterator():
        data = bytes(chunk.data)
        assert (chunk.offset, chunk.first_line) == (n_bytes, n_lines)
        assert (chunk.n_bytes, chunk.n_lines) == (len(data), data.count(b"\n"))
        assert data.endswith(b"\n")
        n_bytes, n_lines = n_bytes + chunk.n_bytes, n_lines + chunk.n_lines
    assert (stream.n_bytes, stream.n_lines, stream.ended) == (n_bytes, n_lines, True)


def assert_model_whole(job: TrainingJob) -> None:
    """A completed job has the model that its row describes; every other has none, or a whole one too."""
    if not job.artifact_uri:
        assert job.status != "Completed"
        return
    data = object_store().get_bytes(job.artifact_uri)
    assert (len(data), hashlib.sha256(data).hexdigest()) == (job.artifact_bytes, job.artifact_sha256)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert job.manifest is not None
        assert set(archive.getnames()) == {*job.manifest["files"], "manifest.json"}
