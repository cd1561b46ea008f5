"""Control groups: the kernel's limits on the memory, processes and processor time of everything one job starts.

Used where this process may write them: as root with version 1, or in a subtree of version 2 that was delegated to us (a
systemd unit with `Delegate=yes` and `DelegateSubgroup=platform`). Elsewhere there are none, and `jobs.runner.follow`
watches from outside. Django-free; called by `jobs.runner.enclosed`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from mlplatform.core.env import data_dir

logger = logging.getLogger(__name__)

_CONTROLLERS: Final = ("memory", "pids", "cpu")
N_PROCESSES: Final = 1024
"""Processes and threads that one job, or one model server, may have."""
_PERIOD_US: Final = 100_000
_WHERE_SWAP_IS_COUNTED: Final = ("memory.memsw.limit_in_bytes", "memory.swap.max")
_REMOVE_S: Final = 2.0
_ABANDONED_S: Final = 600.0
_abandoned = {"looked_at": 0.0}
_JOIN: Final = (
    'groups=$1; shift; for group in $groups; do echo $$ >"$group/cgroup.procs" || exit 125; done; exec "$@"'
)


@dataclass(frozen=True)
class Place:
    """Where groups can be made: a folder per controller (version 1), or one for all of them (version 2)."""

    version: int
    folders: Mapping[str, Path]


@dataclass(frozen=True)
class GroupLimits:
    """What all processes of one job may use together; None or 0 sets no limit."""

    memory_bytes: int = 0
    n_processes: int = 0
    cpus: float = 0

    @classmethod
    def of_instance(cls, *, memory_bytes: int, vcpus: int) -> GroupLimits:
        """What an instance type allows. All processors of this machine are no limit."""
        n_here = len(os.sched_getaffinity(0))
        return cls(memory_bytes, N_PROCESSES, 0 if vcpus >= n_here else vcpus)


class ControlGroup:
    """The group of one job."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._folders = {controller: folder / name for controller, folder in place.folders.items()}

    @property
    def folders(self) -> list[Path]:
        return list(dict.fromkeys(self._folders.values()))

    def make(self, limits: GroupLimits) -> None:
        """Raises OSError where the kernel refuses; nothing is left then."""
        try:
            for folder in self.folders:
                folder.mkdir(exist_ok=True)
            for controller, name, value in _settings(self._place.version, limits):
                self._write(controller, name, value)
        except OSError:
            self.remove()
            raise

    def joined(self, argv: Sequence[str]) -> list[str]:
        """A command line that enters the group and then becomes `argv`, so that no child is ever outside of it."""
        return ["/bin/sh", "-c", _JOIN, "sh", " ".join(map(str, self.folders)), *argv]

    def pids(self) -> set[int]:
        with contextlib.suppress(OSError):
            text = (self.folders[0] / "cgroup.procs").read_text(encoding="ascii")
            return {int(line) for line in text.split()}
        return set()

    def memory_kills(self) -> int:
        """How many processes of the group the kernel ended for want of memory, in the group or on the machine."""
        name = "memory.events" if self._place.version == 2 else "memory.oom_control"
        words = self._read("memory", name).split()
        return next((int(value) for key, value in pairwise(words) if key == "oom_kill"), 0)

    def peak_memory_bytes(self) -> int:
        name = "memory.peak" if self._place.version == 2 else "memory.max_usage_in_bytes"
        text = self._read("memory", name).strip()
        return int(text) if text.isdecimal() else 0

    def remove(self) -> None:
        """Removes the group; its last processes may take a moment to be gone."""
        deadline = time.monotonic() + _REMOVE_S
        for folder in self.folders:
            while not _removed(folder) and time.monotonic() < deadline:
                time.sleep(0.01)

    def _read(self, controller: str, name: str) -> str:
        folder = self._folders.get(controller)
        try:
            return "" if folder is None else (folder / name).read_text(encoding="ascii")
        except OSError:
            return ""

    def _write(self, controller: str, name: str, value: int | str) -> None:
        folder = self._folders.get(controller)
        if folder is not None and ((folder / name).exists() or name not in _WHERE_SWAP_IS_COUNTED):
            (folder / name).write_text(str(value), encoding="ascii")


def control_group_make(name: str, limits: GroupLimits) -> ControlGroup | None:
    """A new group with these limits; None where this process may make none."""
    place = place_find()
    if place is None:
        return None
    _abandoned_clear(place)
    group = ControlGroup(place, f"{_prefix()}{name}")
    try:
        group.make(limits)
    except OSError as error:
        logger.warning("no control group for %s: %s", name, error)
        return None
    return group


