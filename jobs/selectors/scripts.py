"""The scripts that jobs of a project have run."""

from __future__ import annotations

from typing import Final

from jobs.algorithms.registry import SCRIPT
from jobs.models import TrainingJob
from jobs.selectors.training import training_jobs_matching
from mlplatform.core.people.access import Actor

_LOOKED_AT: Final = 200
RECENT: Final = 20


def scripts_recent(*, actor: Actor) -> list[TrainingJob]:
    """The latest job of each of the sources that were run last, the newest first, with its source."""
    jobs = training_jobs_matching(actor=actor, algorithm=SCRIPT).filter(source__isnull=False)
    found: dict[int, TrainingJob] = {}
    for job in jobs.select_related("source").order_by("-created_at", "-pk")[:_LOOKED_AT]:
        if job.source_id is not None:
            found.setdefault(job.source_id, job)
    return list(found.values())[:RECENT]
