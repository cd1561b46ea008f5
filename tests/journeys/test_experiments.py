"""A grid from one request to its tables: trained, deployed, evaluated and torn down by the platform itself."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from tests.journeys.street import Street, refused, unique
from tests.polling import wait_until

ENDS_WITHIN_S = 240.0
FLAT = {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}}
IVF = {"name": "IVF", "hyperparameters": {"index_type": "faiss.IVFFlat"}}


def grid(name: str, **changes: Any) -> dict[str, Any]:
    """Two configurations on two instance types, measured with little."""
    request = {
        "name": name,
        "train": "iris-train",
        "test": "iris-test",
        "hyperparameters": {"predictor_type": "classifier", "k": 5},
        "configurations": [FLAT, IVF],
        "sample_sizes": [112],
        "instance_types": ["local.cpu", "ml.c5.xlarge"],
        "batches": 5,
        "single_requests": 20,
    }
    return request | changes


def started(street: Street, request: dict[str, Any]) -> None:
    answer = street.post("experiments/", request)
    assert answer.status == 201, answer.text


def experiment(street: Street, name: str) -> dict[str, Any]:
    return dict(street.get(f"experiments/{name}/").json)


def ended(street: Street, name: str) -> dict[str, Any]:
    wait_until(
        lambda: experiment(street, name)["status"] in {"Completed", "Stopped"},
        timeout_s=ENDS_WITHIN_S,
        every_s=0.2,
        what=lambda: str(told(experiment(street, name))),
    )
    return experiment(street, name)


def told(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(c["status"], c["waiting_reason"], c["failure_reason"]) for c in found["cells"]]


def left(street: Street, name: str) -> list[str]:
    endpoints = street.get(f"endpoints/?search={name}").json["items"]
    return [endpoint["name"] for endpoint in endpoints]


def test_a_grid_is_measured_and_torn_down(street: Street) -> None:
    name = unique("grid")
    started(street, grid(name, parallelism=2))
    found = ended(street, name)
    assert found["status"] == "Completed", told(found)
    assert [cell["status"] for cell in found["cells"]] == ["Completed"] * 4, told(found)
    assert left(street, name) == []
    assert street.get(f"training-jobs/?search={name}").json["count"] == 2
    for cell in found["cells"]:
        evaluation = street.get(f"evaluations/{cell['evaluation']}/").json
        assert evaluation["status"] == "Completed"
        assert evaluation["instance_type"] == cell["instance_type"]
        assert evaluation["training_job"] == cell["training_job"]
        assert evaluation["quality"]["k"] == [1, 2, 3, 4, 5]
        assert cell["summary"]["value"] == evaluation["quality"]["accuracy"][-1]
        assert evaluation["quality"]["accuracy"][0] == 37 / 38
        assert evaluation["latency"]["single_mean_ms"] > 0
    accuracy = street.get(f"experiments/{name}/tables/accuracy/").json
    assert len(accuracy["columns"]) == 5 and [row["k"] for row in accuracy["rows"]] == [1, 2, 3, 4, 5]
    assert accuracy["marks"], "no value is marked as the best of its row"
    cells = street.get(f"experiments/{name}/tables/cells/?as=csv").text.splitlines()
    assert len(cells) == 5 and cells[0].startswith("cell,configuration,")
    deleted = street.delete(f"experiments/{name}/")
    assert deleted.json == {
        "n_evaluations": 4,
        "n_models": 2,
        "n_training_jobs": 2,
        "kept_models": [],
    }
    assert street.get(f"evaluations/?search={name}").json["count"] == 0


def test_the_small_preset_runs_as_it_is_on_iris(street: Street) -> None:
    name = unique("small")
    started(street, {"name": name, "preset": "knn-small", "train": "iris-train", "test": "iris-test"})
    found = ended(street, name)
    assert [(cell["configuration"], cell["status"]) for cell in found["cells"]] == [
        ("Flat", "Completed"),
        ("IVFFlat", "Completed"),
        ("HNSW32", "Completed"),
    ], told(found)
    assert all(cell["summary"]["best"] > 0.9 for cell in found["cells"])


def test_a_stopped_grid_is_resumed_where_it_was(street: Street) -> None:
    name = unique("stop")
    started(street, grid(name, single_requests=200))
    wait_until(
        lambda: experiment(street, name)["n_completed"] >= 1,
        timeout_s=ENDS_WITHIN_S,
        every_s=0.1,
        what=lambda: str(told(experiment(street, name))),
    )
    assert street.post(f"experiments/{name}/stop/").status == 200
    stopped = ended(street, name)
    assert stopped["status"] == "Stopped"
    assert {cell["status"] for cell in stopped["cells"]} <= {"Completed", "Stopped"}
    assert "Stopped" in {cell["status"] for cell in stopped["cells"]}
    assert left(street, name) == []
    kept = {cell["number"]: cell["evaluation"] for cell in stopped["cells"] if cell["status"] == "Completed"}
    assert street.post(f"experiments/{name}/resume/").json["status"] == "InProgress"
    found = ended(street, name)
    assert [cell["status"] for cell in found["cells"]] == ["Completed"] * 4, told(found)
    again = {cell["number"]: cell["evaluation"] for cell in found["cells"] if cell["number"] in kept}
    assert again == kept
    assert found["cells"][0]["training_job"] == stopped["cells"][0]["training_job"]
    assert left(street, name) == []
    refused(street.post(f"experiments/{name}/resume/"), status=409, words=("nothing left",))


def test_a_cell_whose_job_is_killed_fails_with_the_signal_and_the_others_go_on(street: Street) -> None:
    """A job of so few rows would be over before it is found: it gets a process that waits, and has been suspended."""
    name = unique("killed")
    street.job_completed(unique("before"), train="iris-train", test="iris-test")
    wait_until(lambda: bool(street.platform.waiting_processes("knn")), what="a process that waits for a job")
    suspended = street.platform.waiting_processes("knn")
    for process in suspended:
        process.suspend()
    try:
        started(street, grid(name, instance_types=["local.cpu"], parallelism=1))
        wait_until(
            lambda: bool(street.platform.job_processes()), timeout_s=60, what="the first job in a process"
        )
        (process,) = street.platform.job_processes()
        assert process in suspended
        process.kill()
    finally:
        for process in suspended:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()
    found = ended(street, name)
    first, second = found["cells"]
    assert (found["status"], first["status"], second["status"]) == ("Completed", "Failed", "Completed"), told(
        found
    )
    assert "SIGKILL" in first["failure_reason"]
    assert left(street, name) == []


def test_ten_thousand_cells_are_refused_before_anything_starts(street: Street) -> None:
    jobs = street.get("training-jobs/").json["count"]
    sizes = list(range(1, 101))
    many = [{"name": f"c{n}", "hyperparameters": {}} for n in range(50)]
    request = grid(unique("huge"), sample_sizes=sizes, configurations=many)
    problem = refused(street.post("experiments/", request), words=("500 cells", "are 10,000"))
    assert problem["code"] == "ResourceLimitExceeded"
    assert street.get("training-jobs/").json["count"] == jobs


def test_on_a_machine_without_a_gpu_worker_cells_say_so_and_are_skipped_or_wait(street: Street) -> None:
    name = unique("gpu")
    request = grid(name, instance_types=["ml.p2.xlarge"], configurations=[FLAT])
    answer = street.post("experiments/", request | {"unserved": "wait"})
    [cell] = answer.json["cells"]
    assert (cell["status"], "no host serves queue gpu" in cell["waiting_reason"]) == ("Pending", True)
    street.post(f"experiments/{name}/stop/")
    assert ended(street, name)["status"] == "Stopped"
    other = unique("gpu")
    street.post("experiments/", request | {"name": other, "unserved": "skip"})
    [cell] = ended(street, other)["cells"]
    assert (cell["status"], "no host serves queue gpu" in cell["failure_reason"]) == ("Skipped", True)
    assert street.get(f"training-jobs/?search={other}").json["count"] == 0
