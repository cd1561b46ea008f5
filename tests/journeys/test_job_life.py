"""Jobs that do not simply complete: stopped, out of time, waiting for nobody, over the limit, failed by their data."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.street import Street, refused, unique
from tests.polling import wait_until

LONG = {"k": 2000, "sample_size": 30_000, "mini_batch_size": 20}


@pytest.fixture(scope="module")
def large(street: Street) -> Iterator[str]:
    """A table that k-NN with many neighbours needs a long time to score against itself."""
    draw = random.Random(7)
    rows = (f"{n % 3},{draw.random():.4f},{draw.random():.4f},{draw.random():.4f}" for n in range(30_000))
    street.dataset("large", "\n".join(rows).encode(), header="false", label="0")
    yield "large"
    street.delete("datasets/large/")


@pytest.mark.parametrize("input_mode", ["File", "Pipe"])
def test_a_running_job_stops_when_asked(street: Street, large: str, input_mode: str) -> None:
    name = unique("stop")
    channel = {"dataset": large, "input_mode": input_mode}
    street.job_start(name, train=large, hyperparameters=LONG, channels={"train": channel, "test": channel})
    wait_until(
        lambda: "Searching index" in street.log(name),
        timeout_s=30,
        every_s=0.05,
        what=lambda: f"the job at work: {street.job(name)}\n{street.log(name)}",
    )
    refused(street.delete(f"training-jobs/{name}/"), status=409, words=("InProgress",))
    begun = time.monotonic()
    assert street.post(f"training-jobs/{name}/stop/").json["status"] in {"Stopping", "Stopped"}
    job = street.job_ended(name)
    assert (job["status"], job["secondary_status"]) == ("Stopped", "Stopped")
    assert time.monotonic() - begun < 10
    assert job["failure"] is None
    assert street.post(f"training-jobs/{name}/stop/").json == job
    refused(street.post("training-jobs/iris-knn/stop/"), status=409, words=("Completed",))
    assert street.platform.job_processes() == []


def test_a_job_over_its_maximum_run_time_is_stopped_and_says_so(street: Street, large: str) -> None:
    name = unique("time")
    street.job_start(name, train=large, test=large, hyperparameters=LONG, max_runtime_s=2)
    job = street.job_ended(name)
    assert (job["status"], job["secondary_status"]) == ("Stopped", "MaxRuntimeExceeded")
    assert job["failure"]["kind"] == "TimeLimit"
    assert "2 s" in job["failure"]["reason"]
    assert job["billable_s"] in {2, 3, 4}


def test_a_job_killed_from_outside_says_by_which_signal(street: Street, large: str) -> None:
    name = unique("killed")
    street.job_start(name, train=large, test=large, hyperparameters=LONG)
    wait_until(lambda: "Searching index" in street.log(name), timeout_s=30, what="the job at work")
    for process in street.platform.job_processes():
        process.send_signal(signal.SIGKILL)
    job = street.job_ended(name)
    failure = job["failure"]
    assert (job["status"], failure["kind"], failure["signal"]) == ("Failed", "KilledBySignal", "SIGKILL")
    assert "Searching index" in failure["log_tail"][-1]
    assert street.log(name).splitlines()[failure["first_line"] - 1] == failure["log_tail"][0]


def test_a_log_line_without_end_is_cut_and_the_job_goes_on(street: Street, large: str) -> None:
    """The line is written into the output of the running job, as a script of a user might."""
    name = unique("line")
    street.job_start(name, train=large, test=large, hyperparameters=LONG)
    wait_until(lambda: "Searching index" in street.log(name), timeout_s=30, what="the job at work")
    (process,) = street.platform.job_processes()
    with Path(f"/proc/{process.pid}/fd/1").open("wb", buffering=0) as output:
        for _ in range(8):
            output.write(b"endless " * 131_072)
        output.write(b"\nand on it goes\n")
    wait_until(lambda: "and on it goes" in street.log(name), timeout_s=20, what="the line after it")
    assert street.job(name)["status"] == "InProgress"
    street.post(f"training-jobs/{name}/stop/")
    street.job_ended(name)
    (line,) = (found for found in street.log(name).splitlines() if found.startswith("endless"))
    assert 64 * 1024 <= len(line) < 65 * 1024
    assert line.endswith(f"[line cut here: {8 * 1024 * 1024 - 64 * 1024:,} more bytes left out]")


def test_a_dataset_that_a_job_reads_is_not_deleted(street: Street, large: str) -> None:
    name = unique("reads")
    street.job_start(name, train=large, test=large, hyperparameters=LONG)
    try:
        refused(street.delete(f"datasets/{large}/"), status=409, words=(name,))
    finally:
        street.post(f"training-jobs/{name}/stop/")
        street.job_ended(name)


def test_a_queue_that_nobody_serves_is_said_and_the_limit_has_a_number(street: Street) -> None:
    names = [unique(f"gpu{n}") for n in range(4)]
    for name in names:
        job = street.job_start(name, train="iris-train", instance_type="ml.p2.xlarge")
        assert job["queue"] == "gpu"
        assert "gpu" in job["waiting_reason"], job["waiting_reason"]
    before = street.traces()
    fifth = street.job_request(unique("gpu"), train="iris-train", instance_type="ml.p2.xlarge")
    problem = refused(
        street.post("training-jobs/", fifth), field="instance_type", words=("ml.p2.xlarge", "is 4")
    )
    assert problem["code"] == "ResourceLimitExceeded"
    assert street.traces() == before
    in_use = {item["name"]: item["in_use"] for item in street.client.get("instance-types/").json["items"]}
    assert in_use["ml.p2.xlarge"] == 4
    for name in names:
        assert street.post(f"training-jobs/{name}/stop/").json["status"] == "Stopped"
        assert street.job(name)["billable_s"] in {0, None}
        assert street.delete(f"training-jobs/{name}/").status == 204


@pytest.mark.parametrize(
    ("content", "row", "column", "words"),
    [
        pytest.param(b"0,1,2\n1,3,4\n1,five,6\n", 3, "c1", ("five",), id="text"),
        pytest.param(b"0,1,2\n1,3,\n", 2, "c2", ("missing",), id="a missing cell"),
        pytest.param(b"0,1,2\nNaN,3,4\n", 2, "c0", (), id="a missing label"),
        pytest.param(b"0,1,2\n1,3,4,5\n", 2, None, ("4", "3"), id="ragged"),
        pytest.param(b"label,a,b\n0,1,2\n", 1, "c0", ("label",), id="a header where there is to be none"),
        pytest.param(b"0,1,2\n1,inf,3\n", 2, "c1", (), id="infinity"),
    ],
)
def test_bad_data_behind_an_address_fails_the_job_with_row_and_column(
    street: Street, content: bytes, row: int, column: str | None, words: tuple[str, ...]
) -> None:
    """Data that no upload has looked into: an object given by its address, read as the service reads it."""
    name = unique("uri")
    job = street.job_start(
        name,
        train="-",
        channels={"train": {"uri": street_object(street, name, content)}},
        hyperparameters={"k": 1},
    )
    job = street.job_ended(name)
    failure = job["failure"]
    assert (job["status"], failure["kind"]) == ("Failed", "DataError"), job
    assert (failure["row"], failure["column"]) == (row, column), failure
    for word in words:
        assert word in failure["reason"], failure
    assert failure["log_tail"]
    assert job["artifact_uri"] is None
    refused(
        street.post("models/", {"name": name, "training_job": name}), field="training_job", words=("Failed",)
    )


def test_a_cell_without_end_does_not_fill_log_or_failure(street: Street) -> None:
    name = unique("endless")
    content = b"0,1,2\n1," + b"9e" * 2_000_000 + b",3\n"
    street.job_start(name, train="-", channels={"train": {"uri": street_object(street, name, content)}})
    job = street.job_ended(name)
    assert job["failure"]["kind"] == "DataError", job["failure"]["kind"]
    assert job["failure"]["row"] == 2
    assert len(str(job)) < 20_000
    assert len(street.log(name)) < 200_000


def test_a_clone_has_the_same_request_and_the_same_result(street: Street) -> None:
    name = unique("again")
    first = street.job("iris-knn")
    channels = {key: {"dataset": value["dataset"]} for key, value in first["channels"].items()}
    job = street.job_completed(name, train="-", channels=channels, hyperparameters=first["hyperparameters"])
    assert job["final_metrics"]["test:accuracy"] == first["final_metrics"]["test:accuracy"]
    assert job["hyperparameters"] == first["hyperparameters"]


def test_a_metric_of_ones_own_is_found_in_the_log(street: Street) -> None:
    name = unique("metric")
    definitions = [{"name": "rows", "regex": r"Done searching index for (\d+) rows"}]
    job = street.job_completed(name, train="iris-train", test="iris-test", metric_definitions=definitions)
    assert job["final_metrics"]["rows"] == 38
    series = {item["name"]: item for item in street.get(f"training-jobs/{name}/metrics/").json["items"]}
    assert [point[2] for point in series["rows"]["points"]] == [38.0]


def street_object(street: Street, name: str, content: bytes) -> str:
    """The address of an object in the project's bucket, put there as its owner may: past the platform."""
    bucket = street.get("datasets/iris/").json["uri"].split("/")[2]
    path = street.platform.data_dir / "store" / bucket / "mine" / f"{name}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"s3://{bucket}/mine/{name}.csv"
