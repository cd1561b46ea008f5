"""Files of dead processes go when they are old, and what is in use or young never does."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from endpoints.server_spec import socket_folder
from jobs.models import TrainingJob
from jobs.services.lifecycle import training_job_claim
from mlplatform.core.keeping import leftovers
from mlplatform.core.keeping.leftovers import leftovers_clear
from mlplatform.core.keeping.sweeps import sweep_now
from tests.jobs.training.cast import Cast, cast_make, job_make

pytestmark = pytest.mark.django_db
DAY_S = 24 * 3600


@pytest.fixture(autouse=True)
def data_dir(settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose path is so short that its sockets lie in it."""
    folder = Path(tempfile.mkdtemp(prefix="left-"))
    settings.DATA_DIR = folder
    settings.OBJECT_STORE_URL = f"file://{folder / 'store'}"
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(folder))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def cast() -> Cast:
    return cast_make()


@pytest.fixture
def tomorrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The age of files is measured from a day and a minute later."""
    now = time.time
    monkeypatch.setattr(leftovers.time, "time", lambda: now() + DAY_S + 60)


def _left(data_dir: Path) -> list[Path]:
    """One of everything that a dead process may leave."""
    files = [
        data_dir / "tmp" / "dataset-abc" / "data",
        data_dir / "tmp" / "tmp123.upload.csv",
        data_dir / "work" / f"{'a' * 26}-1" / "model" / "half",
        data_dir / "models" / ("b" * 26) / "model" / "index",
        socket_folder(data_dir / "run" / "replicas", uid="c" * 26) / "model.sock",
        data_dir / "store" / "mlplatform-1" / "datasets" / ("d" * 26) / ".0123456789abcdef.part",
    ]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"left")
    return files


@pytest.mark.usefixtures("tomorrow")
def test_everything_that_dead_processes_leave_is_removed_and_told(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    left = _left(data_dir)
    own = [
        data_dir / "store" / "mlplatform-1" / name
        for name in ("mine.csv", ".mine.part", "0123456789abcdef.part")
    ]
    for path in own:
        path.write_bytes(b"an object")
    with caplog.at_level("INFO"):
        swept = sweep_now("leftovers")
    assert swept.detail == {
        "staging": 2,
        "work folders": 1,
        "model folders": 1,
        "replica sockets": 1,
        "half-written objects": 1,
    }
    assert not any(path.exists() for path in left) and all(path.exists() for path in own)
    assert sum("was left over and is removed" in message for message in caplog.messages) == 6
    assert sweep_now("leftovers").n_done == 0


def test_what_is_young_stays_and_so_does_a_folder_in_which_something_is(data_dir: Path) -> None:
    left = _left(data_dir)
    assert sweep_now("leftovers").n_done == 0
    assert all(path.exists() for path in left)
    # The folder is old, what is in it is not.
    os.utime(data_dir / "tmp" / "dataset-abc", (0, 0))
    assert leftovers_clear(name="staging", grace_s=DAY_S) == 0


@pytest.mark.usefixtures("tomorrow")
def test_the_folder_of_a_job_that_somebody_owns_stays(cast: Cast, data_dir: Path) -> None:
    job = job_make(cast.alice, "long")
    assert training_job_claim(job_id=job.pk, owner="w")
    mine, earlier = data_dir / "work" / f"{job.uid}-1", data_dir / "work" / f"{job.uid}-0"
    for folder in (mine, earlier):
        folder.mkdir(parents=True)
    assert leftovers_clear(name="work folders") == 1
    assert mine.is_dir() and not earlier.exists()
    TrainingJob.objects.update(lease_owner="")
    assert leftovers_clear(name="work folders") == 1


@pytest.mark.usefixtures("tomorrow")
def test_files_in_logs_are_kept_as_long_as_logs(data_dir: Path, settings: Any) -> None:
    (data_dir / "logs").mkdir()
    old, young = data_dir / "logs" / "web.log.1", data_dir / "logs" / "web.log"
    for path, days in ((old, 91), (young, 89)):
        path.write_bytes(b"line\n")
        os.utime(path, (time.time() - days * DAY_S - 2 * DAY_S,) * 2)
    settings.MLPLATFORM_KEEP_LOGS_DAYS = 92
    assert leftovers_clear(name="process logs") == 1
    assert young.exists() and not old.exists()
    settings.MLPLATFORM_KEEP_LOGS_DAYS = 0
    assert leftovers_clear(name="process logs") == 0


def test_a_place_that_cannot_be_read_does_not_hold_up_the_others(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _left(data_dir)

    def unreadable() -> Iterator[Path]:
        raise PermissionError(13, "Permission denied")
        yield

    monkeypatch.setitem(leftovers._PLACES, "staging", unreadable)
    monkeypatch.setattr(leftovers, "grace_of_files_s", lambda: -60.0)
    assert sweep_now("leftovers").n_done == 4
    assert [path.exists() for path in left] == [True, True, False, False, False, False]


def test_one_that_cannot_be_removed_does_not_hold_up_the_others(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = _left(data_dir)
    remove = leftovers._remove

    def refused(path: Path) -> None:
        if path.name == "dataset-abc":
            raise PermissionError(1, "Operation not permitted")
        remove(path)

    monkeypatch.setattr(leftovers, "_remove", refused)
    assert leftovers_clear(name="staging", grace_s=-60) == 1
    assert left[0].exists() and not left[1].exists()
