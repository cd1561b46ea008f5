"""kill -9 between storing and committing, and between committing a deletion and carrying it out: nothing half remains.

The child is a real process of ours that kills itself at an exact point of the real code.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings

from jobs.models import Dataset
from mlplatform.core import clock
from mlplatform.core.keeping.leftovers import leftovers_clear
from mlplatform.core.keeping.sweeps import sweep_now
from mlplatform.core.models import ObjectTombstone
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import files_below, is_staged
from tests.jobs.training.cast import Cast, dataset_make
from tests.jobs.training.processes import managed, python_running
from tests.polling import wait_until

pytestmark = pytest.mark.slow

_CHILD = """
import io, os, pathlib, signal, sys
import django
django.setup()
from django.contrib.auth.models import User
from django.db.models.signals import post_save, pre_save
from jobs.models import DatasetVersion
from jobs.services.datasets import dataset_create_from_upload, dataset_delete
from mlplatform.core.storage import store
from mlplatform.core.keeping import tombstones
from mlplatform.core.people.access import actor_for_user

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def after(n, function):
    "Dies at the call after so many."
    calls = []
    def counted(*arguments, **named):
        calls.append(1)
        return function(*arguments, **named) if len(calls) <= n else die()
    return counted

alice = actor_for_user(user=User.objects.get(username="alice"), project_name="alpha")
point, name = sys.argv[1:]
if point == "staged":
    pathlib.Path.rename = die
elif point == "one of two stored":
    store.ObjectStore.put_file = after(1, store.ObjectStore.put_file)
elif point == "stored":
    pre_save.connect(die, sender=DatasetVersion, weak=False)
elif point == "written":
    post_save.connect(die, sender=DatasetVersion, weak=False)
elif point == "committed":
    tombstones._take = die
elif point == "one of two deleted":
    store.ObjectStore.delete = after(1, store.ObjectStore.delete)
if "delet" in point or point == "committed":
    dataset_delete(actor=alice, name=name)
else:
    dataset_create_from_upload(actor=alice, name=name, file=io.BytesIO(b"a,b\\n1,2\\n3,4\\n"), label="b")
sys.exit("the point was not reached")
"""


def _killed_at(points: list[str], folder: Path) -> None:
    """Runs a child per point, all at once, until each has killed itself."""
    with contextlib.ExitStack() as stack:
        children: dict[str, subprocess.Popen[bytes]] = {}
        for point in points:
            log = folder / f"{point}.log"
            arguments = ("-c", _CHILD, point, point.replace(" ", "-"))
            children[point] = stack.enter_context(python_running(log, *arguments, MLPLATFORM_FACES="0"))
        for point, child in children.items():
            assert child.wait(120) == -signal.SIGKILL, (folder / f"{point}.log").read_text()


def _objects(cast: Cast) -> list[str]:
    return sorted(found.uri for found in object_store().walk(f"s3://{cast.alice.project.bucket}/datasets"))


def _half_written() -> list[Path]:
    root = object_store().folder
    assert root is not None
    return [path for path, _ in files_below(root) if is_staged(path.name)]


def test_an_upload_killed_at_any_point_is_invisible_and_leaves_nothing_in_the_end(
    threads_cast: Cast, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Path(settings.DATA_DIR) / "tmp"
    half_before = _half_written()
    _killed_at(["staged", "one of two stored", "stored", "written"], tmp_path)
    assert not Dataset.objects.exists()
    assert len(_objects(threads_cast)) == 1 + 2 + 2
    assert len(_half_written()) == len(half_before) + 1
    assert len(list(staging.glob("dataset-*"))) >= 4

    assert sweep_now("orphans").n_done == 0, "what is younger than the grace time may be under way"
    later = clock.now() + timedelta(days=2)
    monkeypatch.setattr(clock, "now", lambda: later)
    assert sweep_now("orphans").n_done == 5
    assert _objects(threads_cast) == []
    for place in ("staging", "half-written objects"):
        leftovers_clear(name=place, grace_s=-60)
    assert _half_written() == [] and list(staging.glob("dataset-*")) == []


def test_a_deletion_killed_after_its_commit_is_carried_out_by_the_scheduler(
    threads_cast: Cast, tmp_path: Path
) -> None:
    kept = dataset_make(threads_cast.alice, "kept")
    for name in ("committed", "one-of-two-deleted"):
        version = dataset_make(threads_cast.alice, name)
        object_store().put_bytes(b"{}", version.profile_uri)
    _killed_at(["committed", "one of two deleted"], tmp_path)
    assert [dataset.name for dataset in Dataset.objects.all()] == ["kept"]
    assert ObjectTombstone.objects.count() == 4
    assert len(_objects(threads_cast)) == 1 + 2 + 1
    # What a process had taken is due again when its time is up; the test does not wait for that.
    assert ObjectTombstone.objects.filter(due_at__gt=clock.now()).update(due_at=clock.now()) == 2
    with (
        managed(tmp_path / "s1.log", "scheduler", MLPLATFORM_FACES="0"),
        managed(tmp_path / "s2.log", "scheduler", MLPLATFORM_FACES="0"),
    ):
        wait_until(
            lambda: not ObjectTombstone.objects.exists(), timeout_s=60, what="the end of the tombstones"
        )
    assert _objects(threads_cast) == [kept.uri]
