"""What a job prints reaches the database once, whatever becomes of the answers."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError, connection

from jobs.metric_regex import MetricDefinition, MetricMatcher
from jobs.services import reporting
from jobs.services.lifecycle import Lease, training_job_claim
from jobs.services.reporting import Reporter
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_read
from mlplatform.core.models import LogStream
from tests.jobs.training.cast import Cast, job_make


def _reporter(lease: Lease, log_id: int, log_limit_bytes: int) -> Reporter:
    return Reporter(
        lease=lease,
        stream=LogStream.objects.get(pk=log_id),
        matcher=MetricMatcher([MetricDefinition("m", "m=([0-9.]+)")]),
        log_limit_bytes=log_limit_bytes,
        shutting_down=lambda: False,
    )


@pytest.mark.parametrize(
    ("log_limit_bytes", "kept"),
    [
        (10_000, "m=0\nm=1\nm=2\n"),
        (0, "[the log has reached its limit of 0 bytes; what follows is not kept]\n"),
    ],
    ids=["lines and points", "points alone"],
)
def test_a_batch_whose_commit_was_answered_by_nobody_is_not_delivered_again_when_the_database_is_back(
    threads_cast: Cast, monkeypatch: pytest.MonkeyPatch, log_limit_bytes: int, kept: str
) -> None:
    job = job_make(threads_cast.alice)
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    reporter = _reporter(lease, job.log_id, log_limit_bytes)
    reporter.write(LogLines.of("m=0", 0))
    reporter._turn()
    away = False
    deliver = reporting.training_job_report

    def commit_without_an_answer(**report: Any) -> None:
        nonlocal away
        stream = report["stream"]
        before = stream.n_bytes, stream.n_lines
        deliver(**report)
        stream.n_bytes, stream.n_lines = before
        away = True
        raise OperationalError("the server closed the connection")

    def execute(execute: Any, *arguments: Any) -> Any:
        if away:
            raise OperationalError("the database is away")
        return execute(*arguments)

    monkeypatch.setattr(reporting, "RETRY_S", 0)
    monkeypatch.setattr(reporting, "training_job_report", commit_without_an_answer)
    with connection.execute_wrapper(execute):
        reporter.write(LogLines.of("m=1", 0))
        reporter._turn()
        monkeypatch.setattr(reporting, "training_job_report", deliver)
        reporter.write(LogLines.of("m=2", 0))
        for _ in range(3):
            reporter._turn()
        away = False
        for _ in range(2):
            reporter._turn()
    assert log_read(stream=job.log).text == kept
    assert job.metric_summaries.get().n_points == 3
    assert reporter.order() is None
