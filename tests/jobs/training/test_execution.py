"""Attempts with real job processes, from claim to recorded outcome."""

from __future__ import annotations

import io
import json
import tarfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from django.db import OperationalError, connections, transaction

from jobs.models import TrainingJob
from jobs.selectors.training import training_job_artifact, training_job_metrics
from jobs.services import execution
from jobs.services.channels import ChannelRequest
from jobs.services.clearing import work_dir
from jobs.services.execution import training_job_run
from jobs.services.lifecycle import ATTEMPTS_MAX
from jobs.services.sweeping import sweep_leases
from jobs.services.training import training_job_stop
from jobs.services.worker_state import WorkerState
from mlplatform.core import clock
from mlplatform.core.errors import TransientError
from mlplatform.core.logs import log_read
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import ObjectStore
from tests.databases import sqlite_only
from tests.jobs.training.cast import KNN, ROWS, Cast, dataset_make, job_make, store_path
from tests.jobs.training.scripts import FOREVER, MODEL, Running, program, run
from tests.polling import wait_until


def folders_of(job: TrainingJob) -> list[Path]:
    return [path for path in work_dir().iterdir() if job.uid in path.name]


def test_a_job_trains_and_leaves_model_log_metrics_and_events(
    threads_cast: Cast, worker: WorkerState
) -> None:
    job = job_make(threads_cast.alice, "flags-knn")

    assert training_job_run(job_id=job.pk, worker=worker)

    job.refresh_from_db()
    text = log_read(stream=job.log).text
    assert (job.status, job.failure) == ("Completed", None), text
    assert [event.secondary_status for event in job.events.all()] == [
        "Pending",
        "Starting",
        "Downloading",
        "Training",
        "Uploading",
        "Completed",
    ]
    assert "#quality_metric: host=algo-1, test accuracy <score>=1" in text
    assert job.final_metrics["test:accuracy"] == 1.0
    assert [series.name for series in training_job_metrics(job=job)] >= ["test:accuracy"]
    assert job.progress["fraction"] == 1.0
    assert job.billable_s is not None and job.billable_s >= 1
    assert log_read(stream=job.log).end
    assert not folders_of(job)
    chunks, filename, size = training_job_artifact(actor=threads_cast.alice, name="flags-knn")
    data = b"".join(chunks)
    assert (filename, size) == ("flags-knn-model.tar.gz", len(data))
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        names = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert names == [
        "manifest.json",
        "model_algo-1",
        "model_algo-1.json",
        "model_algo-1.labels",
        "model_algo-1.rows",
    ]
    assert manifest["engine"]["name"] == "flat"
    assert manifest["engine"]["reason"] in text
    assert manifest["label_mapping"] == {"no": 0, "yes": 1}
    assert manifest["feature_names"] == ["a", "b"]
    assert set(manifest["files"]) == set(names) - {"manifest.json"}


def test_a_pipe_channel_trains_like_a_file(threads_cast: Cast, worker: WorkerState) -> None:
    channels = {name: ChannelRequest(dataset="flags", input_mode="Pipe") for name in ("train", "test")}
    job = job_make(threads_cast.alice, "piped", channels=channels)
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert job.status == "Completed", log_read(stream=job.log).text
    assert job.final_metrics["test:accuracy"] == 1.0


def test_objects_under_an_address_train_as_the_service_reads_them(
    threads_cast: Cast, worker: WorkerState
) -> None:
    folder = uri(threads_cast.alice.project.bucket, "tables")
    for part in range(2):
        rows = "".join(f"{n % 2},{n % 2 + n / 100},{part}\n" for n in range(20))
        object_store().put_bytes(rows.encode(), f"{folder}/part{part}.csv")
    job = job_make(threads_cast.alice, "from-uri", channels={"train": ChannelRequest(uri=folder)})
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert job.status == "Completed", log_read(stream=job.log).text


