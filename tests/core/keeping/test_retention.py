"""Retention: what is old goes, in small steps; what is younger, runs, or is a summary stays; and it is told."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models import ProtectedError

from endpoints.models import (
    Endpoint,
    EndpointConfig,
    EndpointMetric,
    Model,
    ProductionVariant,
    Replica,
    TableRun,
)
from jobs.models import MetricChunk, MetricSummary, TrainingJob
from jobs.runner.outcome import Outcome
from jobs.selectors.metrics import training_job_metrics
from jobs.services.lifecycle import training_job_claim, training_job_finish, training_job_report
from jobs.services.metrics import MetricPoint
from mlplatform.core import clock
from mlplatform.core.keeping import retention
from mlplatform.core.keeping.retention import retention_rules, retention_sweep
from mlplatform.core.keeping.sweeps import Lane, sweep_now, sweeps_turn
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import log_download, log_read, log_search, log_stream_create, log_tail
from mlplatform.core.models import AuditEvent, IdempotentRequest, LogChunk, Session, SweepState
from mlplatform.core.names import uid_new, uri
from mlplatform.core.status import SecondaryStatus, TrainingJobStatus
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import Cast, cast_make, dataset_make, job_make
from tests.jobs.training.processes import python_running

_FORTY_MEBIBYTES = """
import django; django.setup()
from django.conf import settings
from django.db import connection
from mlplatform.core.keeping.floor import database_sweep
with connection.cursor() as cursor:
    cursor.execute("CREATE TABLE big (data BLOB)")
    for _ in range(40):
        cursor.execute("INSERT INTO big VALUES (zeroblob(1048576))")
    cursor.execute("DROP TABLE big")
    while (swept := database_sweep()).again:
        pass
    cursor.execute("PRAGMA page_count")
    print(cursor.fetchone()[0] * 4096 < 16 * 1024 * 1024)
    cursor.execute("PRAGMA freelist_count")
    print(cursor.fetchone()[0] >= 2_500 - 1_000)
    cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
    cursor.execute("CREATE TABLE small (n)")
