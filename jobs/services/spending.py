"""Writing down what something cost before it is deleted. Called in the transaction of the deletion."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from jobs.models import SpentRecord, TrainingJob
from jobs.pricing import Cost
from jobs.selectors.prices import prices_now, training_job_cost
from mlplatform.core.models import Project

_PLACES: Final = Decimal("0.000000001")


def spent_keep(
    *, project: Project, kind: str, name: str, detail: str, cost: Cost, at: datetime | None
) -> None:
    """Keeps the cost of what is deleted; what never ran cost nothing and leaves nothing."""
    if at is None or cost.amount is None or not (cost.seconds or cost.amount):
        return
    SpentRecord.objects.create(
        project=project,
        kind=kind,
        name=name[:63],
        detail=detail[:80],
        seconds=cost.seconds,
        amount=cost.amount.quantize(_PLACES),
        currency=cost.currency,
        at=at,
    )


def training_job_spent_keep(*, job: TrainingJob) -> None:
    """Of a trial with its tuning job, of another one by its own name."""
    tuning = job.trial.tuning_job.name if hasattr(job, "trial") else ""
    spent_keep(
        project=job.project,
        kind="tuning_job" if tuning else "training_job",
        name=tuning or job.name,
        detail=job.instance_type,
        cost=training_job_cost(job, prices_now()),
        at=job.ended_at,
    )
