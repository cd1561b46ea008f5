"""What a job may take of processes and memory, and the control groups that hold it to that."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.runner import control_groups
from jobs.runner.control_groups import GroupLimits, control_group_make, place_find
from jobs.runner.follow import Cause
from jobs.runner.isolation import isolation
from jobs.runner.launch import marked_processes
from jobs.runner.sandbox import N_PROCESSES
from tests.jobs.runner.scripted import Recorder, follow

MIB = 1024**2

both_ways = pytest.mark.usefixtures("either_way")


@both_ways
def test_a_fork_bomb_is_contained(tmp_path: Path, either_way: str) -> None:
    if either_way == "off" and os.geteuid() == 0 and place_find() is None:
        pytest.skip("the kernel limits root's processes by control groups only, which cannot be made here")
    done = follow(
        tmp_path,
        """
        import os, time
        n = 0
        try:
            while n < 100_000:
                if os.fork() == 0:
                    time.sleep(600)
                n += 1
        except OSError as error:
            print("refused", error.errno, n, flush=True)
        time.sleep(600)
        """,
        recorder=Recorder(lambda lines: Cause.STOP if lines else None),
        grace_s=0,
        group_limits=GroupLimits(n_processes=60),
        max_runtime_s=120,
    )
    word, number, n = done.lines[0].split()
    assert (word, number) == ("refused", "11")
    assert int(n) < (60 if place_find() is not None else 100_000)
    assert not marked_processes(prefix=str(tmp_path))
    assert not list(_groups())


def test_the_number_of_processes_is_limited_where_there_is_no_control_group(
    tmp_path: Path, sandboxed: None
) -> None:
    done = follow(tmp_path, "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC)[1])")
    assert N_PROCESSES <= int(done.lines[0]) < 20 * N_PROCESSES
    if isolation().own_user:
        assert int(done.lines[0]) == N_PROCESSES


@both_ways
def test_memory_beyond_the_control_groups_limit_is_told_as_such(tmp_path: Path) -> None:
    if place_find() is None:
        pytest.skip("no control group can be made here")
    done = follow(
        tmp_path,
        "block = bytearray(400 * 1024 * 1024)\nimport time; time.sleep(600)",
        memory_bytes=150 * MIB,
        group_limits=GroupLimits(memory_bytes=150 * MIB),
    )
    assert done.ending.cause is Cause.MEMORY_LIMIT
    assert done.outcome.failure is not None
    assert done.outcome.failure["kind"] == "OutOfMemory"
    assert "its instance type has 150 MiB" in done.outcome.failure["reason"]
    assert done.ending.runtime_s < 60
    assert not list(_groups())


def test_a_group_that_nobody_will_ever_look_at_again_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    place = place_find()
    if place is None:
        pytest.skip("no control group can be made here")
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", "/nonexistent/gone")
    left = control_group_make("job-left", GroupLimits())
    assert left is not None
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", "/nonexistent/other")
    monkeypatch.setitem(control_groups._abandoned, "looked_at", 0.0)
    for folder in left.folders:
        os.utime(folder, (0, 0))
    made = control_group_make("job-made", GroupLimits())
    assert made is not None
    assert not any(folder.exists() for folder in left.folders)
    made.remove()
    assert not any(folder.exists() for folder in made.folders)


def _groups():
    place = place_find()
    for folder in set() if place is None else set(place.folders.values()):
        yield from folder.glob(f"{control_groups._prefix()}job-attempt")
