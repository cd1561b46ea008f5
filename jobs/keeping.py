"""What this room keeps: which rows refer to objects, how long logs and metrics stay, which folders may be left over.

Registered when Django starts; carried out by the floor's sweeps.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from django.conf import settings

from jobs.models import MetricChunk, TrainingJob
from jobs.runner.script_environment import environment_retire, environments_kept
from jobs.services.clearing import attempt_dir, attempt_of, environments_dir, is_in_use, work_dir
from jobs.services.lifecycle import ACTIVE
from jobs.services.sources import sources_remove
from jobs.services.worker_looks import worker_look
from mlplatform.core.keeping.leftovers import leftovers
from mlplatform.core.keeping.machine import MachineSweep
from mlplatform.core.keeping.object_references import ObjectReference, object_reference
from mlplatform.core.keeping.retention import retention
from mlplatform.core.logs import log_streams_remove
from mlplatform.core.status import TERMINAL_TRAINING
from mlplatform.core.text import text as _

worker_look(MachineSweep())

object_reference(
    ObjectReference(_("dataset version"), "jobs.DatasetVersion", "datasets", ("uri", "profile_uri"))
)
object_reference(
    ObjectReference(_("training job"), "jobs.TrainingJob", "training-jobs", ("artifact_uri", "output_uri"))
)
object_reference(ObjectReference(_("source code"), "jobs.Source", "sources", ("uri",)))


@retention("training_job_logs", title=_("Logs of ended training jobs"), setting="MLPLATFORM_KEEP_LOGS_DAYS")
def training_job_logs_remove(before: datetime, limit: int) -> int:
    """The text goes; the job, its failure with the last lines, and how long the log was stay."""
    ended = TrainingJob.objects.filter(status__in=TERMINAL_TRAINING, ended_at__lt=before)
    return log_streams_remove(stream_ids=ended.values("log_id"), limit=limit)


@retention(
    "training_job_metrics",
    title=_("Metric points of ended training jobs"),
    setting="MLPLATFORM_KEEP_METRICS_DAYS",
)
def training_job_metrics_remove(before: datetime, limit: int) -> int:
    """The points go; the summary of each metric (number, last, lowest, highest) stays."""
    old = MetricChunk.objects.filter(job__status__in=TERMINAL_TRAINING, job__ended_at__lt=before)
    chunk_ids = list(old.order_by().values_list("pk", flat=True)[:limit])
    return MetricChunk.objects.filter(pk__in=chunk_ids).delete()[0]


@retention("sources", title=_("Source code that nothing refers to"), fixed_days=1)
def sources_unreferred_remove(before: datetime, limit: int) -> int:
    """An edit in the browser leaves one behind with every step."""
    return sources_remove(before, limit)


@leftovers("environments of scripts")
def environments_unused() -> Iterator[Path]:
    """Environments of requirements.txt that nothing runs from and nobody has asked for in so many days."""
    days = settings.MLPLATFORM_KEEP_ENVIRONMENTS_DAYS
    before = time.time() - days * 24 * 3600 if days else 0.0
    for kept in environments_kept(environments_dir()):
        if kept.used_at is not None and kept.used_at < before:
            environment_retire(kept.path)  # not found from now on, and removed after the grace time
        elif kept.used_at is None and environment_retire(kept.path):
            yield kept.path


@leftovers("work folders")
def work_folders() -> Iterator[Path]:
    """Folders of attempts that nobody owns, where no worker is left to clear them."""
    if not work_dir().is_dir():
        return
    found = [(path, attempt_of(path.name)) for path in work_dir().iterdir()]
    owned = (
        TrainingJob.objects.filter(status__in=ACTIVE).exclude(lease_owner="").values_list("uid", "attempt")
    )
    keep = {attempt_dir(uid=uid, attempt=attempt).name for uid, attempt in owned}
    yield from (path for path, name in found if not is_in_use(name, keep))
