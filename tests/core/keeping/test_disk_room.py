"""The disk floor, on a real disk of 16 MiB: what is refused, what waits, what goes on, and that room heals it."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from jobs.models import Dataset, TrainingJob
from jobs.runner.outcome import Outcome
from jobs.selectors.training import training_job_waiting_reason
from jobs.services.datasets import (
    dataset_create_from_sample,
    dataset_create_from_upload,
    dataset_create_from_uri,
    dataset_split,
    dataset_version_add,
)
from jobs.services.execution import training_job_run
from jobs.services.lifecycle import Artifact, training_job_claim, training_job_finish, training_job_report
from jobs.services.sweeping import Resending, sweep_pending
from jobs.services.worker_state import WorkerState
from mlplatform.api import health
from mlplatform.core import clock
from mlplatform.core.body_limit import BodyLimit
from mlplatform.core.errors import InsufficientStorage
from mlplatform.core.health.checks.disk import disk_findings, disks
from mlplatform.core.health.doctor import Level
from mlplatform.core.keeping.disk_room import FLOOR_BYTES, disk_floor_bytes, disk_room_check, disk_room_forget
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_read
from mlplatform.core.models import NodeKind
from mlplatform.core.names import uri
from mlplatform.core.nodes import node_beat
from mlplatform.core.people.access import access_key_create
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.faults import STORE, storage_full
from mlplatform.core.storage.objects import object_store
from tests.disks import MIB, Disk, disk_mounted
from tests.jobs.training.cast import Cast, cast_make, job_make

CSV = b"length,kind\n1.5,b\n3.5,a\n5,b\n"
FLOOR = 4 * MIB
COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh_look() -> Iterator[None]:
    disk_room_forget()
    yield
    disk_room_forget()


@pytest.fixture
def disk(tmp_path: Path, settings: Any) -> Iterator[Path]:
    with disk_mounted(tmp_path / "disk", size_bytes=16 * MIB) as mounted:
        folder = mounted.path
        settings.DATA_DIR = folder
        settings.FILE_UPLOAD_TEMP_DIR = str(folder)
        settings.OBJECT_STORE_URL = f"file://{folder / 'store'}"
        settings.MLPLATFORM_DISK_FLOOR_BYTES = FLOOR
        yield folder


@pytest.fixture
def cast(disk: Path) -> Cast:
    return cast_make()


def _low(disk: Path) -> Disk:
    """Takes room until the disk is below its floor, and far from full."""
    small = Disk(disk)
    small.fill(but_bytes=FLOOR - MIB)
    disk_room_forget()
    return small


def test_the_default_floor_is_a_gibibyte_or_two_percent_of_a_small_disk(settings: Any) -> None:
    settings.MLPLATFORM_DISK_FLOOR_BYTES = -1
    assert disk_floor_bytes(total_bytes=1024 * FLOOR_BYTES) == FLOOR_BYTES
    assert disk_floor_bytes(total_bytes=10 * FLOOR_BYTES) == FLOOR_BYTES * 10 // 50
    settings.MLPLATFORM_DISK_FLOOR_BYTES = 0
    assert disk_floor_bytes(total_bytes=FLOOR_BYTES) == 0


def test_below_the_floor_nothing_is_taken_in_and_nothing_is_left_of_it(cast: Cast, disk: Path) -> None:
    alice = cast.alice
    dataset_create_from_upload(actor=alice, name="flowers", file=io.BytesIO(CSV), label="kind")
    address = uri(alice.project.bucket, "mine/raw.csv")
    object_store().put_bytes(CSV, address)
    small = _low(disk)
    before = sorted(disk.rglob("*"))
    attempts: list[Any] = [
        lambda: dataset_create_from_upload(actor=alice, name="new", file=io.BytesIO(CSV)),
        lambda: dataset_create_from_uri(actor=alice, name="new", uri=address),
        lambda: dataset_create_from_sample(actor=alice, name="new", sample="iris"),
        lambda: dataset_version_add(actor=alice, name="flowers", file=io.BytesIO(CSV)),
        lambda: dataset_split(actor=alice, name="flowers", fractions={"a": 0.5, "b": 0.5}),
    ]
    for attempt in attempts:
        with pytest.raises(InsufficientStorage, match=r"3 MiB free, and 4 MiB must stay free"):
            attempt()
    assert Dataset.objects.count() == 1 and sorted(disk.rglob("*")) == before
    small.free()
    disk_room_forget()
    dataset_create_from_upload(actor=alice, name="new", file=io.BytesIO(CSV))


def test_an_upload_that_would_take_the_disk_below_the_floor_ends_there(cast: Cast, disk: Path) -> None:
    """It began with room enough; the floor is what ends it, not the end of the disk."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize

    def pieces() -> Iterator[bytes]:
        for _ in range(free // MIB):
            disk_room_forget()
            yield b"1,2\n" * (MIB // 4)

    with pytest.raises(InsufficientStorage):
        dataset_create_from_upload(actor=cast.alice, name="big", file=pieces())
    disk_room_forget()
    disk_room_check()
    assert not Dataset.objects.exists() and list((disk / "tmp").iterdir()) == []


def test_the_floor_of_the_store_counts_where_it_is_a_disk_of_its_own(
    cast: Cast, tmp_path: Path, settings: Any
) -> None:
    with disk_mounted(tmp_path / "objects", size_bytes=16 * MIB) as objects:
        settings.OBJECT_STORE_URL = f"file://{objects.path}"
        objects.fill(but_bytes=FLOOR - MIB)
        with pytest.raises(InsufficientStorage, match="the object store"):
            dataset_create_from_upload(actor=cast.alice, name="new", file=io.BytesIO(CSV))


def test_a_job_waits_with_its_reason_and_runs_when_there_is_room(cast: Cast, disk: Path) -> None:
    job = job_make(cast.alice, "waits")
    worker = WorkerState(name="w")
    small = _low(disk)
    assert not training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert (job.secondary_status, job.attempt) == (SecondaryStatus.PENDING, 0)

    _beat()
    reason = training_job_waiting_reason(job=job)
    assert reason and "3 MiB free, and 4 MiB must stay free" in reason
    TrainingJob.objects.update(created_at=clock.now().replace(year=2020))
    assert not _is_sent_again(job), "nothing is sent to a worker that takes nothing"

    small.free()
    disk_room_forget()
    _beat()
    assert _is_sent_again(job)
    assert training_job_run(job_id=job.pk, worker=worker, program=(shutil.which("true") or "true",))
    job.refresh_from_db()
    assert job.attempt == 1


def test_what_runs_goes_on_below_the_floor(cast: Cast, disk: Path) -> None:
    """Its log, metrics, artifact and outcome are written as long as the disk takes them at all."""
    job = job_make(cast.alice, "runs")
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    _low(disk)
    training_job_report(lease=lease, stream=job.log, lines=[LogLines.of("still here", 0)])
    address = uri(cast.alice.project.bucket, f"training-jobs/{job.uid}/1/output/model.tar.gz")
    stored = object_store().put_bytes(b"model", address)
    artifact = Artifact(stored.uri, stored.sha256, stored.size_bytes, {})
    training_job_finish(lease=lease, outcome=COMPLETED, artifact=artifact)
    job.refresh_from_db()
    assert (job.status, object_store().get_bytes(job.artifact_uri)) == ("Completed", b"model")
    assert log_read(stream=job.log).text == "still here\n"


def test_a_large_body_is_answered_507_before_it_is_kept(cast: Cast, disk: Path, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 0
    key, plain = access_key_create(user=cast.alice.user, project=cast.alice.project)
    secret = f"{key.key_id}.{plain}"
    assert _answered(2 * MIB, secret) == (200, 2 * MIB)
    assert _answered(13 * MIB, secret) == (507, 0), "it would take the disk below the floor"
    _low(disk)
    assert _answered(2 * MIB, secret) == (507, 0)
    assert _answered(1000, secret) == (200, 1000), "deleting and signing in must go on"


def test_rest_and_pages_say_what_to_do(cast: Cast, disk: Path, client: Client) -> None:
    _low(disk)
    client.force_login(cast.alice.user)
    answer = client.post(
        "/api/v1/projects/alpha/datasets/",
        {"name": "new", "sample": "iris"},
        content_type="application/json",
    )
    assert (answer.status_code, answer.json()["code"]) == (507, "InsufficientStorage")
    assert "Delete datasets, models and old jobs" in answer.json()["detail"]
    page = client.post("/projects/alpha/datasets/+new/?from=sample", {"name": "new", "sample": "iris"})
    assert page.status_code in {400, 507}
    assert "must stay free" in page.content.decode()


def test_home_and_health_give_the_disk_as_reason_below_the_floor(
    cast: Cast, disk: Path, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_kept", None)
    job_make(cast.alice, "waiting")
    client.force_login(cast.alice.user)
    page = client.get("/projects/alpha/").content.decode()
    assert "Nobody serves the queue cpu" in page and 'class="meter low"' not in page
    _low(disk)
    for address in ("/projects/alpha/", "/projects/alpha/workers/"):
        page = client.get(address).content.decode()
        assert "No job begins now: the disk of" in page and "Nobody serves the queue" not in page
    assert 'class="meter low"' in client.get("/projects/alpha/").content.decode()
    told = client.get("/api/v1/health/").json()
    assert told["status"] == "degraded"
    assert told["components"]["store"] | {"latency_ms": 0} == {
        "status": "degraded",
        "detail": "the disk of the object store is below its floor",
        "latency_ms": 0,
    }


def test_on_a_full_disk_the_first_remedy_is_one_that_needs_no_room(cast: Cast, disk: Path) -> None:
    Disk(disk).fill()
    disk_room_forget()
    with pytest.raises(
        InsufficientStorage, match="First enlarge that disk, or free a few MiB on it beside the platform"
    ):
        disk_room_check()
    assert "First enlarge that disk" in str(storage_full(STORE).message)
    found = next(disk_findings(disks([(disk, STORE)])[0], floor_bytes=FLOOR))
    assert found.level == Level.FAILED and found.remedy.startswith("First enlarge that disk")


def _is_sent_again(job: TrainingJob) -> bool:
    """Whether the sweeper wants the job's message sent; there is no broker here."""
    resending = Resending()
    sweep_pending(resending=resending)
    return job.pk in resending.due


def _beat() -> None:
    from jobs.management.commands.worker import _info

    node_beat(kind=NodeKind.WORKER, name="w", started_at=clock.now(), queues=["cpu"], info=_info())


def _answered(n_bytes: int, secret: str) -> tuple[int, int]:
    """Status, and how many bytes reached the application."""
    reached = 0

    async def application(scope: Any, receive: Any, send: Any) -> None:
        nonlocal reached
        reached += len((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})

    statuses: list[int] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": bytes(n_bytes), "more_body": False}

    async def send(message: Any) -> None:
        statuses.extend([message["status"]] if "status" in message else [])

    headers = {"content-length": str(n_bytes), "authorization": f"Bearer {secret}"}
    scope = {"type": "http", "headers": [(name.encode(), value.encode()) for name, value in headers.items()]}
    asyncio.run(BodyLimit(application)(scope, receive, send))
    return statuses[0], reached
