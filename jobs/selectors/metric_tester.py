"""Metric definitions tried on the log of a job that has run: the beginning and the end of a long one.

Called by the tester of the pages and of REST; what a definition finds in a line is `jobs.metric_tester`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from jobs.metric_regex import Match, MetricMatcher, metric_definition_check
from jobs.metric_tester import MetricTest, metric_test
from jobs.selectors.training import training_job_get
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.logs import LogSlice, log_read
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import Actor
from mlplatform.core.text import text as _

MATCHES_MAX: Final = 10_000
PART_BYTES: Final = 2 * 1024**2
"""So much of a log's beginning, and as much of its end, is read."""


@dataclass(frozen=True)
class LogSample:
    """Lines of a log with their numbers; `n_left_out` lines between its beginning and its end were not read."""

    parts: tuple[LogSlice, ...]
    n_left_out: int

    def lines(self) -> Iterator[tuple[int, str]]:
        for part in self.parts:
            yield from enumerate(part.text.split("\n")[:-1], start=part.first_line)


def training_job_metric_test(
    *, actor: Actor, name: str, definitions: Sequence[Mapping[str, Any]]
) -> tuple[MetricTest, LogSample]:
    """What the definitions find in the log of the training job `name`.

    Raises:
        NotFound: no such job.
        InvalidRequest: too many definitions, or the log was removed.
    """
    sample = log_sample(stream=training_job_get(actor=actor, name=name).log)
    return metric_test(definitions, sample.lines()), sample


def training_job_metric_matches(
    *, actor: Actor, name: str, definitions: Sequence[Mapping[str, Any]]
) -> list[Match]:
    """The first `MATCHES_MAX` values that the definitions find in the log of the training job `name`.

    Raises:
        NotFound: no such job.
        InvalidRequest: a definition is refused, or the log was removed.
    """
    matcher = MetricMatcher(metric_definition_check(definitions))
    sample = log_sample(stream=training_job_get(actor=actor, name=name).log)
    found = (
        Match(metric, value, number)
        for number, line in sample.lines()
        for metric, value in matcher.values(line.encode("utf-8", "replace"))
    )
    return list(islice(found, MATCHES_MAX))


def log_sample(*, stream: LogStream, part_bytes: int = PART_BYTES) -> LogSample:
    """The first and the last `part_bytes` of a log, in whole lines. Raises InvalidRequest where it was removed."""
    head = log_read(stream=stream, limit_bytes=part_bytes)
    if head.removed_at:
        raise InvalidRequest.for_field(
            "training_job", _("its log was removed when it had been kept long enough; choose another job")
        )
    if head.next >= stream.n_bytes:
        return LogSample((head,), 0)
    after = max(head.next, stream.n_bytes - part_bytes)
    tail = log_read(stream=stream, after=after, limit_bytes=2 * part_bytes)
    return LogSample((head, tail), max(0, tail.first_line - head.first_line - head.text.count("\n")))
