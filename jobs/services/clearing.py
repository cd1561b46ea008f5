"""Clears away what attempts of dead workers left on this machine: processes and work folders. Called by live
workers.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from psutil import Process

from jobs.models import TrainingJob
from jobs.runner.control_groups import control_groups_clear, control_groups_found, control_groups_kill
from jobs.runner.launch import GROUP_PREFIX, marked_processes, processes_kill
from jobs.runner.workspace import Workspace
from jobs.services.lifecycle import ACTIVE

logger = logging.getLogger(__name__)


def work_dir() -> Path:
    """Where the folders of attempts on this machine are."""
    return Path(settings.DATA_DIR) / "work"


def attempt_dir(*, uid: str, attempt: int) -> Path:
    """The folder of one attempt; its path also marks the attempt's processes."""
    return work_dir() / f"{uid}-{attempt}"


def leftovers_clear() -> None:
    """Ends processes and removes folders of attempts that nobody owns any more."""
    # Looked for before the owners are asked for, so that an attempt that begins meanwhile is not among them.
    traces = _traces("")
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
        _clear(_traces(f"{uid}-"), keep={attempt_dir(uid=uid, attempt=attempt).name})
    except Exception:
        logger.exception("job %s: what earlier attempts left could not be cleared away", uid)


@dataclass(frozen=True)
class _Traces:
    """What attempts have on this machine: folders, processes that carry their mark, control groups."""

    folders: list[Path]
    processes: list[tuple[Process, str]]
    groups: frozenset[str]


def _traces(beginning: str) -> _Traces:
    """Of the attempts whose folder's name begins so."""
    return _Traces(
        folders=list(work_dir().glob(f"{beginning}*")),
        processes=marked_processes(prefix=f"{work_dir()}/{beginning}"),
        groups=control_groups_found(prefix=GROUP_PREFIX + beginning),
    )


def _clear(traces: _Traces, *, keep: set[str]) -> None:
    """Ends and removes what does not belong to an attempt in `keep`, the names of folders."""
    groups = traces.groups - {GROUP_PREFIX + name for name in keep}
    killed = processes_kill(process for process, marker in traces.processes if Path(marker).name not in keep)
    killed += control_groups_kill(names=groups)
    if killed:
        logger.warning("ended %d processes that a dead worker had left", killed)
    for folder in traces.folders:
        if folder.name not in keep:
            Workspace(folder).remove()
    control_groups_clear(names=groups)
