"""What a tuning job will take, as far as earlier jobs tell: how long a training job of the same kind was billed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from jobs.models import TrainingJob
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrainingJobStatus

LOOKED_AT: Final = 20


@dataclass(frozen=True)
class TypicalJob:
    """The mean billed time of the latest completed jobs, and of how many."""

    seconds: float
    n_jobs: int


def typical_job(*, actor: Actor, algorithm: str, instance_type: str) -> TypicalJob | None:
    """Of the project's latest completed jobs of the algorithm on the instance type; None where there are none."""
    latest = (
        TrainingJob.objects.filter(
            project=actor.project,
            algorithm=algorithm[:40],
            instance_type=instance_type[:40],
            status=TrainingJobStatus.COMPLETED,
            billable_s__isnull=False,
        )
        .order_by("-pk")
        .values_list("billable_s", flat=True)[:LOOKED_AT]
    )
    seconds = [float(value) for value in latest if value is not None]
    return TypicalJob(sum(seconds) / len(seconds), len(seconds)) if seconds else None
