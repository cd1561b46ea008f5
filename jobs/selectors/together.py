"""One job that does the work of several, beside the several: time, bytes read and price.

A job that trains an ensemble reads its data once and starts once; separate jobs do both for every member.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.models import TrainingInput, TrainingJob
from jobs.pricing import Cost, Prices, cost_sum
from jobs.selectors.prices import prices_now, training_job_cost
from jobs.selectors.training import training_job_get
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.people.access import Actor
from mlplatform.core.status import TrainingJobStatus
from mlplatform.core.text import text as _

SEPARATE_MAX = 20
CANDIDATES_MAX = 50


@dataclass(frozen=True)
class JobSpent:
    """What one job took: `run_s` from its start to its end; `input_bytes` is None where it was not counted."""

    job: TrainingJob
    run_s: float
    input_bytes: int | None
    cost: Cost


@dataclass(frozen=True)
class Together:
    """Ratios are of the one job to the sum of the separate ones; None where a part of it is not known."""

    one: JobSpent
    separate: Sequence[JobSpent]
    separate_run_s: float
    separate_input_bytes: int | None
    separate_cost: Cost

    @property
    def time_ratio(self) -> float | None:
        return self.one.run_s / self.separate_run_s if self.separate_run_s else None

    @property
    def bytes_ratio(self) -> float | None:
        if not self.separate_input_bytes or self.one.input_bytes is None:
            return None
        return self.one.input_bytes / self.separate_input_bytes

    @property
    def cost_ratio(self) -> float | None:
        mine, theirs = self.one.cost, self.separate_cost
        if not theirs.amount or mine.amount is None or mine.currency != theirs.currency:
            return None
        return float(mine.amount / theirs.amount)


def jobs_together(*, actor: Actor, job: str, separate: Sequence[str]) -> Together:
    """The job `job` beside those of `separate`.

    Raises:
        NotFound: there is no such job.
        InvalidRequest: one that has not ended, is named twice or is the job itself; none, or too many.
    """
    names = list(dict.fromkeys(separate))
    if not 1 <= len(names) <= SEPARATE_MAX:
        message = _("names {n} jobs; name 1 to {maximum}", n=len(names), maximum=SEPARATE_MAX)
        raise InvalidRequest.for_field("separate", message)
    prices = prices_now()
    rows = {name: training_job_get(actor=actor, name=name) for name in [job, *names]}
    errors = []
    if job in names:
        errors.append(FieldError("separate", _("{name} is the job itself", name=repr(job))))
    for name, row in rows.items():
        if not row.ended or row.started_at is None:
            field = "job" if name == job else "separate"
            message = _(
                "{name} is {status}; only jobs that ran and ended can be compared",
                name=repr(name),
                status=row.status,
            )
            errors.append(FieldError(field, message))
    if errors:
        raise InvalidRequest.for_fields(errors)
    parts = [_spent(rows[name], prices) for name in names]
    read = [part.input_bytes for part in parts if part.input_bytes is not None]
    return Together(
        one=_spent(rows[job], prices),
        separate=parts,
        separate_run_s=sum(part.run_s for part in parts),
        separate_input_bytes=sum(read) if len(read) == len(parts) else None,
        separate_cost=cost_sum((part.cost for part in parts), currency=prices.currency),
    )


def together_candidates(*, job: TrainingJob) -> list[TrainingJob]:
    """Completed jobs that read data the job read too, the newest first: what it may be put beside."""
    versions = TrainingInput.objects.filter(job=job, dataset_version__isnull=False).values("dataset_version")
    alike = TrainingJob.objects.filter(
        project=job.project, status=TrainingJobStatus.COMPLETED, inputs__dataset_version__in=versions
    )
    return list(alike.exclude(pk=job.pk).distinct().order_by("-created_at")[:CANDIDATES_MAX])


def together_default(*, job: TrainingJob, candidates: Sequence[TrainingJob]) -> list[TrainingJob]:
    """Of an ensemble: the newest candidate of each of its members' algorithms; of another job none."""
    members = [
        name.strip() for name in str(job.hyperparameters.get("members", "")).split(",") if name.strip()
    ]
    newest = {candidate.algorithm: candidate for candidate in reversed(candidates)}
    return [newest[member] for member in dict.fromkeys(members) if member in newest]


def _spent(job: TrainingJob, prices: Prices) -> JobSpent:
    begun, ended = job.started_at, job.ended_at
    run_s = (ended - begun).total_seconds() if begun and ended else 0.0
    return JobSpent(job, run_s, job.input_bytes, training_job_cost(job, prices))
