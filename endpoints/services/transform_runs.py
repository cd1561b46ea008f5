"""Transform jobs as runs: their kinds by queue, where an attempt keeps its files, and the sweep of what was lost.

Called by their services and execution; the sweep by hosts and scheduler, through `endpoints.services.transforms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from endpoints.models import TransformJob
from endpoints.services.run_lease import RunKind
from endpoints.services.run_sweep import run_sweep
from endpoints.services.transform_outcome import failure_words
from jobs.instance_types import instance_type_list
from jobs.services.sweeping import Resending
from mlplatform.core.env import data_dir
from mlplatform.core.logs import log_end
from mlplatform.core.models import LogStream
from mlplatform.core.status import TERMINAL_TRANSFORM, FailureKind, TransformJobStatus

TASK: Final = "endpoints.transform_job"


def transforms_of(queue: str) -> RunKind:
    """The runs of one queue."""
    return RunKind(
        TransformJob,
        title="transform job",
        task=TASK,
        queue=queue,
        in_progress=TransformJobStatus.IN_PROGRESS,
        failed=TransformJobStatus.FAILED,
        stopping=TransformJobStatus.STOPPING,
        stopped=TransformJobStatus.STOPPED,
        fresh={"progress": {}},
        where={"queue": queue},
        failed_as=lambda said: failure_words(FailureKind.LOST_WORKER, said),
    )


KINDS: Final[Mapping[str, RunKind]] = {
    queue: transforms_of(queue) for queue in sorted({each.queue for each in instance_type_list()})
}


def transform_job_sweep(*, resending: Mapping[str, Resending] | None = None) -> int:
    """Takes jobs from workers that are gone, sends the messages of those that nobody took; see `run_sweep`.

    Args:
        resending: By queue.
    """
    lost = sum(
        run_sweep(kind=kind, resending=resending[queue] if resending is not None else None)
        for queue, kind in KINDS.items()
    )
    for log in LogStream.objects.filter(transform_job__status__in=TERMINAL_TRANSFORM, ended=False)[:50]:
        log_end(stream=log)
    return lost


def transform_resending() -> dict[str, Resending]:
    """What a sweeper remembers, by queue."""
    return {queue: Resending() for queue in KINDS}


def attempt_folder(uid: str, attempt: int) -> Path:
    """Where an attempt keeps its files."""
    return data_dir() / "transforms" / f"{uid}-{attempt}"
