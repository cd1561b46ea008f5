"""Two machines, each with a worker and a host, and a front with the gateway, that share database, broker and store
alone: training on both, an endpoint across both, runs from where no gateway is, and the loss of one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.journeys.street import Street
from tests.live import LivePlatform
from tests.many.cluster import Cluster, cluster_running
from tests.many.network import Machine
from tests.rest_client import Answer

SCRIPT = """
import os, pathlib, sys, time
print("begun", flush=True)
time.sleep(float(sys.argv[-1]))
pathlib.Path(os.environ["SM_MODEL_DIR"], "model").write_text("a model")
"""
OWNERS = (
    "SELECT split_part(lease_owner, ':', 1) FROM jobs_trainingjob WHERE name = ANY(%s) AND lease_owner <> ''"
)
REPLICAS = "SELECT host FROM endpoints_replica WHERE status = 'InService'"
REPLACED_WITHIN_S = 45.0
AGAIN_WITHIN_S = 75.0


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with cluster_running("a", "b") as running:
        yield running


@pytest.fixture(scope="module")
def street(cluster: Cluster) -> Street:
    return Street(cast(LivePlatform, cluster), client=cluster.client)


def test_two_machines_work_as_one_and_the_loss_of_one_is_borne(cluster: Cluster, street: Street) -> None:
    first, second = cluster.network.machines
    _both_train(cluster, street)
    row = _endpoint_across_both(cluster, street)
    _runs_where_no_gateway_is(street)
    _a_name_is_one_hosts(cluster, first)
    _one_is_lost(cluster, street, second, row)


def _both_train(cluster: Cluster, street: Street) -> None:
    names = ("one", "two")
    for name in names:
        _sleeper(street, name, seconds=2)
    cluster.wait("a job on each machine", lambda: _owners(cluster, names) == ["a", "b"], within_s=30)
    for name in names:
        job = street.job_ended(name)
        assert job["status"] == "Completed", f"{job}\n{street.log(name)}\n{cluster.logs()}"
        assert "begun" in street.log(name)


def _endpoint_across_both(cluster: Cluster, street: Street) -> str:
    """An endpoint with a replica on each machine, both of which answer; gives a row that it takes."""
    draw = random.Random(3)
    rows = [f"{n % 3},{n % 3 + draw.random() / 3:.4f},{draw.random():.4f}" for n in range(90)]
    for name, part in (("train", rows[:60]), ("test", rows[60:])):
        street.dataset(name, "\n".join(part).encode(), header="false", label="0")
    street.job_completed("knn", train="train")
    street.model("knn", job="knn")
    street.endpoint_in_service("both", {"model": "knn", "instance_count": 2})
    assert sorted(host for (host,) in cluster.rows(REPLICAS)) == ["a", "b"], cluster.logs()
    row = rows[60].partition(",")[2]
    answers = [_invoke(street, row) for _ in range(20)]
    assert {answer.status for answer in answers} == {200}, answers[-1].text
    assert len({answer.body for answer in answers}) == 1
    return row


def _runs_where_no_gateway_is(street: Street) -> None:
    """No machine with a worker has a gateway: an evaluation and a table run through the front's relay."""
    found = street.evaluated("quality", endpoint="both", dataset="test", batches=2, single_requests=10)
    assert found["quality"]["accuracy"][0] == 1.0
    run, table = street.table("both", "test")
    assert run["status"] == "Completed"
    assert len(table) == 30


def _a_name_is_one_hosts(cluster: Cluster, machine: Machine) -> None:
    """A second host that says it is `a`, from elsewhere, begins nothing."""
    said = cluster.manage(cluster.network.shared, "host", "--name", machine.name, code=1)
    assert f"host {machine.name}: a host of this name runs already" in said
    assert "MLPLATFORM_HOST_NAME" in said


def _one_is_lost(cluster: Cluster, street: Street, lost: Machine, row: str) -> None:
    """Not one request goes unanswered, its replica is replaced, its job is run again."""
    names = ("left", "right")
    for name in names:
        _sleeper(street, name, seconds=6)
    cluster.wait("a job on each machine", lambda: _owners(cluster, names) == ["a", "b"], within_s=30)
    cluster.lose(lost)
    lost_at = time.monotonic()
    slowest_s = 0.0
    while cluster.rows(REPLICAS) != [("a",), ("a",)]:
        began = time.monotonic()
        answer = _invoke(street, row)
        slowest_s = max(slowest_s, time.monotonic() - began)
        assert answer.status == 200, f"{answer.text}\n{cluster.logs()}"
        assert began - lost_at < REPLACED_WITHIN_S, cluster.logs()
        time.sleep(0.1)
    assert slowest_s < 15.0
    ended = {name: _ended(cluster, street, name) for name in names}
    assert [job["status"] for job in ended.values()] == ["Completed", "Completed"], ended
    assert sorted(job["attempt"] for job in ended.values()) == [1, 2], ended


def _ended(cluster: Cluster, street: Street, name: str) -> dict[str, Any]:
    cluster.wait(
        f"the end of {name}", lambda: street.job(name)["status"] != "InProgress", within_s=AGAIN_WITHIN_S
    )
    return street.job(name)


def _sleeper(street: Street, name: str, *, seconds: int) -> None:
    made = street.post(
        "training-jobs/",
        {
            "name": name,
            "script": {"framework": "sklearn", "entry_point": "train.py", "files": {"train.py": SCRIPT}},
            "hyperparameters": {"seconds": seconds},
        },
    )
    assert made.status == 201, made.text


def _owners(cluster: Cluster, names: tuple[str, ...]) -> list[str]:
    return sorted(owner for (owner,) in cluster.rows(OWNERS, list(names)))


def _invoke(street: Street, row: str) -> Answer:
    return street.invoke("both", row)
