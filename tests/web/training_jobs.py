"""A training job that has ended, with a log."""

from __future__ import annotations

from typing import Any

from jobs.models import TrainingJob
from mlplatform.core import clock
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_append, log_end
from tests.jobs.training.cast import job_make

LOG_LINES = ("first line", "ERROR: \x1b[31mred\x1b[0m", "10%\r100%", "日本語の行")


def ended(actor: Any, name: str, **changes: Any) -> TrainingJob:
    """A job that has ended, with a log."""
    job = job_make(actor, name)
    lines = [LogLines.of(line, 1_790_000_000_000 + 1500 * n) for n, line in enumerate(LOG_LINES)]
    log_append(stream=job.log, lines=lines)
    log_end(stream=job.log)
    values = {"status": "Completed", "secondary_status": "Completed", "ended_at": clock.now(), **changes}
    TrainingJob.objects.filter(pk=job.pk).update(**values)
    return TrainingJob.objects.get(pk=job.pk)
