"""Clears away what attempts of dead workers left on this machine: processes and work folders. Called by live
workers.
"""

from __future__ import annotations

import logging
from pathlib import Path

from django.conf import settings
from psutil import Process

from jobs.models import TrainingJob
from jobs.runner.control_groups import control_groups_clear, control_groups_found
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
    folders = list(work_dir().iterdir()) if work_dir().is_dir() else []
    processes = marked_processes(prefix=f"{work_dir()}/")
    groups = control_groups_found(prefix=GROUP_PREFIX)
    owned = (
        TrainingJob.objects.filter(status__in=ACTIVE).exclude(lease_owner="").values_list("uid", "attempt")
    )
    keep = frozenset(str(attempt_dir(uid=uid, attempt=attempt)) for uid, attempt in owned)
    _clear(folders, processes, keep)
    control_groups_clear(names=groups - {GROUP_PREFIX + Path(path).name for path in keep})


def earlier_attempts_clear(*, uid: str, attempt: int) -> None:
    """Ends processes and removes folders that the attempts before this one left on this machine.

    What cannot be is logged and keeps no job from running: `leftovers_clear` tries it again.
    """
    if attempt == 1:
        return
    keep = frozenset({str(attempt_dir(uid=uid, attempt=attempt))})
    try:
        _clear(list(work_dir().glob(f"{uid}-*")), marked_processes(prefix=f"{work_dir() / uid}-"), keep)
    except Exception:
        logger.exception("job %s: what earlier attempts left could not be cleared away", uid)


def _clear(folders: list[Path], processes: list[tuple[Process, str]], keep: frozenset[str]) -> None:
    """Ends and removes what does not belong to an attempt in `keep`."""
    killed = processes_kill(process for process, marker in processes if marker not in keep)
    if killed:
        logger.warning("ended %d processes that a dead worker had left", killed)
    for folder in folders:
        if str(folder) not in keep:
            Workspace(folder).remove()