print((settings.DATA_DIR / "db.sqlite3-wal").stat().st_size <= 64 * 1024 * 1024)
"""
COMPLETED = Outcome(TrainingJobStatus.COMPLETED, SecondaryStatus.COMPLETED, "Training job completed")
DAYS = 90
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def folders(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path
    settings.OBJECT_STORE_URL = f"file://{tmp_path / 'store'}"


@pytest.fixture
def cast() -> Cast:
    return cast_make()


def _job(cast: Cast, name: str, *, ended_days_ago: float | None) -> TrainingJob:
    """A job with a log of two lines and two points; ended so long ago, or running."""
    job = job_make(cast.alice, name)
    lease = training_job_claim(job_id=job.pk, owner="w")
    assert lease is not None
    points = [MetricPoint("loss", 0, 2.0), MetricPoint("loss", 1, 1.0)]
    lines = [LogLines.of("first line", 0), LogLines.of("loss=1", 1)]
    training_job_report(lease=lease, stream=job.log, lines=lines, points=points)
    if ended_days_ago is not None:
        training_job_finish(lease=lease, outcome=COMPLETED)
        _set(job, ended_at=clock.now() - timedelta(days=ended_days_ago))
    job.refresh_from_db()
    return job


def _set(row: Any, **values: Any) -> None:
    type(row).objects.filter(pk=row.pk).update(**values)


def test_logs_and_points_of_jobs_that_ended_long_ago_go_and_the_rest_stays(cast: Cast) -> None:
    old, young, running = (
        _job(cast, "old", ended_days_ago=DAYS + 1),
        _job(cast, "young", ended_days_ago=DAYS - 1),
        _job(cast, "running", ended_days_ago=None),
    )
    TrainingJob.objects.filter(pk=running.pk).update(created_at=clock.now() - timedelta(days=400))
    swept = retention_sweep()
    assert set(swept.detail) == {"training_job_logs", "training_job_metrics"} and not swept.again
    for job in (young, running):
        assert log_read(stream=job.log).text == "first line\nloss=1\n"
        assert len(training_job_metrics(job=job)[0].points) == 2
    job = TrainingJob.objects.get(pk=old.pk)
    assert job.final_metrics == {"loss": 1.0} and job.events.count() >= 3
    series = training_job_metrics(job=job)[0]
    assert (series.n_points, series.minimum, series.points, series.points_removed) == (2, 1.0, [], True)
    assert MetricSummary.objects.filter(job=job).exists() and not MetricChunk.objects.filter(job=job).exists()
    assert retention_sweep().n_done == 0


def test_a_log_that_was_removed_says_so_wherever_it_is_read(cast: Cast) -> None:
    job = _job(cast, "old", ended_days_ago=DAYS + 1)
    n_bytes = job.log.n_bytes
    retention_sweep()
    job.log.refresh_from_db()
    assert job.log.removed_at and (job.log.n_bytes, job.log.n_lines) == (n_bytes, 2)
    for piece in (log_read(stream=job.log), log_read(stream=job.log, after=3), log_tail(stream=job.log)):
        assert (piece.text, piece.next, piece.end) == ("", n_bytes, True)
        assert piece.removed_at == job.log.removed_at
    assert log_search(stream=job.log, pattern="first") == []
    assert b"".join(log_download(stream=job.log)).startswith(b"[The log was removed on ")


def test_an_empty_log_is_not_said_to_have_been_removed(cast: Cast) -> None:
    job = job_make(cast.alice, "silent")
    _set(job, status=TrainingJobStatus.STOPPED, ended_at=clock.now() - timedelta(days=DAYS + 1))
    retention_sweep()
    assert log_read(stream=job.log).removed_at is None


def test_traffic_runs_and_logs_of_replicas_go_by_their_own_settings(cast: Cast, settings: Any) -> None:
    settings.MLPLATFORM_KEEP_TRAFFIC_DAYS = 7
    endpoint, replica, gone = _endpoint(cast)
    now = clock.now()
    for days in (8, 6):
        EndpointMetric.objects.create(endpoint=endpoint, variant="v", minute_at=now - timedelta(days=days))
    version = dataset_make(cast.alice, "rows")
    runs = {
        days: TableRun.objects.create(
            endpoint=endpoint,
            dataset_version=version,
            uid=uid_new(),
            status="Completed",
            result_uri=_stored(cast),
            created_by=cast.alice.user,
            created_at=now - timedelta(days=days),
            ended_at=now - timedelta(days=days),
        )
        for days in (DAYS + 1, DAYS - 1)
    }
    retention_sweep()
    assert [(now - row.minute_at).days for row in EndpointMetric.objects.all()] == [6]
    assert list(TableRun.objects.all()) == [runs[DAYS - 1]]
    assert object_store().size(runs[DAYS + 1].result_uri) is None
    assert object_store().size(runs[DAYS - 1].result_uri)
    replica.log.refresh_from_db()
    gone.log.refresh_from_db()
    assert replica.log.removed_at is None and gone.log.removed_at is not None


def test_what_nobody_asks_for_any_more_goes(cast: Cast) -> None:
    now = clock.now()
    for days in (399, 401):
        AuditEvent.objects.create(at=now - timedelta(days=days), action="x", outcome="done", face="api")
    for hours in (23, 25):
        row = IdempotentRequest.objects.create(
            project=cast.alice.project, user_id=1, key=f"k{hours}", request_sha256=""
        )
        _set(row, created_at=now - timedelta(hours=hours))
        Session.objects.create(
            session_key=f"s{hours}", session_data="", expire_date=now + timedelta(hours=24 - hours)
        )
    retention_sweep()
    assert [(now - event.at).days for event in AuditEvent.objects.filter(action="x")] == [399]
    assert [row.key for row in IdempotentRequest.objects.all()] == ["k23"]
    assert [row.session_key for row in Session.objects.all()] == ["s23"]


def test_nought_keeps_for_ever(cast: Cast, settings: Any) -> None:
    settings.MLPLATFORM_KEEP_LOGS_DAYS = settings.MLPLATFORM_KEEP_METRICS_DAYS = 0
    job = _job(cast, "old", ended_days_ago=5000)
    assert retention_sweep().n_done == 0
    assert log_read(stream=job.log).text


def test_every_rule_has_a_title_and_days() -> None:
    rules = {rule.name: rule for rule in retention_rules()}
    assert {"training_job_logs", "replica_logs", "endpoint_traffic", "table_runs", "audit_events"} <= set(
        rules
    )
    assert all(str(rule.title) for rule in rules.values())
    for_ever = {name for name, rule in rules.items() if rule.setting and not rule.days > 0}
    assert for_ever == {"captured_files", "evaluations", "transform_jobs"}


def test_a_rule_that_breaks_is_told_and_holds_up_no_other(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(cast, "old", ended_days_ago=5000)
    first = retention_rules()[0]

    def broken(before: datetime, limit: int) -> int:
        raise ProtectedError("a row is referred to", set())

    monkeypatch.setitem(retention._RULES, first.name, replace(first, remove=broken))
    with pytest.raises(ProtectedError):
        sweep_now("retention")
    assert not log_read(stream=job.log).text
    assert sweeps_turn(lane=Lane.QUICK) and SweepState.objects.get(name="retention").error.startswith(
        "ProtectedError"
    )


def test_a_long_removal_stops_at_its_time_and_goes_on_at_the_next_turn(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint, *_ = _endpoint(cast)
    retention_sweep()
    _minutes(endpoint, 40)
    monkeypatch.setattr(retention, "BATCH", 10)
    monkeypatch.setattr(retention, "BUDGET_S", 0)
    assert [sweep_now("retention").n_done for _ in range(5)][:4] == [10] * 4
    assert not EndpointMetric.objects.exists()
    state = SweepState.objects.get(name="retention")
    assert state.detail["endpoint_traffic"]["removed"] == 10


def test_others_write_while_much_is_removed(cast: Cast) -> None:
    """50,000 rows and a log of 25 MiB go; another connection writes all the while, and never waits for long."""
    endpoint, *_ = _endpoint(cast)
    _minutes(endpoint, 50_000)
    job = _job(cast, "loud", ended_days_ago=None)
    _loud_log(job)
    _set(job, status=TrainingJobStatus.COMPLETED, ended_at=clock.now() - timedelta(days=DAYS + 1))
    waits: list[float] = []
    ended = threading.Event()

    def write() -> None:
        try:
            while not ended.is_set():
                begun = time.monotonic()
                AuditEvent.objects.create(at=clock.now(), action="w", outcome="done", face="api")
                waits.append(time.monotonic() - begun)
        finally:
            connection.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while retention_sweep().again:
            pass
    finally:
        ended.set()
        writer.join(60)
    assert not EndpointMetric.objects.exists() and not LogChunk.objects.exists()
    assert len(waits) >= 20 and max(waits) < 20, f"{len(waits)} writes, the longest took {max(waits):.2f} s"


def test_free_pages_of_a_sqlite_file_go_back_to_the_disk(tmp_path: Path) -> None:
    """On a file made by our own settings, in a process of its own: 40 MiB are written and dropped."""
    variables = {"MLPLATFORM_DATA_DIR": str(tmp_path), "DATABASE_URL": "", "MLPLATFORM_FACES": "0"}
    log = tmp_path / "log"
    with python_running(log, "-c", _FORTY_MEBIBYTES, **variables) as process:
        assert process.wait(120) == 0, log.read_text()
    assert log.read_text().split() == ["True", "True", "True"]


def _minutes(endpoint: Endpoint, n: int) -> None:
    first = clock.now() - timedelta(days=DAYS + 40)
    EndpointMetric.objects.bulk_create(
        EndpointMetric(endpoint=endpoint, variant="v", minute_at=first + timedelta(minutes=number))
        for number in range(n)
    )


def _loud_log(job: TrainingJob) -> None:
    size = 256 * 1024
    LogChunk.objects.bulk_create(
        LogChunk(
            stream=job.log,
            offset=10_000 + number * size,
            n_bytes=size,
            first_line=100 + number,
            n_lines=1,
            first_at=clock.now(),
            line_times=bytes(4),
            data=bytes(size),
        )
        for number in range(100)
    )


def _stored(cast: Cast) -> str:
    address = uri(cast.alice.project.bucket, f"table-runs/{uid_new()}/rows.jsonl")
    object_store().put_bytes(b"{}", address)
    return address


def _endpoint(cast: Cast) -> tuple[Endpoint, Replica, Replica]:
    """An endpoint with a replica that serves since long ago and one that is gone, both with a log."""
    now = clock.now()
    made = {"created_by": cast.alice.user, "created_at": now}
    project = cast.alice.project
    model = Model.objects.create(
        project=project, name="m", uid=uid_new(), artifact_uri="", artifact_bytes=0, **made
    )
    config = EndpointConfig.objects.create(project=project, name="c", **made)
    variant = ProductionVariant.objects.create(config=config, name="v", model=model)
    endpoint = Endpoint.objects.create(
        project=project, name="e", uid=uid_new(), wanted=config, updated_at=now, **made
    )
    replicas = []
    for status, host in (("InService", "h"), ("Gone", "")):
        log = log_stream_create()
        _set(log, n_bytes=5, n_lines=1)
        replicas.append(
            Replica.objects.create(
                endpoint=endpoint,
                variant=variant,
                uid=uid_new(),
                index=0,
                status=status,
                host=host,
                log=log,
                created_at=now,
                ended_at=now - timedelta(days=DAYS + 1),
            )
        )
    return endpoint, replicas[0], replicas[1]
