"""Job processes that are started before their jobs: what a job sees of it (nothing), and what is left of them."""

from __future__ import annotations

import contextlib
import errno
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from jobs.keeping import work_folders
from jobs.models import TrainingJob
from jobs.runner.control_groups import GroupLimits, control_groups_found
from jobs.runner.launch import GROUP_PREFIX, marked_processes
from jobs.runner.warm_process import PREFIX, WarmKind, WarmProcess, warm_name_has_owner
from jobs.runner.workspace import Workspace
from jobs.services.clearing import attempt_dir, earlier_attempts_clear, leftovers_clear, work_dir
from jobs.services.execution import training_job_run
from jobs.services.warm_processes import WarmProcesses
from jobs.services.worker_state import WorkerState
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.logs import log_read
from tests.jobs.training.cast import Cast, job_make
from tests.polling import wait_until
from tests.sandboxes import either_way  # noqa: F401  a fixture

KIND = WarmKind("knn", 1, GroupLimits())


@pytest.fixture
def warm() -> Iterator[WarmProcesses]:
    with contextlib.closing(WarmProcesses(n_per_kind=1)) as pool:
        yield pool
    assert not traces()
    assert not [path for path in work_dir().glob("*") if path.name.startswith(PREFIX)]


def traces() -> list[psutil.Process]:
    return [process for process, _ in marked_processes(prefix=f"{work_dir()}/")]


def _marks() -> set[str]:
    return {mark for _, mark in marked_processes(prefix=f"{work_dir()}/")}


def _ready(pool: WarmProcesses, n: int = 1) -> None:
    wait_until(lambda: len(pool.kinds()) == n, what=lambda: f"{n} waiting: {pool.kinds()}")


def _ran(job: TrainingJob, worker: WorkerState, pool: WarmProcesses | None) -> str:
    """Its log without its name and numbers."""
    assert training_job_run(job_id=job.pk, worker=worker, warm=pool)
    job.refresh_from_db()
    text = log_read(stream=job.log).text
    assert job.status == "Completed", text
    return re.sub(r"\d+(\.\d+)?(e-?\d+)?", "N", text.replace(job.name, "NAME"))


def test_a_job_in_a_process_that_waited_for_it_is_like_any_other(
    threads_cast: Cast,
    worker: WorkerState,
    warm: WarmProcesses,
    either_way: str,  # noqa: F811
) -> None:
    cold = _ran(job_make(threads_cast.alice, "job-1"), worker, None)
    assert _ran(job_make(threads_cast.alice, "job-2"), worker, warm) == cold, "there was none yet: a new one"
    _ready(warm)
    pid = warm.pid_of(warm.kinds()[0])
    job = job_make(threads_cast.alice, "job-3")
    assert _ran(job, worker, warm) == cold
    assert not psutil.pid_exists(pid), "it serves one job"
    assert not attempt_dir(uid=job.uid, attempt=1).exists()
    assert job.final_metrics["test:accuracy"] == 1.0
    manifests = [TrainingJob.objects.get(name=name).manifest for name in ("job-1", "job-3")]
    assert manifests[0] is not None and manifests[1] is not None
    assert manifests[0]["files"] == manifests[1]["files"], "the models are the same, byte for byte"


def test_one_that_died_while_it_waited_is_passed_over(
    threads_cast: Cast, worker: WorkerState, warm: WarmProcesses
) -> None:
    _ran(job_make(threads_cast.alice, "first"), worker, warm)
    _ready(warm)
    psutil.Process(warm.pid_of(warm.kinds()[0])).kill()
    _ran(job_make(threads_cast.alice, "second"), worker, warm)


def test_what_has_to_be_known_before_the_first_import_makes_a_kind_of_its_own(
    threads_cast: Cast, worker: WorkerState, warm: WarmProcesses
) -> None:
    _ran(job_make(threads_cast.alice, "plain"), worker, warm)
    _ready(warm)
    changes = [{"environment": {"MY_FLAG": "on"}}, {"instance_type": "ml.m5.large"}]
    for n, change in enumerate(changes, 2):
        _ran(job_make(threads_cast.alice, f"job-{n}", **change), worker, warm)
        _ready(warm, n)
    kinds = warm.kinds()
    assert len(set(kinds)) == 3
    assert kinds[1].given == (("MY_FLAG", "on"),)
    assert kinds[2].limits.memory_bytes == 8192 * 2**20


def test_it_has_the_variables_of_its_kind_from_its_start_and_none_of_the_platforms(tmp_path: Path) -> None:
    process = WarmProcess(WarmKind("pca", 3, GroupLimits(), given=(("MY_FLAG", "on"),)), tmp_path)
    environ = Path(f"/proc/{process.process.main_pid}/environ")
    try:
        wait_until(lambda: b"TRAINING_JOB_NAME" in environ.read_bytes(), what="its start")
        seen = dict(item.split("=", 1) for item in environ.read_text().split("\0") if item)
    finally:
        process.end()
    assert (seen["MY_FLAG"], seen["PYTHONSAFEPATH"], seen["TRAINING_JOB_NAME"]) == ("on", "1", "")
    assert not [name for name in seen if "SECRET" in name or "DATABASE" in name]
    assert not list(tmp_path.iterdir())


