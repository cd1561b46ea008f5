"""Everything a running attempt writes to the database, by a thread of its own: log, metrics, progress, lease.

So a locked or absent database never holds up the one who follows the process: lines wait here, bounded, and
are delivered when the database is back. It is the `Sink` and the `Orders` of `jobs.runner.follow`.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connection

from jobs.metric_regex import MetricMatcher
from jobs.runner.follow import Cause
from jobs.runner.outcome import TAIL_LINES, Tail
from jobs.services.lifecycle import (
    RENEW_S,
    Lease,
    LeaseLost,
    training_job_look,
    training_job_renew,
    training_job_report,
)
from jobs.services.metrics import MetricPoint, metric_points_count
from mlplatform.core.log_lines import LogBudget, LogLines
from mlplatform.core.models import LogStream
from mlplatform.core.status import TrainingJobStatus

logger = logging.getLogger(__name__)
BATCH_S: Final = 0.25
BATCH_BYTES: Final = 64 * 1024
DELIVERY_BYTES: Final = 1024 * 1024
BUFFER_BYTES: Final = 8 * 1024 * 1024
LOOK_S: Final = 0.5
PROGRESS_KEPT: Final = 8
"""So many reports of progress tell how fast a job is going at present."""
RETRY_S: Final = 0.5
_PROGRESS: Final = re.compile(rb"#progress_metric: host=\S{1,40}, completed ([0-9.]{1,12}) ?% of (\w{1,20})")
_AWAY: Final = (DatabaseError, InterfaceError)


@dataclass
class _Batch:
    """Lines on their way to the database, with what was read out of them."""

    lines: list[LogLines]
    points: list[MetricPoint]
    progress: dict[str, Any] | None

    @property
    def n_bytes(self) -> int:
        return sum(len(read.data) for read in self.lines)

    @property
    def n_lines(self) -> int:
        return sum(read.n_lines for read in self.lines)


class Reporter(threading.Thread):
    """Reports for one attempt until `close`.

    Args:
        lease: The attempt.
        stream: The job's log as it stands.
        matcher: The declared metrics of the algorithm and the job's own.
        log_limit_bytes: What the whole log may have.
        shutting_down: Says whether the worker is about to end.
    """

    def __init__(
        self,
        *,
        lease: Lease,
        stream: LogStream,
        matcher: MetricMatcher,
        log_limit_bytes: int,
        shutting_down: Callable[[], bool],
    ) -> None:
        super().__init__(name=f"report-{lease.job_id}", daemon=True)
        self._lease = lease
        self._stream = stream
        self._matcher = matcher
        self._progress = ProgressHistory()
        self._budget = LogBudget(log_limit_bytes, used_bytes=stream.n_bytes)
        self._shutting_down = shutting_down
        self._condition = threading.Condition()
        self._waiting: deque[LogLines] = deque()
        self._waiting_bytes = 0
        self._closing = False
        self._flushing = False
        self._batch: _Batch | None = None
        self._in_doubt = False
        self._order: Cause | None = None
        self._last: deque[LogLines] = deque()
        """So many that the last `TAIL_LINES` lines are among them."""
        self._n_last = 0
        self._n_lines = stream.n_lines
        self._n_points = 0
        """Delivered; those of an attempt before were cleared when this one claimed the job."""
        self._renewed_at = self._looked_at = time.monotonic()

    # Sink

    @property
    def full(self) -> bool:
        return self._waiting_bytes > BUFFER_BYTES

    def write(self, lines: LogLines) -> None:
        with self._condition:
            self._waiting.append(lines)
            self._waiting_bytes += len(lines.data)
            self._last.append(lines)
            self._n_last += lines.n_lines
            while self._n_last - self._last[0].n_lines >= TAIL_LINES:
                self._n_last -= self._last.popleft().n_lines
            self._n_lines += lines.n_lines
            if self._waiting_bytes >= BATCH_BYTES:
                self._condition.notify()

    # Orders

    def order(self) -> Cause | None:
        if self._order is None and self._shutting_down():
            return Cause.SHUTDOWN
        return self._order

    def tail(self) -> Tail:
        """The last lines printed and where they stand in the log."""
        with self._condition:
            lines = [text for read in self._last for text in read.last(TAIL_LINES)][-TAIL_LINES:]
            first_line = None if self._budget.spent else self._n_lines - len(lines) + 1
            return Tail(lines, first_line)

    def flush(self) -> None:
        """Delivers what there is now, and not when more has come together."""
        with self._condition:
            self._flushing = True
            self._condition.notify()

    def close(self, *, give_up: Callable[[], bool]) -> None:
        """Delivers the rest and ends the thread; a database that is away is waited for until `give_up` says
        not to.
        """
        with self._condition:
            self._closing = True
            self._condition.notify()
        while self.is_alive() and not give_up():
            self.join(0.5)

    def run(self) -> None:
        try:
            while not self._done():
                self._wait()
                self._turn()
            self._close_log()
        except LeaseLost:
            self._order = Cause.LOST
        except Exception:
            logger.exception("reporting for job %s ended", self._lease.job_id)
            self._order = Cause.LOST
        finally:
            connection.close()

    def _close_log(self) -> None:
        """Says how much was left out of the log, if anything was."""
        closing = self._budget.closing(time.time_ns() // 1_000_000)
        self._batch = _Batch(closing, [], None) if closing else None
        while self._batch is not None:
            self._turn()

    def _done(self) -> bool:
        with self._condition:
            return self._closing and not self._waiting and self._batch is None

    def _wait(self) -> None:
        with self._condition:
            ready = self._closing or self._flushing or self._waiting_bytes >= BATCH_BYTES
            if not ready:
                self._condition.wait(BATCH_S)
            self._flushing = False

    def _turn(self) -> None:
        """One delivery, renewal or look; a database that is away is tried again."""
        try:
            if self._in_doubt:
                self._forget_delivered()
            if self._batch is None:
                self._batch = self._take()
            if self._batch is not None:
                self._deliver(self._batch)
                self._batch = None
            self._renew()
        except _AWAY as error:
            logger.warning(
                "job %s: database away, %s bytes wait: %s", self._lease.job_id, self._waiting_bytes, error
            )
            connection.close()
            self._in_doubt = True
            time.sleep(RETRY_S)

    def _take(self) -> _Batch | None:
        """The next lines, at most a megabyte of them."""
        taken: list[LogLines] = []
        n_bytes = 0
        with self._condition:
            while self._waiting and n_bytes < DELIVERY_BYTES:
                taken.append(self._waiting.popleft())
                n_bytes += len(taken[-1].data)
            self._waiting_bytes = max(0, self._waiting_bytes - n_bytes)
        if not taken:
            return None
        points = [
            MetricPoint(name, read.at_ms, value)
            for read in taken
            for name, value in self._matcher.values_of(read.data)
        ]
        return _Batch(self._budget.admit(taken), points, self._progress.take(taken))

    def _deliver(self, batch: _Batch) -> None:
        training_job_report(
            lease=self._lease,
            stream=self._stream,
            lines=batch.lines,
            points=batch.points,
            progress=batch.progress,
            truncated=self._budget.spent,
        )
        self._n_points += len(batch.points)
        self._renewed_at = time.monotonic()

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._renewed_at >= RENEW_S:
            self._see(training_job_renew(lease=self._lease))
            self._renewed_at = self._looked_at = now
        elif now - self._looked_at >= LOOK_S:
            self._see(training_job_look(lease=self._lease))
            self._looked_at = now

    def _see(self, status: TrainingJobStatus) -> None:
        if status is TrainingJobStatus.STOPPING:
            self._order = Cause.STOP

    def _forget_delivered(self) -> None:
        """Drops a batch whose commit succeeded although the answer was lost: once more, it would look like somebody
        else's writing.
        """
        if self._batch is not None and self._is_delivered(self._batch):
            self._stream.n_bytes += self._batch.n_bytes
            self._stream.n_lines += self._batch.n_lines
            self._n_points += len(self._batch.points)
            self._batch = None
        self._in_doubt = False

    def _is_delivered(self, batch: _Batch) -> bool:
        """Lines and points are committed together; past the log's limit there are points alone, or neither: to set the
        same progress again does no harm.
        """
        if batch.lines:
            there = LogStream.objects.values_list("n_bytes", "n_lines").get(pk=self._stream.pk)
            return there == (self._stream.n_bytes + batch.n_bytes, self._stream.n_lines + batch.n_lines)
        if batch.points:
            return metric_points_count(job_id=self._lease.job_id) == self._n_points + len(batch.points)
        return False


class ProgressHistory:
    """The progress lines of one attempt, as the service's algorithms print them."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque(maxlen=PROGRESS_KEPT)

    def take(self, lines: Sequence[LogLines]) -> dict[str, Any] | None:
        """`TrainingJob.progress` after `lines`; None where they say nothing of it."""
        said = None
        for read in lines:
            matches = _PROGRESS.findall(read.data) if b"#progress_metric" in read.data else []
            reports = [(percent, unit) for text, unit in matches if (percent := _percent(text)) is not None]
            for percent, unit in reports[-1:]:
                self._keep(read.at_ms, percent / 100)
                said = {"fraction": percent / 100, "text": f"{percent:g} % of {unit.decode()}"}
        return None if said is None else {**said, "recent": [list(report) for report in self._recent]}

    def _keep(self, at_ms: int, fraction: float) -> None:
        """A job that reports many times a second would otherwise fill the history with one moment."""
        if len(self._recent) > 1 and at_ms - self._recent[-2][0] < 1000:
            self._recent.pop()
        self._recent.append((at_ms, fraction))


def _percent(text: bytes) -> float | None:
    try:
        return min(100.0, max(0.0, float(text)))
    except ValueError:
        return None