def test_labels_of_the_test_channel_mean_what_they_mean_in_train(
    threads_cast: Cast, worker: WorkerState
) -> None:
    """The test table has only `yes`, which by itself would be label 0; in train it is 1."""
    dataset_make(threads_cast.alice)
    dataset_make(threads_cast.alice, "only-yes", rows=[row for row in ROWS if row[2] == "yes"])
    channels = {"train": ChannelRequest(dataset="flags"), "test": ChannelRequest(dataset="only-yes")}
    job = job_make(threads_cast.alice, "mapped", channels=channels)
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert job.final_metrics["test:accuracy"] == 1.0


def test_bad_data_fails_with_its_row_and_column(threads_cast: Cast, worker: WorkerState) -> None:
    dataset_make(threads_cast.alice, "flags", text="a,b,flag\n1,2,yes\n3,oops,no\n5,6,yes\n")
    job = job_make(threads_cast.alice, "bad-data", hyperparameters={**KNN, "sample_size": "3"})
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert (job.status, job.artifact_uri) == ("Failed", "")
    assert job.failure is not None
    assert (job.failure["kind"], job.failure["row"], job.failure["column"]) == ("DataError", 2, "b")
    assert "oops" in str(job.failure)


def test_data_deleted_before_the_start_is_said(threads_cast: Cast, worker: WorkerState) -> None:
    job = job_make(threads_cast.alice, "gone")
    object_store().delete([given.uri for given in job.inputs.all()])
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert job.failure is not None
    assert job.failure["kind"] == "ClientError"
    assert "flags@1 is no longer there" in job.failure["reason"]


