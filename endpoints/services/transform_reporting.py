"""What a worker writes down of a transform job while it runs: its log, and how far it is. Called by its execution."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Final

from django.conf import settings

from endpoints.models import TransformJob
from endpoints.replica_output import ReplicaOutput
from endpoints.services.run_lease import RunLease
from jobs.selectors.prices import prices_now
from mlplatform.core import clock
from mlplatform.core.health.outages import patiently
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import LogFenced, log_append

TELL_EVERY_S: Final = 1.0
PATIENCE_S: Final = 120.0
"""How long a job waits for a database that is away."""


class TransformReporter:
    """One attempt's log and progress.

    Args:
        over: Set here when the job turns out to be another attempt's.

    Attributes:
        output: Takes what is printed; `note` adds a line of the worker's own.
    """

    def __init__(self, job: TransformJob, lease: RunLease, over: threading.Event) -> None:
        self._job = job
        self._lease = lease
        self._over = over
        self.output = ReplicaOutput(
            limit_bytes=settings.MLPLATFORM_LOG_LIMIT_BYTES, used_bytes=job.log.n_bytes
        )
        self._lines: list[LogLines] = []
        self._truncated = False
        self._begun_at = time.monotonic()
        self._logged_at = self._told_at = 0.0

    def note(self, text: str) -> None:
        self.output.note(text)

    def store_log_when_due(self) -> None:
        """Once a second."""
        if time.monotonic() - self._logged_at > TELL_EVERY_S:
            self.store_log()

    def store_log(self) -> None:
        """Stores what was printed since the last time; a log that another attempt writes ends this one."""
        self._logged_at = time.monotonic()
        if not self._lines:
            self._lines, self._truncated = self.output.take()
        if not self._lines:
            return
        try:
            lines, truncated, stream = self._lines, self._truncated, self._job.log
            patiently(
                lambda: log_append(stream=stream, lines=lines, truncated=truncated), within_s=PATIENCE_S
            )
        except LogFenced:
            if self._lease.is_over:
                self._over.set()
            self._job.log.refresh_from_db()
        self._lines = []

    def tell(self, n_done: int, n_bytes: int, total: int) -> None:
        """Writes how many records are done, at most once a second; by bytes of `total` where rows are not counted."""
        if time.monotonic() - self._told_at < TELL_EVERY_S:
            return
        self._told_at = time.monotonic()
        version = self._job.dataset_version
        n_rows = version.n_rows if version is not None else None
        share = n_done / n_rows if n_rows else n_bytes / total if total and n_bytes else None
        fraction = None if share is None else min(share, 0.99)
        elapsed_s = time.monotonic() - self._begun_at
        eta_s = round(elapsed_s * (1 - fraction) / fraction, 1) if fraction and elapsed_s > 1 else None
        told = {"n_rows": n_rows, "n_done": n_done, "fraction": fraction, "eta_s": eta_s}
        if not patiently(lambda: self._lease.rows.update(progress=told), within_s=PATIENCE_S):
            self._over.set()


def billing(job: TransformJob) -> dict[str, Any]:
    """The columns of a job that ends now: when, how long it ran, and what an hour of that costs."""
    now = clock.now()
    price = prices_now().of(job.instance_type)
    seconds = (now - job.started_at).total_seconds() if job.started_at else 0.0
    return {
        "ended_at": now,
        "billable_s": max(1, math.ceil(seconds)) * job.instance_count,
        "price_per_hour": price.per_hour,
        "currency": price.currency,
    }
