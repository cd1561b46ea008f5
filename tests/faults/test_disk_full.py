"""Disks that are full or read-only, for real: told apart, nothing half is seen, and it goes on when there is room."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from endpoints.model_files import ModelUnavailable, model_lay_out
from endpoints.models import Model
from endpoints.services.models import model_create
from jobs.models import Dataset, TrainingJob
from jobs.runner.follow import Cause, Ending
from jobs.runner.outcome import Tail, outcome_of
from jobs.runner.pack import model_pack
from jobs.services.datasets import dataset_create_from_upload, dataset_split
from jobs.services.worker_state import WorkerState
from mlplatform.core.dispatch import dispatch_now
from mlplatform.core.env import runtime_dir
from mlplatform.core.errors import StorageFull, StorageReadOnly, TransientError
from mlplatform.core.keeping.disk_room import disk_room_forget
from mlplatform.core.people.access import access_key_create
from mlplatform.core.startup.redis import redis_process, redis_program
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import ObjectStore
from tests.contracts.job_folder import JobFolder
from tests.disks import MIB, Disk, disk_mounted
from tests.jobs.training.cast import Cast, cast_make, job_make
from tests.jobs.training.scripts import MODEL, Running, program, run
from tests.polling import wait_until
from tests.services import is_on

pytestmark = pytest.mark.slow
TABLE = b"a,b,flag\n" + b"".join(b"%d,%d,%s\n" % (n, n % 7, b"yes" if n % 2 else b"no") for n in range(40))


@dataclass(frozen=True)
class Fault:
    """A way in which a disk takes nothing, and the way back."""

    name: str
    error: type[TransientError]
    words: str
    begin: Callable[[Disk], None]
    end: Callable[[Disk], None]
    status: int


FAULTS = [
    Fault("full", StorageFull, "is full", Disk.fill, Disk.free, 507),
    Fault("read-only", StorageReadOnly, "is read-only", Disk.read_only, Disk.writable, 503),
]
both_faults = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with disk_mounted(tmp_path / "disk", size_bytes=24 * MIB) as mounted:
        yield mounted


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_make()


@pytest.fixture(autouse=True)
def no_floor(settings: Any, tmp_path: Path) -> None:
    """The disk floor would refuse long before the disk is full: here it shall be full."""
    settings.MLPLATFORM_DISK_FLOOR_BYTES = 0
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"
    disk_room_forget()


@pytest.fixture
def store_disk(disk: Disk, settings: Any) -> Disk:
    """The object store lies on the small disk."""
    (disk.path / "store").mkdir()
    settings.OBJECT_STORE_URL = f"file://{disk.path / 'store'}"
    return disk


@pytest.fixture
def data_disk(disk: Disk, settings: Any) -> Disk:
    """Staged uploads and folders of jobs lie on the small disk."""
    (disk.path / "tmp").mkdir()
    settings.DATA_DIR = disk.path
    settings.FILE_UPLOAD_TEMP_DIR = str(disk.path / "tmp")
    return disk


def _objects() -> list[str]:
    folder = object_store().folder
    assert folder is not None
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.is_file() and ".filler" not in path.parts)


# ---- the store


@both_faults
def test_a_store_that_takes_nothing_says_why_keeps_what_it_has_and_goes_on_afterwards(
    disk: Disk, fault: Fault, tmp_path: Path
) -> None:
    store = ObjectStore(f"file://{disk.path / 'store'}")
    store.put_bytes(b"old", "s3://mlplatform-1/kept")
    source = tmp_path / "source"
    source.write_bytes(b"new" * 500_000)
    fault.begin(disk)
    writes: list[Callable[[str], object]] = [
        lambda uri: store.put_file(source, uri),
        lambda uri: store.put_file(source, uri, move=True),
        lambda uri: store.put_bytes(b"new" * 500_000, uri),
        lambda uri: store.copy("s3://mlplatform-1/kept", f"{uri}-copy"),
    ]
    for write in writes:
        for address in ("s3://mlplatform-1/kept", "s3://mlplatform-1/below/new"):
            with pytest.raises(fault.error, match=f"the object store {fault.words}"):
                write(address)
    assert store.get_bytes("s3://mlplatform-1/kept") == b"old"
    assert not list(store.list("s3://mlplatform-1/below"))
    fault.end(disk)
    assert source.exists(), "what could not be stored is still there to be stored"
    store.put_file(source, "s3://mlplatform-1/kept", move=True)
    assert store.size("s3://mlplatform-1/kept") == 1_500_000
    assert [path.name for path in disk.path.rglob("*") if path.is_file()] == ["kept"]


# ---- datasets


@both_faults
def test_a_dataset_is_published_whole_or_not_at_all(store_disk: Disk, fault: Fault, cast: Cast) -> None:
    fault.begin(store_disk)
    with pytest.raises(fault.error, match="the object store"):
        dataset_create_from_upload(actor=cast.alice, name="flags", file=io.BytesIO(TABLE), label="flag")
    assert not Dataset.objects.exists() and not _objects()
    fault.end(store_disk)
    dataset_create_from_upload(actor=cast.alice, name="flags", file=io.BytesIO(TABLE), label="flag")
    kept = _objects()
    fault.begin(store_disk)
    with pytest.raises(fault.error):
        dataset_split(actor=cast.alice, name="flags", fractions={"train": 0.5, "test": 0.5})
    assert [dataset.name for dataset in Dataset.objects.all()] == ["flags"]
    fault.end(store_disk)
    assert _objects() == kept, "neither a part nor a half of one is left"
    assert len(dataset_split(actor=cast.alice, name="flags", fractions={"train": 0.5, "test": 0.5})) == 2


@both_faults
def test_an_upload_that_cannot_be_staged_is_refused_by_rest_and_by_the_page_and_leaves_nothing(
    data_disk: Disk, fault: Fault, cast: Cast
) -> None:
    fault.begin(data_disk)
    key, secret = access_key_create(user=cast.alice.user, project=cast.alice.project)
    client = Client(headers={"Authorization": f"Bearer {key.key_id}.{secret}"})
    answer = client.post("/api/v1/projects/alpha/datasets/", {"name": "flags", "file": _upload()})
    assert (answer.status_code, answer["Content-Type"]) == (fault.status, "application/problem+json")
    assert fault.words in answer.json()["detail"] and "othing has to be restarted" in answer.json()["detail"]
    assert answer["Retry-After"]
    browser = Client(enforce_csrf_checks=False)
    browser.force_login(User.objects.get(username="alice"))
    page = browser.post("/projects/alpha/datasets/+new/?from=upload", {"name": "f", "file": _upload()})
    assert page.status_code == fault.status
    assert fault.words in page.content.decode() and str(data_disk.path) not in page.content.decode()
    assert not Dataset.objects.exists()
    fault.end(data_disk)
    assert not _files(data_disk.path)
    again = client.post("/api/v1/projects/alpha/datasets/", {"name": "flags", "file": _upload()})
    assert again.status_code == 201, again.content
    assert not _files(data_disk.path / "tmp")


def test_a_disk_that_fills_up_while_a_file_is_inspected_is_no_fault_of_the_file(
    data_disk: Disk, cast: Cast
) -> None:
    """The upload finds room, its profile and the parts of a split do not."""
    table = b"a,b\n" + b"".join(b"%d,%d\n" % (n, n * 7) for n in range(200_000))
    data_disk.fill(but_bytes=len(table) + 16_384)
    with pytest.raises(StorageFull, match="the data directory is full"):
        dataset_create_from_upload(actor=cast.alice, name="wide", file=io.BytesIO(table))
    data_disk.free()
    dataset_create_from_upload(actor=cast.alice, name="wide", file=io.BytesIO(table))
    data_disk.fill(but_bytes=len(table) // 2)
    with pytest.raises(StorageFull):
        dataset_split(actor=cast.alice, name="wide", fractions={"train": 0.5, "test": 0.5})
    data_disk.free()
    assert [dataset.name for dataset in Dataset.objects.all()] == ["wide"]
    assert not _files(data_disk.path / "tmp")


def _upload() -> Any:
    file = io.BytesIO(b"a,b,flag\n" + TABLE[9:] * 4000)
    file.name = "flags.csv"
    return file


# ---- jobs


@both_faults
def test_a_model_waits_for_room_in_the_store_and_is_then_kept(
    store_disk: Disk, fault: Fault, threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    settings.MLPLATFORM_STORE_PATIENCE_S = 60
    job = job_make(threads_cast.alice, "patient")
    fault.begin(store_disk)
    running = Running(job, worker, program(tmp_path, MODEL))
    wait_until(lambda: _told(job, fault.words), timeout_s=30, what="the event that says what is waited for")
    job.refresh_from_db()
    assert (job.status, job.artifact_uri) == ("InProgress", "")
    fault.end(store_disk)
    ended = running.end()
    assert (ended.status, ended.attempt) == ("Completed", 1)
    assert object_store().size(ended.artifact_uri) == ended.artifact_bytes


def _told(job: TrainingJob, words: str) -> bool:
    return any(words in event.message for event in job.events.all())


@both_faults
def test_a_model_that_finds_no_room_fails_the_job_with_that_cause(
    store_disk: Disk, fault: Fault, threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    settings.MLPLATFORM_STORE_PATIENCE_S = 0
    job = job_make(threads_cast.alice, "unlucky")
    kept = _objects()
    fault.begin(store_disk)
    for _ in range(3):
        run(job, worker, tmp_path, MODEL)
    fault.end(store_disk)
    assert (job.status, job.artifact_uri) == ("Failed", "")
    assert job.failure is not None
    assert fault.words in job.failure["reason"] and "the object store" in job.failure["reason"]
    assert job.failure["kind"] == ("StorageFull" if fault.name == "full" else "InternalError")
    assert _objects() == kept


@both_faults
def test_a_job_whose_folder_cannot_be_made_waits_for_that(
    data_disk: Disk, fault: Fault, threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    settings.MLPLATFORM_STORE_PATIENCE_S = 60
    job = job_make(threads_cast.alice, "homeless")
    fault.begin(data_disk)
    running = Running(job, worker, program(tmp_path, MODEL))
    wait_until(lambda: _told(job, f"the job's folder {fault.words}"), timeout_s=30)
    fault.end(data_disk)
    assert running.end().status == "Completed"
    assert not _files(data_disk.path / "work")


@pytest.mark.once
def test_a_job_that_fills_its_disk_fails_with_that_cause_and_its_folder_is_cleared(
    data_disk: Disk, threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "greedy")
    checkpoint = "open('checkpoints/step-1', 'wb').write(b'x' * 40 * 2**20)"
    run(job, worker, tmp_path, f"{MODEL}\n{checkpoint}")
    assert job.status == "Failed" and job.failure is not None
    assert job.failure["kind"] == "StorageFull"
    assert "The disk of the job's folder is full" in job.failure["reason"]
    assert job.artifact_uri == "" and not _files(data_disk.path / "work")


def test_the_built_in_algorithm_tells_a_full_disk_and_leaves_no_half_model(
    disk: Disk, tmp_path: Path
) -> None:
    """Whatever part of the model finds no room: the beginning of the index, its last piece, labels or description."""
    rows = "".join(f"{n % 3},{n},{n % 97},{n % 31}\n" for n in range(20_000))
    whole = _knn_folder(tmp_path / "whole", rows).run()
    assert whole.returncode == 0, whole.err
    index, labels = (whole.model_dir / name for name in ("model_algo-1", "model_algo-1.labels"))
    index_bytes, labels_bytes = (_on_disk(path) for path in (index, labels))
    for n, room in enumerate((0, index_bytes - 4096, index_bytes, index_bytes + labels_bytes)):
        job = _knn_folder(disk.path / str(n), rows)
        disk.fill(but_bytes=room or 1)
        result = job.run()
        lines = (result.out + result.err).splitlines()
        outcome = outcome_of(
            ending=Ending(result.returncode, Cause.EXIT, 0, 0.0),
            root=job.root,
            tail=Tail(lines),
            max_runtime_s=60,
            memory_limit_bytes=0,
        )
        assert outcome.failure is not None and outcome.failure["kind"] == "StorageFull", (room, lines)
        assert not result.model_files and not (job.root / "model.partial").exists()
        disk.free()


def _knn_folder(root: Path, rows: str) -> JobFolder:
    values = {"k": "1", "predictor_type": "classifier", "sample_size": "20000"}
    return JobFolder(root=root, algorithm="knn", hyperparameters=values, channels={"train": rows}).prepare()


def _on_disk(path: Path) -> int:
    return -(-path.stat().st_size // 4096) * 4096


@pytest.mark.once
def test_packing_that_finds_no_room_waits_and_leaves_no_half_archive(
    data_disk: Disk, threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    settings.MLPLATFORM_STORE_PATIENCE_S = 60
    job = job_make(threads_cast.alice, "packed")
    weights = "import os; open('model/weights', 'wb').write(os.urandom(14 * 2**20))"
    running = Running(job, worker, program(tmp_path, weights))
    wait_until(lambda: _told(job, "the job's folder is full"), timeout_s=30)
    data_disk.resize(64 * MIB)
    ended = running.end()
    assert (ended.status, ended.attempt) == ("Completed", 1)
    assert object_store().size(ended.artifact_uri) == ended.artifact_bytes > 14 * MIB


# ---- models


@both_faults
def test_a_model_is_made_whole_or_not_at_all(
    store_disk: Disk, fault: Fault, threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    cast = threads_cast
    job = run(job_make(cast.alice, "iris"), worker, tmp_path, MODEL)
    kept = _objects()
    fault.begin(store_disk)
    with pytest.raises(fault.error, match=fault.words):
        model_create(actor=cast.alice, name="iris", training_job="iris")
    assert not Model.objects.exists()
    fault.end(store_disk)
    assert _objects() == kept
    model_create(actor=cast.alice, name="iris", training_job=job.name)


@both_faults
def test_a_model_that_cannot_be_laid_out_says_so_and_is_laid_out_afterwards(
    disk: Disk, fault: Fault, tmp_path: Path
) -> None:
    model_dir = tmp_path / "model"
    model_dir.mkdir()
    (model_dir / "weights").write_bytes(b"w" * MIB)
    packed = model_pack(model_dir=model_dir, archive=tmp_path / "model.tar.gz", facts={"algorithm": "knn"})
    store = ObjectStore(f"file://{tmp_path / 'store'}")
    stored = store.put_file(packed.path, "s3://mlplatform-1/model.tar.gz")

    def lay_out() -> Path:
        return model_lay_out(
            artifact_uri=stored.uri, sha256=stored.sha256, folder=disk.path / "r1", store=store
        )

    fault.begin(disk)
    with pytest.raises(ModelUnavailable, match=f"the folder of served models {fault.words}"):
        lay_out()
    fault.end(disk)
    disk.fill(but_bytes=MIB // 2)
    with pytest.raises(ModelUnavailable, match="is full"):
        lay_out()
    assert not _files(disk.path), "half of it would only be in the way"
    disk.free()
    assert (lay_out() / "weights").stat().st_size == MIB


# ---- the broker


@pytest.mark.skipif(is_on(), reason="about the Redis that the platform brings")
def test_a_redis_that_cannot_save_its_file_keeps_nobody_from_submitting(
    disk: Disk, threads_cast: Cast, tmp_path: Path
) -> None:
    """Ours keeps no file. One of an operator's own that does refuses every write once its disk is full."""
    argv = list(redis_process(disk.path).argv)
    assert argv[argv.index("--save") + 1] == "" and argv[argv.index("--appendonly") + 1] == "no"
    path = runtime_dir() / "redis.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = tmp_path / "redis.conf"
    config.write_text(f"port 0\nunixsocket {path}\ndir {disk.path}\nsave 1 1\n")
    with subprocess.Popen([str(redis_program()), str(config)], stdout=subprocess.DEVNULL) as redis:
        try:
            wait_until(path.exists, what="the socket of Redis")
            disk.fill()
            wait_until(
                lambda: not dispatch_now("no.task", object_id=0, queue="nobody"),
                timeout_s=60,
                every_s=0.2,
                what="a refusal of Redis for want of room",
            )
            job = job_make(threads_cast.alice, "unsent")
            assert (job.status, job.secondary_status) == ("InProgress", "Pending")
            disk.free()
            wait_until(
                lambda: dispatch_now("no.task", object_id=0, queue="nobody"), timeout_s=60, every_s=0.2
            )
        finally:
            redis.kill()
            path.unlink(missing_ok=True)