def test_kinds_that_are_not_used_end_and_there_are_never_many(tmp_path: Path) -> None:
    kinds = [WarmKind("pca", 1, GroupLimits(), given=(("N", str(n)),)) for n in range(3)]
    with contextlib.closing(WarmProcesses(n_per_kind=1, n_most=2)) as pool:
        for kind in kinds:
            assert pool.take(kind) is None
            wait_until(lambda kind=kind: kind in pool.kinds(), what="one of the kind")  # type: ignore[misc]
        assert sorted(pool.kinds(), key=kinds.index) == kinds[1:], "the one used longest ago gave way"
    with contextlib.closing(WarmProcesses(n_per_kind=1, idle_s=0.3)) as pool:
        assert pool.take(KIND) is None
        _ready(pool, 1)
        _ready(pool, 0)
        wait_until(lambda: not traces(), what="the end of the one that was not used")
    with contextlib.closing(WarmProcesses(n_per_kind=0)) as pool:
        assert pool.take(KIND) is None
        assert not pool.kinds()


def test_what_waits_for_a_living_worker_is_no_leftover(db: None, warm: WarmProcesses) -> None:
    assert warm.take(KIND) is None
    _ready(warm)
    leftovers_clear()
    assert not [path for path in work_folders() if path.name.startswith(PREFIX)]
    taken = warm.take(KIND)
    assert taken is not None
    assert taken.waits
    taken.end()


WORKER = """
import os, sys, time
from pathlib import Path
from jobs.runner.control_groups import GroupLimits
from jobs.runner.spec import ChannelSpec, JobSpec
from jobs.runner.warm_process import WarmKind, WarmProcess
from jobs.runner.workspace import ChannelSource, Workspace
kind, work = WarmKind("pca", 1, GroupLimits(n_processes=100)), Path(sys.argv[1])
waiting, begun = WarmProcess(kind, work), WarmProcess(kind, work)
workspace = Workspace(work / "01JOB-1")
workspace.make()
values = {"num_components": "1", "feature_dim": "2", "mini_batch_size": "5"}
train = ChannelSource("train", (), "text/csv", "Pipe")  # nobody feeds it
workspace.configure(hyperparameters=values, channels=[train], instance_type="local.cpu")
workspace.place(train, None)
channels = {"train": ChannelSpec(input_mode="Pipe")}
root = begun.root_of(workspace)
spec = JobSpec(uid="01JOB", name="job", attempt=1, algorithm="pca", root=root, channels=channels)
spec.write(workspace.root)
process = begun.begin(workspace, program=["jobs.runner", str(spec.path)], job_name="job", job_arn="arn")
process.output.readline()
print("ready", flush=True)
time.sleep(600)
"""


def test_what_a_killed_worker_had_is_ended(db: None, either_way: str) -> None:  # noqa: F811
    """One that waits and one that runs a job, which has its folder by the attempt's name."""
    work_dir().mkdir(parents=True, exist_ok=True)
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(work_dir())], cwd=PROJECT_ROOT, stdout=subprocess.PIPE
    )
    try:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"ready\n"
        assert len(_marks()) == 2
        leftovers = {path.name for path in work_folders()}
        assert leftovers & {"01JOB-1"}, "nobody has a lease of it"
        assert not (work_dir() / "01JOB-1").is_symlink()
        links = [path for path in work_dir().glob(f"{PREFIX}*") if path.is_symlink()]
        assert [link.resolve().name for link in links] == ["01JOB-1"]
        worker.send_signal(signal.SIGSTOP)  # it lives, and its attempt is another's now
        earlier_attempts_clear(uid="01JOB", attempt=2)
        assert not (work_dir() / "01JOB-1").exists()
        wait_until(lambda: len(_marks()) == 1, what="the end of the one with a job")
        left = list(work_dir().glob(f"{PREFIX}*"))  # of the one that waits, and what the other was begun in
        assert len(left) == 2 and all(warm_name_has_owner(path.name) for path in left)
    finally:
        worker.kill()
        worker.communicate()
    if either_way != "off":
        wait_until(lambda: not traces(), what="the end of all with the worker")
    leftovers_clear()
    wait_until(lambda: not traces(), what="the end of all")
    assert not list(work_dir().glob(f"{PREFIX}*"))
    wait_until(_groups_are_cleared, what="the end of the groups")


def _groups_are_cleared() -> bool:
    """A worker clears again and again: a group can be removed only when the kernel is done with its processes."""
    leftovers_clear()
    return not control_groups_found(prefix=f"{GROUP_PREFIX}{PREFIX}")


def test_one_whose_files_cannot_be_moved_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    process = WarmProcess(KIND, tmp_path)
    workspace = Workspace(tmp_path / "attempt")
    workspace.make()

    def full(_self: Workspace, _folder: Path, *, emptied: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Workspace, "move_into", full)
    with pytest.raises(OSError, match="No space"):
        process.begin(workspace, program=["jobs.runner"], job_name="job", job_arn="arn")
    assert not process.waits
    assert [path.name for path in tmp_path.iterdir()] == ["attempt"]
