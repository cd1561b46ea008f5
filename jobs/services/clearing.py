"""Clears away what attempts of dead workers left on this machine: processes and work folders. Called by live
workers.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from psutil import Process

from jobs.models import TrainingJob
from jobs.runner.control_groups import control_groups_clear, control_groups_found, control_groups_kill
from jobs.runner.launch import GROUP_PREFIX, marked_processes, processes_kill
from jobs.runner.warm_process import warm_name_has_owner
from jobs.runner.workspace import Workspace
from jobs.services.lifecycle import ACTIVE

logger = logging.getLogger(__name__)


def work_dir() -> Path:
    """Where the folders of attempts on this machine are."""
    return Path(settings.DATA_DIR) / "work"


def environments_dir() -> Path:
    """Where environments of scripts are kept on this machine, for its workers and hosts."""
    return Path(settings.DATA_DIR) / "environments"


def attempt_dir(*, uid: str, attempt: int) -> Path:
    """The folder of one attempt; its path also marks the attempt's processes."""
    return work_dir() / f"{uid}-{attempt}"


def attempt_of(name: str) -> str:
    """The name of an attempt's folder, where `name` is what its folder was called before it had one. Else the same."""
    try:
        return (work_dir() / name).readlink().name
    except OSError:
        return name


def is_in_use(name: str, attempts: Collection[str]) -> bool:
    """Whether a folder of this name belongs to one of these attempts, or waits for one of a living worker."""
    return name in attempts or warm_name_has_owner(name)


def leftovers_clear() -> None:
    """Ends processes and removes folders of attempts that nobody owns any more."""
    # Looked for before the owners are asked for, so that an attempt that begins meanwhile is not among them.
    traces = _traces()
    owned = (
        TrainingJob.objects.filter(status__in=ACTIVE).exclude(lease_owner="").values_list("uid", "attempt")
    )
    _clear(traces, keep={attempt_dir(uid=uid, attempt=attempt).name for uid, attempt in owned})


def earlier_attempts_clear(*, uid: str, attempt: int) -> None:
    """Ends processes and removes folders that the attempts before this one left on this machine.

    What cannot be is logged and keeps no job from running: `leftovers_clear` tries it again.
    """
    if attempt == 1:
        return
    try:
        _clear(_traces().begun_with(f"{uid}-"), keep={attempt_dir(uid=uid, attempt=attempt).name})
    except Exception:
        logger.exception("job %s: what earlier attempts left could not be cleared away", uid)


@dataclass(frozen=True)
class _Traces:
    """What attempts have on this machine: folders and links to them, processes with their mark, control groups."""

    folders: list[tuple[Path, str]]
    processes: list[tuple[Process, str]]
    groups: list[tuple[str, str]]

    def begun_with(self, beginning: str) -> _Traces:
        """Those of the attempts whose folder's name begins so."""
        return _Traces(
            folders=[found for found in self.folders if found[1].startswith(beginning)],
            processes=[found for found in self.processes if found[1].startswith(beginning)],
            groups=[found for found in self.groups if found[1].startswith(beginning)],
        )


def _traces() -> _Traces:
    """Each with the name of the attempt's folder, or of one that waits for an attempt."""
    processes = marked_processes(prefix=f"{work_dir()}/")
    groups = control_groups_found(prefix=GROUP_PREFIX)
    return _Traces(
        folders=[(path, attempt_of(path.name)) for path in work_dir().glob("*")],
        processes=[(process, attempt_of(Path(marker).name)) for process, marker in processes],
        groups=[(name, attempt_of(name.removeprefix(GROUP_PREFIX))) for name in groups],
    )


def _clear(traces: _Traces, *, keep: Collection[str]) -> None:
    """Ends and removes what does not belong to an attempt in `keep`, the names of folders, and waits for none."""
    groups = [group for group, name in traces.groups if not is_in_use(name, keep)]
    killed = processes_kill(process for process, name in traces.processes if not is_in_use(name, keep))
    killed += control_groups_kill(names=groups)
    if killed:
        logger.warning("ended %d processes that a dead worker had left", killed)
    for folder, name in traces.folders:
        if is_in_use(name, keep):
            continue
        if folder.is_symlink():
            folder.unlink(missing_ok=True)
        else:
            Workspace(folder).remove()
    control_groups_clear(names=groups)