def test_metrics_are_read_by_the_jobs_own_expressions(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    definitions = [{"name": "loss", "regex": r"loss=(\S+)"}, {"name": "rate", "regex": r"rate: ([0-9.]+)"}]
    job = job_make(threads_cast.alice, "metrics", metric_definitions=definitions)
    run(
        job,
        worker,
        tmp_path,
        """
        for n in range(1200): print(f"epoch {n} loss={1 / (n + 1)} rate: 0.{n % 10}")
        print("loss=nan"); print("loss=many"); print("#progress_metric: host=algo-1, completed 40 % of epochs")
        open("model/weights", "w").write("w")
        """,
    )
    loss, rate = training_job_metrics(job=job)
    assert (loss.name, loss.n_points, loss.last, loss.minimum, loss.maximum) == (
        "loss",
        1201,
        None,
        1 / 1200,
        1.0,
    )
    assert [point[1] for point in loss.points] == list(range(1201))
    assert (rate.n_points, rate.last) == (1200, 0.9)
    assert job.final_metrics == {"rate": 0.9}


def test_stopping_a_running_job_ends_its_process_and_keeps_what_it_saved(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "stop-me")
    script = """
    import signal, sys, time
    def save(*_): open("model/weights", "w").write("half"); print("saved", flush=True); sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    print("ready", flush=True)
    while True: time.sleep(0.05)
    """
    running = Running(job, worker, program(tmp_path, script))
    wait_until(lambda: "ready" in log_read(stream=job.log).text, what="the first line")
    training_job_stop(actor=threads_cast.alice, name="stop-me")
    ended = running.end()
    assert (ended.status, ended.secondary_status) == ("Stopped", "Stopped")
    assert ended.manifest is not None
    assert list(ended.manifest["files"]) == ["weights"]
    assert ended.artifact_bytes == object_store().size(ended.artifact_uri)


def test_what_a_job_says_of_its_model_is_in_the_manifest_behind_what_the_platform_knows(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    script = f"""
    import json
    {MODEL}
    facts = {{"engine": {{"name": "own"}}, "algorithm": "other", "files": {{}}}}
    json.dump(facts, open("output/model_facts.json", "w"))
    """
    ended = run(job_make(threads_cast.alice, "facts"), worker, tmp_path, script)
    assert ended.manifest is not None
    assert ended.manifest["engine"] == {"name": "own"}
    assert ended.manifest["algorithm"] == "knn"
    assert set(ended.manifest["files"]) == {"weights"}


def test_the_maximum_run_time_is_a_stop_with_its_cause(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = run(job_make(threads_cast.alice, "slow", max_runtime_s=1), worker, tmp_path, FOREVER)
    assert (job.status, job.secondary_status) == ("Stopped", "MaxRuntimeExceeded")
    assert job.failure is not None
    assert job.failure["kind"] == "TimeLimit"
    assert job.artifact_uri == ""


def test_a_worker_that_shuts_down_gives_its_job_back(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "moved")
    running = Running(job, worker, program(tmp_path, FOREVER))
    wait_until(lambda: "ready" in log_read(stream=job.log).text, what="the first line")
    worker.shut_down()
    assert (running.end().status, job.secondary_status, job.lease_owner) == ("InProgress", "Pending", "")
    assert not training_job_run(job_id=job.pk, worker=worker)
    run(job, WorkerState(name="worker-2"), tmp_path, MODEL)
    assert (job.status, job.attempt) == ("Completed", 2)
    text = log_read(stream=job.log).text
    assert text.splitlines() == ["ready", "[attempt 2]"]
    assert log_read(stream=job.log).end


def test_an_attempt_that_lost_its_lease_ends_its_process_and_writes_nothing(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "lost")
    running = Running(job, worker, program(tmp_path, FOREVER))
    wait_until(lambda: "ready" in log_read(stream=job.log).text, what="the first line")
    TrainingJob.objects.filter(pk=job.pk).update(lease_expires_at=clock.now() - timedelta(seconds=1))
    assert sweep_leases() == 1
    assert (running.end().status, job.secondary_status, job.attempt) == ("InProgress", "Pending", 1)
    assert not folders_of(job)
    assert not [process for process in psutil.process_iter() if str(tmp_path) in " ".join(_command(process))]


def test_a_log_over_its_limit_says_so_and_keeps_the_metrics_coming(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    settings.MLPLATFORM_LOG_LIMIT_BYTES = 10_000
    job = job_make(threads_cast.alice, "chatty", metric_definitions=[{"name": "n", "regex": r"^n=(\d+)"}])
    run(job, worker, tmp_path, f"for n in range(5000): print(f'n={{n}}', 'x' * 20)\n{MODEL}")
    job.refresh_from_db()
    text = log_read(stream=job.log).text
    assert len(text) < 10_300
    assert "reached its limit of 10,000 bytes" in text
    assert text.rstrip().endswith("lines were left out above: log limit]")
    assert job.log.truncated
    assert job.final_metrics == {"n": 4999.0}


@sqlite_only
def test_lines_wait_while_the_database_is_locked(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    """Another connection holds SQLite's write lock for longer than the busy timeout."""
    job = job_make(threads_cast.alice, "patient")
    script = f"""
    import time
    print("ready", flush=True)
    for n in range(200): print("line", n, flush=True); time.sleep(0.01)
    {MODEL}
    """
    patient = connections.databases["default"]["OPTIONS"]
    connections.databases["default"]["OPTIONS"] = patient | {"timeout": 0.2}
    try:
        running = Running(job, worker, program(tmp_path, script))
        wait_until(lambda: "ready" in log_read(stream=job.log).text, what="the first line")
        with transaction.atomic():
            TrainingJob.objects.filter(pk=-1).update(attempt=0)
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                time.sleep(0.05)
        ended = running.end()
    finally:
        connections.databases["default"]["OPTIONS"] = patient
    assert ended.status == "Completed", ended.failure
    assert log_read(stream=job.log).text == "ready\n" + "".join(f"line {n}\n" for n in range(200))


def test_a_model_that_cannot_be_stored_is_tried_again_and_then_said(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, settings: Any
) -> None:
    job = job_make(threads_cast.alice, "no-store")
    folder = store_path(uri(threads_cast.alice.project.bucket, "training-jobs"))
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.write_text("in the way of the folder")
    try:
        for attempt in range(1, ATTEMPTS_MAX):
            assert run(job, worker, tmp_path, MODEL).secondary_status == "Pending"
            assert job.attempt == attempt
        run(job, worker, tmp_path, MODEL)
    finally:
        folder.unlink()
    assert (job.status, job.artifact_uri) == ("Failed", "")
    assert job.failure is not None
    assert job.failure["kind"] == "InternalError"
    assert "object store" in job.failure["reason"]


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ("raise KeyError('loss')", "Exception"),
        ("import os; os.kill(os.getpid(), 9)", "KilledBySignal"),
        ("import os; os.kill(os.getpid(), 11)", "KilledBySignal"),
        ("print('done')", "NoModel"),
    ],
)
def test_every_way_to_fail_is_recorded(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, script: str, kind: str
) -> None:
    job = run(job_make(threads_cast.alice, "fails"), worker, tmp_path, script)
    assert job.status == "Failed"
    assert job.failure is not None
    assert job.failure["kind"] == kind
    assert job.failure_reason.startswith(f"{kind}: ")
    assert [event.secondary_status for event in job.events.all()][-1] == "Failed"


def test_the_process_sees_the_jobs_variables_and_no_secret(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path
) -> None:
    job = job_make(threads_cast.alice, "env", environment={"MY_FLAG": "on"})
    run(
        job,
        worker,
        tmp_path,
        f"import os\nprint(sorted(os.environ), os.environ['MY_FLAG'], os.getcwd())\n{MODEL}",
    )
    text = log_read(stream=job.log).text
    assert "MY_FLAG" in text
    assert "DJANGO" not in text
    assert "MLPLATFORM_DATA_DIR" not in text


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_the_model_is_kept_when_only_the_answer_to_its_commit_is_lost(
    threads_cast: Cast, worker: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = execution.training_job_finish

    def finish_without_answer(**values: Any) -> None:
        finish(**values)
        raise OperationalError("the connection was lost")

    monkeypatch.setattr(execution, "training_job_finish", finish_without_answer)
    job = job_make(threads_cast.alice, "flags-knn")
    assert training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert job.status == "Completed"
    assert store_path(job.artifact_uri).exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"instance_type": "ml.gone"}, "ml.gone"),
        ({"algorithm": "gone"}, "gone"),
        ({"metric_definitions": [{"name": "loss", "regex": "(" * 3}]}, "The platform could not run the job"),
    ],
)
def test_a_job_that_cannot_begin_fails_at_once_with_the_reason(
    threads_cast: Cast, worker: WorkerState, changes: dict[str, Any], reason: str
) -> None:
    """What was accepted may no longer be known to the worker: an older one, or another configuration."""
    job = job_make(threads_cast.alice, "unknown")
    TrainingJob.objects.filter(pk=job.pk).update(**changes)
    assert training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    assert (job.status, job.attempt, job.lease_owner) == ("Failed", 1, "")
    assert job.failure is not None
    assert job.failure["kind"] == "InternalError" and reason in job.failure["reason"]
    assert log_read(stream=job.log).end


