"""How long a running job may still take. Called by the page of a job and by the home page."""

from __future__ import annotations

from jobs.models import TrainingJob
from mlplatform.core import clock

REPORTS_MIN = 3
SPAN_MIN_S = 5.0
FRACTION_MIN = 0.1
"""With less than these, what is left would be guessed from too little."""


def remaining_s(job: TrainingJob) -> float | None:
    """Seconds until the job is done, if it goes on as in its last reports; None while that cannot be said."""
    recent: list[tuple[int, float]] = job.progress.get("recent") or []
    if job.ended or len(recent) < REPORTS_MIN:
        return None
    (first_ms, first), (last_ms, last) = recent[0], recent[-1]
    span_s = (last_ms - first_ms) / 1000
    if span_s < SPAN_MIN_S or not max(first, FRACTION_MIN) <= last < 1 or last == first:
        return None
    since_s = clock.now().timestamp() - last_ms / 1000
    return max(0.0, span_s * (1 - last) / (last - first) - since_s)
