"""kill -9 at every step of a write to the store, and between the write, its name and the row that refers to it.

What is read afterwards is the old content or the new one, whole; and a row refers to nothing but complete objects.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Self

import pytest

from endpoints.model_files import model_lay_out
from endpoints.models import Model
from endpoints.services.models import model_create
from jobs.services.execution import training_job_run
from jobs.services.sweeping import sweep_owners
from jobs.services.worker_state import WorkerState
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import ObjectStore, files_below, is_staged
from tests.faults.stage import assert_log_whole, assert_model_whole
from tests.jobs.training.cast import Cast, job_make
from tests.jobs.training.processes import python_running
from tests.jobs.training.scripts import MODEL, program, run

pytestmark = pytest.mark.slow

OLD = b"old" * 100_000
NEW = b"new!" * 100_000

_WRITER = """
import json, os, signal, sys
from pathlib import Path
from mlplatform.core.storage.store import ObjectStore

store = ObjectStore(sys.argv[1])
NAMES = ("mkdir", "link", "rename", "fsync", "unlink", "sendfile", "open")

def counted(step):
    def take(*arguments, **named):
        global last
        if last == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        last -= 1
        return step(*arguments, **named)
    return take

for line in sys.stdin:
    how, address, source, last = json.loads(line)
    writes = {
        "put_file": lambda: store.put_file(Path(source), address),
        "put_file, given away": lambda: store.put_file(Path(source), address, move=True),
        "put_bytes": lambda: store.put_bytes(Path(source).read_bytes(), address),
        "copy": lambda: store.copy("s3://mlplatform-1/new", address),
    }
    child = os.fork()
    if child == 0:
        for name in NAMES:
            setattr(os, name, counted(getattr(os, name)))
        writes[how]()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""A process that writes in children of its own, each killed before its `last` call to the system."""


@pytest.mark.parametrize("how", ["put_file", "put_file, given away", "put_bytes", "copy"])
def test_an_object_is_old_or_new_and_never_half_wherever_its_writer_is_killed(
    how: str, tmp_path: Path
) -> None:
    """Before each call to the system that the write makes, one after the other, until it gets through."""
    url = f"file://{tmp_path / 'store'}"
    store = ObjectStore(url)
    store.put_bytes(NEW, "s3://mlplatform-1/new")
    with _Writer(url) as writer:
        kept = _seen_at_each_step(store, writer, how, "s3://mlplatform-1/b/kept", tmp_path / "source")
        assert set(kept) == {OLD, NEW} and len(kept) > 3
        fresh = _seen_at_each_step(store, writer, how, "s3://mlplatform-1/a/{n}/fresh", tmp_path / "source")
        assert set(fresh) == {None, NEW} and len(fresh) > len(kept), "its folders are steps too"
    names = {path.name for path, _ in files_below(tmp_path / "store") if not is_staged(path.name)}
    assert names == {"new", "kept", "fresh"}


def _seen_at_each_step(
    store: ObjectStore, writer: _Writer, how: str, pattern: str, source: Path
) -> list[bytes | None]:
    """What a reader finds after a writer was killed before its first call, its second, and so on to the last."""
    seen: list[bytes | None] = []
    for n_steps in range(60):
        address = pattern.format(n=n_steps)
        if address == pattern:
            store.put_bytes(OLD, address)
        source.write_bytes(NEW)
        is_written = writer.write(how, address, source, n_steps)
        seen.append(None if store.size(address) is None else store.get_bytes(address))
        listed = [item.uri for item in store.list(address.rpartition("/")[0])]
        assert (address in listed) is (seen[-1] is not None)
        assert not any(is_staged(Path(uri).name) for uri in listed)
        if is_written:
            assert seen[-1] == NEW
            return seen
    raise AssertionError("it never got through")


class _Writer:
    """The process of `_WRITER`."""

    def __init__(self, url: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _WRITER, url],
            cwd=PROJECT_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._popen.stdin is not None
        self._popen.communicate(timeout=30)
        assert self._popen.returncode == 0

    def write(self, how: str, address: str, source: Path, n_steps: int) -> bool:
        """Whether the write got through; otherwise its process was killed."""
        assert self._popen.stdin is not None and self._popen.stdout is not None
        self._popen.stdin.write(json.dumps([how, address, str(source), n_steps]) + "\n")
        self._popen.stdin.flush()
        code = int(self._popen.stdout.readline())
        assert code in (0, -signal.SIGKILL)
        return code == 0


def test_an_object_and_its_folder_are_on_the_disk_before_it_has_its_name(tmp_path: Path) -> None:
    """What a row refers to survives a power cut: file, then name, then the folder that holds the name."""
    trace = tmp_path / "trace.py"
    trace.write_text(_TRACED)
    done = subprocess.run(
        [sys.executable, str(trace), str(tmp_path / "store")],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    calls = done.stdout.split()
    root = calls.index("fsync:store")
    named = calls.index("rename:object")
    assert root < calls.index("fsync:bucket") < named, (
        "new folders are brought to the disk with what holds them"
    )
    assert calls.index("fsync:staged") < named < calls.index("fsync:folder"), calls


_TRACED = """
import os, sys
from pathlib import Path
from mlplatform.core.storage.store import ObjectStore, is_staged

