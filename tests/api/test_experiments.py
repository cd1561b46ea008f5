"""Experiments by REST: asked for, looked at, stopped, resumed, deleted, and their tables."""

from __future__ import annotations

from typing import Any

import pytest

from endpoints.experiment_presets import preset_list
from endpoints.models import Experiment
from endpoints.selectors.experiments import experiment_cells
from endpoints.services.experiment_steps import experiments_step
from jobs.algorithms.base import DataFacts
from jobs.algorithms.registry import algorithm_get
from mlplatform.core import clock
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import node_beat
from tests.api.conftest import BASE, Person

DATA = {"train": "knn-train", "test": "knn-test"}
GRID = {
    "name": "grid",
    **DATA,
    "hyperparameters": {"predictor_type": "classifier", "k": 3},
    "configurations": [
        {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}},
        {
            "name": "IVF",
            "hyperparameters": {"index_type": "faiss.IVFFlat"},
            "by_sample_size": {"100": {"faiss_index_ivf_nlists": 10}},
        },
    ],
    "sample_sizes": [50, 100],
    "instance_types": ["local.cpu", "ml.p2.xlarge"],
}


@pytest.fixture
def alice(alice_at_street: Person) -> Person:
    for kind in (NodeKind.WORKER, NodeKind.HOST):
        node_beat(kind=kind, name="one", started_at=clock.now(), queues=["cpu"])
    return alice_at_street


def test_a_grid_is_answered_with_its_cells_and_why_they_wait(alice: Person) -> None:
    answer = alice.post("experiments/", GRID)
    assert answer.status_code == 201, answer.content
    made = answer.json()
    assert (made["name"], made["status"], made["n_cells"], made["n_ended"]) == ("grid", "InProgress", 8, 0)
    assert (made["train"], made["test"], made["preset"]) == ("knn-train@1", "knn-test@1", None)
    assert made["configurations"][1]["by_sample_size"] == {"100": {"faiss_index_ivf_nlists": "10"}}
    cells = made["cells"]
    assert [cell["number"] for cell in cells] == list(range(1, 9))
    assert cells[1]["waiting_reason"].startswith("waits: no host serves queue gpu, which ml.p2.xlarge needs")
    assert (cells[0]["price_per_hour"], cells[1]["price_per_hour"]) == (0.0, 1.125)
    assert cells[6]["hyperparameters"]["faiss_index_ivf_nlists"] == "10"
    assert alice.get("experiments/grid/").json() == made
    [listed] = alice.get("experiments/").json()["items"]
    assert listed == {name: made[name] for name in listed} and "cells" not in listed


def test_a_preset_needs_a_name_and_the_data_only(alice: Person) -> None:
    made = alice.post("experiments/", {"name": "small", "preset": "knn-small", **DATA}).json()
    assert [cell["configuration"] for cell in made["cells"]] == ["Flat", "IVFFlat", "HNSW32"]
    assert (made["preset"], made["batches"], made["single_requests"]) == ("knn-small", 10, 200)
    refused = alice.post("experiments/", {"preset": "knn-trade-off", **DATA})
    assert refused.status_code == 400
    assert "200,000 exceeds the 112 rows" in refused.json()["errors"][0]["message"]


def test_presets_are_grids_that_their_algorithm_accepts(alice: Person) -> None:
    items = alice.client.get(f"{BASE}/experiment-presets/").json()["items"]
    assert [item["name"] for item in items] == ["knn-trade-off", "knn-small"]
    assert items[0]["configurations"][1]["by_sample_size"]["500000"] == {"faiss_index_ivf_nlists": "700"}
    for preset in preset_list():
        facts = DataFacts(n_rows=10**6, n_features=54, n_classes=7)
        for row in preset.configurations:
            for size in preset.sample_sizes:
                special = row.get("by_sample_size", {}).get(str(size), {})
                texts = {
                    **preset.hyperparameters,
                    **row["hyperparameters"],
                    **special,
                    "sample_size": str(size),
                }
                assert algorithm_get(preset.algorithm).validate(texts, facts)


