"""How long a running job may still take. Called by the page of a job and by the home page."""

from __future__ import annotations

from jobs.models import TrainingJob
from mlplatform.core import clock

REMAINING_FROM_S = 5.0
"""Before that, what is left would be guessed from too little."""


def remaining_s(job: TrainingJob) -> float | None:
    """Seconds until the job is done, if it goes on as it went so far; None while that cannot be said."""
    fraction = job.progress.get("fraction")
    if job.ended or job.started_at is None or not fraction:
        return None
    elapsed = (clock.now() - job.started_at).total_seconds()
    return elapsed * (1 - fraction) / fraction if elapsed >= REMAINING_FROM_S and fraction < 1 else None
