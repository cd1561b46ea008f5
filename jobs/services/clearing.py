"""Clears away what attempts of dead workers left on this machine: processes and work folders. Called by live
workers.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from django.conf import settings

from jobs.models import TrainingJob
from jobs.runner.launch import stragglers_kill
from jobs.runner.workspace import Workspace
from jobs.services.lifecycle import ACTIVE

logger = logging.getLogger(__name__)
FOLDER_GRACE_S = 60


def work_dir() -> Path:
    """Where the folders of attempts on this machine are."""
    return Path(settings.DATA_DIR) / "work"


def attempt_dir(*, uid: str, attempt: int) -> Path:
    """The folder of one attempt; its path also marks the attempt's processes."""
    return work_dir() / f"{uid}-{attempt}"


def leftovers_clear() -> None:
    """Ends processes and removes folders of attempts that nobody owns any more."""
    owned = (
        TrainingJob.objects.filter(status__in=ACTIVE).exclude(lease_owner="").values_list("uid", "attempt")
    )
    keep = frozenset(str(attempt_dir(uid=uid, attempt=attempt)) for uid, attempt in owned)
    killed = stragglers_kill(markers_alive=keep, prefix=f"{work_dir()}/")
    if killed:
        logger.warning("ended %d processes that a dead worker had left", killed)
    if not work_dir().is_dir():
        return
    for folder in work_dir().iterdir():
        if str(folder) not in keep and time.time() - folder.stat().st_mtime > FOLDER_GRACE_S:
            Workspace(folder).remove()
