"""Jobs whose channels are LibSVM text under a URI."""

from __future__ import annotations

import re

import pytest

from jobs.models import TrainingJob
from jobs.services.channels import ChannelRequest
from jobs.services.execution import training_job_run
from jobs.services.worker_state import WorkerState
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.logs import log_read
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import Cast, job_make

TRAIN = "".join(f"{n % 2} 0:{n / 10}{f' 3:{n}' if n % 2 else ''}  # row {n}\n" for n in range(40))
VALIDATION = "1 0:2.1\n0 1:1\n"
XGBOOST = {"num_round": "3", "objective": "binary:logistic"}
LINEAR = {"predictor_type": "binary_classifier", "epochs": "1"}


def _job(cast: Cast, algorithm: str, values: dict[str, str], **texts: str) -> TrainingJob:
    channels = {}
    for name, text in texts.items():
        address = uri(cast.alice.project.bucket, f"sparse/{name}.libsvm")
        object_store().put_bytes(text.encode(), address)
        channels[name] = ChannelRequest(uri=address, content_type="text/libsvm")
    return job_make(cast.alice, algorithm, algorithm=algorithm, hyperparameters=values, channels=channels)


def _run(job: TrainingJob, worker: WorkerState) -> str:
    training_job_run(job_id=job.pk, worker=worker)
    job.refresh_from_db()
    return log_read(stream=job.log).text


def test_absent_is_missing_for_xgboost_and_zero_for_others(threads_cast: Cast, worker: WorkerState) -> None:
    """Both channels are as wide as the largest index of train; the file of the other does not reach it."""
    job = _job(threads_cast, "xgboost", XGBOOST, train=TRAIN, validation=VALIDATION)
    text = _run(job, worker)
    assert job.status == "Completed", text
    assert re.search(r"train data: 40x4 matrix, 100 values missing", text), text
    assert re.search(r"validation data: 2x4 matrix, 6 values missing", text), text
    job = _job(threads_cast, "linear-learner", LINEAR, train=TRAIN)
    text = _run(job, worker)
    assert job.status == "Completed", text


def test_what_is_wrong_ends_the_job_with_its_row(threads_cast: Cast, worker: WorkerState) -> None:
    job = _job(threads_cast, "xgboost", XGBOOST, train=TRAIN, validation=VALIDATION + "1 4:1\n")
    _run(job, worker)
    assert job.failure is not None
    assert (job.failure["kind"], job.failure["row"], job.failure["column"]) == ("DataError", 3, "4")
    assert "has index 4; with 4 columns the largest is 3 (validation channel)" in job.failure["reason"]


def test_a_pipe_is_refused_and_so_is_an_algorithm_without_labels(cast: Cast) -> None:
    address = uri(cast.alice.project.bucket, "train.libsvm")
    object_store().put_bytes(TRAIN.encode(), address)
    pipe = ChannelRequest(uri=address, content_type="text/x-libsvm", input_mode="Pipe")
    with pytest.raises(InvalidRequest, match="does not go with text/x-libsvm, which is read twice; use File"):
        job_make(cast.alice, "piped", algorithm="xgboost", hyperparameters=XGBOOST, channels={"train": pipe})
    file = ChannelRequest(uri=address, content_type="text/libsvm")
    with pytest.raises(InvalidRequest, match="'text/libsvm' is not supported"):
        values = {"k": "2", "feature_dim": "4"}
        job_make(cast.alice, "groups", algorithm="kmeans", hyperparameters=values, channels={"train": file})