def test_a_store_that_is_away_at_the_beginning_gives_the_job_back_until_the_last_attempt(
    threads_cast: Cast, worker: WorkerState, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise TransientError("The object store is away")

    monkeypatch.setattr(execution, "object_store", away)
    job = job_make(threads_cast.alice, "patient")
    for attempt in range(1, ATTEMPTS_MAX + 1):
        job.refresh_from_db()
        assert (job.secondary_status, job.lease_owner) == ("Pending", "")
        assert training_job_run(job_id=job.pk, worker=worker)
        job.refresh_from_db()
        assert job.attempt == attempt
    assert (job.status, job.failure_reason) == ("Failed", "InternalError: The object store is away")


def test_a_store_that_goes_away_before_the_data_is_looked_for_is_waited_for(
    threads_cast: Cast, worker: WorkerState, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    settings.MLPLATFORM_STORE_PATIENCE_S = 60
    job = job_make(threads_cast.alice, "patient")
    looked = ObjectStore.size
    is_away = True

    def size(store: ObjectStore, uri: str) -> Any:
        if is_away:
            raise TransientError(f"The object store could not look for {uri}")
        return looked(store, uri)

    monkeypatch.setattr(ObjectStore, "size", size)
    running = Running(job, worker, program(tmp_path, MODEL))
    wait_until(lambda: any("waits for it" in event.message for event in job.events.all()), timeout_s=30)
    is_away = False
    ended = running.end()
    assert (ended.status, ended.attempt) == ("Completed", 1)