def _abandoned_clear(place: Place) -> None:
    """Removes groups without a process that installations of ours left which may never come back."""
    now = time.time()
    if now < _abandoned["looked_at"] + _ABANDONED_S:
        return
    _abandoned["looked_at"] = now
    for folder in {found for parent in place.folders.values() for found in parent.glob("mlplatform-*")}:
        with contextlib.suppress(OSError):
            if now - folder.stat().st_mtime > _ABANDONED_S:
                folder.rmdir()  # refused while it has processes


def control_groups_found(*, prefix: str) -> frozenset[str]:
    """The names, beginning with `prefix`, of the groups of this data directory that there are."""
    place = place_find()
    found = (
        [] if place is None else [parent.glob(f"{_prefix()}{prefix}*") for parent in place.folders.values()]
    )
    return frozenset(folder.name.removeprefix(_prefix()) for folders in found for folder in folders)


def control_groups_kill(*, names: Iterable[str]) -> int:
    """Ends every process of these groups, also one that has forgotten whose it is; returns how many there were."""
    place = place_find()
    if place is None:
        return 0
    killed = 0
    for name in names:
        for pid in ControlGroup(place, f"{_prefix()}{name}").pids():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                killed += 1
    return killed


def control_groups_clear(*, names: Iterable[str]) -> None:
    """Removes those of these groups that have no process."""
    place = place_find()
    if place is None:
        return
    for name in names:
        for parent in place.folders.values():
            _removed(parent / f"{_prefix()}{name}")


@cache
def place_find() -> Place | None:
    """Where this process may make groups, below its own; None where it may not."""
    own = _own_groups()
    folders = {
        controller: folder
        for controller in _CONTROLLERS
        if (folder := own.get(controller)) is not None and os.access(folder, os.W_OK)
    }
    if {"memory", "pids"} <= set(folders):
        return Place(1, folders)
    return _delegated(own.get(""))


def _delegated(own: Path | None) -> Place | None:
    """The nearest folder of version 2 at or above our own group that hands controllers on, if we may fill it."""
    for folder in () if own is None else (own, *own.parents):
        try:
            handed_on = (folder / "cgroup.subtree_control").read_text(encoding="ascii").split()
        except OSError:
            return None
        if {"memory", "pids"} <= set(handed_on):
            writable = os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK)
            controllers = [name for name in _CONTROLLERS if name in handed_on]
            return Place(2, dict.fromkeys(controllers, folder)) if writable else None
    return None


def _own_groups() -> dict[str, Path]:
    """The folder of our own group per controller; "" is version 2."""
    mounts = dict(_mounts())
    found = {}
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    for line in lines:
        _, names, path = line.split(":", 2)
        for name in names.split(","):
            if name in mounts:
                found[name] = mounts[name] / path.lstrip("/")
    return {name: folder for name, folder in found.items() if folder.is_dir()}


def _mounts() -> Iterator[tuple[str, Path]]:
    """Controller and mount point; "" is version 2."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            where = Path(before.split(" ")[4])
            if kind == "cgroup2":
                yield "", where
            elif kind == "cgroup":
                yield from ((name, where) for name in options.split(",") if name in _CONTROLLERS)


def _settings(version: int, limits: GroupLimits) -> Iterator[tuple[str, str, int | str]]:
    if limits.memory_bytes and version == 1:
        yield "memory", "memory.limit_in_bytes", limits.memory_bytes
        yield "memory", "memory.memsw.limit_in_bytes", limits.memory_bytes
    elif limits.memory_bytes:
        yield "memory", "memory.max", limits.memory_bytes
        yield "memory", "memory.swap.max", 0
        yield "memory", "memory.oom.group", 1
    if limits.n_processes:
        yield "pids", "pids.max", limits.n_processes
    quota_us = int(limits.cpus * _PERIOD_US)
    if quota_us and version == 1:
        yield "cpu", "cpu.cfs_quota_us", quota_us
    elif quota_us:
        yield "cpu", "cpu.max", f"{quota_us} {_PERIOD_US}"


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _prefix() -> str:
    """Tells our groups from those of another installation on this machine."""
    return f"mlplatform-{hashlib.sha256(os.fsencode(data_dir())).hexdigest()[:8]}-"