root = Path(sys.argv[1])
store = ObjectStore(f"file://{root}")
fsync, rename = os.fsync, os.rename

def kind(path):
    path = Path(path)
    if is_staged(path.name):
        return "staged"
    names = {root: "store", root / "mlplatform-1": "bucket", root / "mlplatform-1/a": "folder"}
    return names.get(path, "object")

def fsync_told(descriptor):
    fsync(descriptor)
    print("fsync:" + kind(os.readlink(f"/proc/self/fd/{descriptor}")))

def rename_told(source, target):
    rename(source, target)
    print("rename:" + kind(target))

os.fsync, os.rename = fsync_told, rename_told
store.put_bytes(b"content", "s3://mlplatform-1/a/object")
"""


# ---- what rows refer to

_CHILD = """
import os, pathlib, signal, sys
import django
django.setup()
from django.db.models.signals import post_save
from endpoints.models import Model
from endpoints.services import models as model_services
from jobs.models import JobEvent
from jobs.services import execution
from mlplatform.core.storage.store import ObjectStore

def die(*arguments, **named):
    os.kill(os.getpid(), signal.SIGKILL)

def die_at_the_end(instance, **named):
    if instance.secondary_status == "Completed":
        die()

def then_die(function):
    def act(*arguments, **named):
        function(*arguments, **named)
        die()
    return act

def staged_only(store):
    put_file = ObjectStore.put_file
    def put(self, *arguments, **named):
        os.rename = die
        return put_file(self, *arguments, **named)
    return put

point, what, *rest = sys.argv[1:]
if point == "packed":
    ObjectStore.put_file = die
elif point == "staged":
    ObjectStore.put_file = staged_only(ObjectStore)
elif point == "stored":
    execution.training_job_finish = die
elif point == "row written":
    post_save.connect(die_at_the_end, sender=JobEvent, weak=False)
elif point == "committed":
    execution.training_job_finish = then_die(execution.training_job_finish)
elif point == "copied":
    model_services._hold_job = die
elif point == "model written":
    post_save.connect(die, sender=Model, weak=False)

if what == "attempt":
    from tests.faults.attempt import main
    main(*rest)
else:
    from django.contrib.auth.models import User
    from mlplatform.core.people.access import actor_for_user
    alice = actor_for_user(user=User.objects.get(username="alice"), project_name="alpha")
    model_services.model_create(actor=alice, name="m", training_job=rest[0])
sys.exit("the point was not reached")
"""
_POINTS = ("packed", "staged", "stored", "row written", "committed")


def test_an_attempt_killed_at_any_point_of_its_artifact_is_repeated_and_nothing_half_is_referred_to(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    jobs = {point: job_make(threads_cast.alice, point.replace(" ", "-")) for point in _POINTS}
    command = program(tmp_path, MODEL)
    with contextlib.ExitStack() as stack:
        children = {
            point: stack.enter_context(
                python_running(
                    tmp_path / f"{point}.log", "-c", _CHILD, point, "attempt", str(job.pk), *command
                )
            )
            for point, job in jobs.items()
        }
        for point, child in children.items():
            assert child.wait(120) == -signal.SIGKILL, (tmp_path / f"{point}.log").read_text()
    for point, job in jobs.items():
        job.refresh_from_db()
        ended = point == "committed"
        assert (job.status, bool(job.artifact_uri)) == ("Completed" if ended else "InProgress", ended), point
    sweep_owners()
    for point, job in jobs.items():
        assert training_job_run(job_id=job.pk, worker=worker, program=command) is (point != "committed")
        job.refresh_from_db()
        assert (job.status, job.attempt) == ("Completed", 1 if point == "committed" else 2), point
        _assert_whole(job.artifact_uri, job.artifact_sha256, job.artifact_bytes)
        assert_log_whole(job.log)
        assert_model_whole(job)


def test_a_model_killed_between_copy_and_row_is_no_model(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = run(job_make(threads_cast.alice, "iris"), worker, tmp_path, MODEL)
    for point in ("copied", "model written"):
        log = tmp_path / f"{point}.log"
        with python_running(log, "-c", _CHILD, point, "model", job.name) as child:
            assert child.wait(60) == -signal.SIGKILL, log.read_text()
        assert not Model.objects.exists()
    model = model_create(actor=threads_cast.alice, name="m", training_job=job.name)
    _assert_whole(model.artifact_uri, job.artifact_sha256, job.artifact_bytes)
    folder = model_lay_out(
        artifact_uri=model.artifact_uri,
        sha256=model.artifact_sha256,
        folder=tmp_path / "served",
        store=object_store(),
    )
    assert (folder / "weights").read_text() == "w"


def _assert_whole(address: str, sha256: str, n_bytes: int) -> None:
    content = object_store().get_bytes(address)
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, n_bytes)