def test_too_many_cells_are_a_quota_error_with_the_numbers(alice: Person) -> None:
    sizes = list(range(1, 101))
    types = ["local.cpu", "ml.t3.medium", "ml.m5.large", "ml.m5.xlarge", "ml.c5.large"]
    many = [{"name": f"c{n}", "hyperparameters": {}} for n in range(20)]
    body = {**GRID, "sample_sizes": sizes, "instance_types": types, "configurations": many}
    problem = alice.post("experiments/", body).json()
    assert problem["code"] == "ResourceLimitExceeded"
    assert "500 cells" in problem["detail"] and "are 10,000" in problem["detail"]
    assert not Experiment.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"colour": "red"}, "colour"),
        ({"parallelism": "2"}, "parallelism"),
        ({"parallelism": 0}, "parallelism"),
        ({"sample_sizes": ["100"]}, "sample_sizes.0"),
        ({"sample_sizes": 100}, "sample_sizes"),
        ({"configurations": [{"name": "A", "hyperparameters": {}, "more": 1}]}, "configurations.0.more"),
        ({"configurations": [{"name": "a b", "hyperparameters": {}}]}, "configurations.0.name"),
        ({"unserved": "cry"}, "unserved"),
        ({"instance_types": ["ml.huge"]}, "instance_types.0"),
        ({"test": "ghost"}, "test"),
    ],
)
def test_what_is_wrong_is_named(alice: Person, changes: dict[str, Any], field: str) -> None:
    answer = alice.post("experiments/", GRID | changes)
    assert answer.status_code == 400
    assert field in [error["field"] for error in answer.json()["errors"]], answer.content
    assert not Experiment.objects.exists()


def test_stop_resume_and_delete(alice: Person) -> None:
    alice.post("experiments/", GRID)
    assert alice.delete("experiments/grid/").status_code == 409
    assert alice.post("experiments/grid/resume/").status_code == 409
    assert alice.post("experiments/grid/stop/").json()["status"] == "Stopping"
    experiments_step()
    stopped = alice.get("experiments/grid/").json()
    assert (stopped["status"], {cell["status"] for cell in stopped["cells"]}) == ("Stopped", {"Stopped"})
    assert alice.post("experiments/grid/stop/").status_code == 409
    resumed = alice.post("experiments/grid/resume/").json()
    assert (resumed["status"], resumed["cells"][0]["attempt"]) == ("InProgress", 2)
    alice.post("experiments/grid/stop/")
    experiments_step()
    answer = alice.client.delete(alice.url("experiments/grid/?keep_results=true"))
    assert (answer.status_code, answer.json()["kept_models"]) == (200, [])
    assert alice.get("experiments/grid/").status_code == 404


def test_tables_come_as_json_and_as_files(alice: Person) -> None:
    alice.post("experiments/", GRID)
    table = alice.get("experiments/grid/tables/cells/").json()
    assert [row["configuration"] for row in table["rows"]] == ["Flat"] * 4 + ["IVF"] * 4
    assert table["rows"][1]["reason"].startswith("waits: no host serves queue gpu")
    file = alice.get("experiments/grid/tables/cells/", **{"as": "csv"})
    assert file["Content-Type"] == "text/csv; charset=utf-8"
    lines = b"".join(file.streaming_content).decode().splitlines()
    assert lines[0].startswith("cell,configuration,sample_size,instance_type,status,")
    assert len(lines) == 9
    assert alice.get("experiments/grid/tables/accuracy/").json()["rows"] == []
    assert alice.get("experiments/grid/tables/latency/").json()["rows"] == []
    assert alice.get("experiments/grid/tables/confusion/").status_code == 404
    assert len(experiment_cells(experiment=Experiment.objects.get())) == 8
