"""Endpoints under change and accident: weights, updates, killed servers, models that do not load, deletion."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import tarfile
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from tests.journeys.street import Street, refused, unique
from tests.live import command_line
from tests.polling import wait_until

ROW = "5.9,3.0,4.2,1.5"
VARIANT = "x-amzn-invoked-production-variant"


@pytest.fixture(scope="module")
def models(street: Street) -> tuple[str, str]:
    """Two models that can be told apart by the number of neighbours they answer with."""
    for name, k in (("one", 1), ("three", 3)):
        street.job_completed(name, train="iris-train", hyperparameters={"k": k})
        street.model(name, job=name)
    return "one", "three"


def answered_by(street: Street, endpoint: str, n: int, query: str = "") -> Counter[str]:
    answers = [street.invoke(endpoint, ROW, query=query) for _ in range(n)]
    assert {answer.status for answer in answers} == {200}
    return Counter(answer.headers[VARIANT] for answer in answers)


def n_neighbours(street: Street, endpoint: str) -> int:
    answer = street.invoke(endpoint, ROW, accept="application/json; verbose=true")
    assert answer.status == 200, answer.text
    return len(answer.json["predictions"][0]["labels"])


class Caller:
    """Asks an endpoint without pause, in threads, and keeps every answer that is not 200."""

    def __init__(self, street: Street, endpoint: str, *, n_threads: int = 3) -> None:
        self.street = street
        self.endpoint = endpoint
        self.n_good = 0
        self.bad: list[str] = []
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(n_threads)]

    def __enter__(self) -> Caller:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(timeout=70)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                answer = self.street.invoke(self.endpoint, ROW)
            except OSError as error:
                self.bad.append(repr(error))
                continue
            if answer.status == 200:
                self.n_good += 1
            else:
                self.bad.append(f"{answer.status} {answer.text}")


@pytest.fixture(scope="module")
def pair(street: Street, models: tuple[str, str]) -> Iterator[str]:
    """Two variants, 3 : 1."""
    one, three = models
    street.endpoint_in_service(
        "pair", {"name": "A", "model": one, "weight": 3}, {"name": "B", "model": three, "weight": 1}
    )
    yield "pair"
    street.gone("pair")


def test_variants_get_traffic_by_their_weights(street: Street, pair: str) -> None:
    """On a busy machine a server may be slow to answer its host and get no requests for a moment: then once more."""
    for _attempt in range(3):
        found = answered_by(street, pair, 400)
        assert found["A"] + found["B"] == 400
        if 260 <= found["A"] <= 340:
            return
    raise AssertionError(found)


def test_a_variant_can_be_asked_for(street: Street, pair: str) -> None:
    assert answered_by(street, pair, 20, "?variant=B") == {"B": 20}
    answer = street.client.send(
        "POST",
        f"{street.base}/endpoints/{pair}/invocations",
        body=ROW.encode(),
        headers={"Content-Type": "text/csv", "X-Amzn-SageMaker-Target-Variant": "A"},
    )
    assert answer.headers[VARIANT] == "A"


def test_weights_change_while_it_serves(street: Street, pair: str) -> None:
    assert street.patch(f"endpoints/{pair}/", {"weights": {"A": 0, "B": 1}}).status == 200
    street.endpoint_settled(pair)
    wait_until(lambda: set(answered_by(street, pair, 10)) == {"B"}, timeout_s=5, what="all traffic at B")
    refused(street.patch(f"endpoints/{pair}/", {"weights": {"C": 1}}), words=("C",))
    refused(street.patch(f"endpoints/{pair}/", {"weights": {"A": 0, "B": 0}}), words=("weight",))
    assert street.patch(f"endpoints/{pair}/", {"weights": {"A": 3, "B": 1}}).status == 200
    street.endpoint_settled(pair)


def test_an_update_to_another_model_and_count_drops_no_request(
    street: Street, models: tuple[str, str]
) -> None:
    one, three = models
    name = unique("update")
    street.endpoint_in_service(name, {"model": one})
    assert n_neighbours(street, name) == 1
    with Caller(street, name) as caller:
        wait_until(lambda: caller.n_good > 20, timeout_s=10, what="requests under way")
        assert street.patch(f"endpoints/{name}/", {"variants": [{"model": three}]}).status == 200
        street.endpoint_settled(name)
        wait_until(lambda: n_neighbours(street, name) == 3, timeout_s=10, what="the new model")
        assert street.patch(f"endpoints/{name}/", {"counts": {"AllTraffic": 2}}).status == 200
        street.endpoint_settled(name)
        assert street.patch(f"endpoints/{name}/", {"counts": {"AllTraffic": 1}}).status == 200
        street.endpoint_settled(name)
        after = caller.n_good
        wait_until(lambda: caller.n_good > after + 20, timeout_s=10, what="requests after it")
    assert caller.bad == []
    street.gone(name)


def test_an_update_to_a_model_that_does_not_load_rolls_back_and_keeps_serving(
    street: Street, models: tuple[str, str], corrupt: str
) -> None:
    name = unique("rollback")
    street.endpoint_in_service(name, {"model": models[0]})
    with Caller(street, name, n_threads=1) as caller:
        assert street.patch(f"endpoints/{name}/", {"variants": [{"model": corrupt}]}).status == 200
        endpoint = street.endpoint_settled(name)
    assert caller.bad == []
    assert endpoint["status"] == "InService"
    assert endpoint["serving"][0]["model"] == models[0]
    assert endpoint["failure_reason"], "it does not say that the update failed"
    street.gone(name)


def test_a_model_server_that_is_killed_comes_back(street: Street, models: tuple[str, str]) -> None:
    name = unique("killed")
    replica = street.endpoint_in_service(name, {"model": models[0]})["replicas"][0]
    server = model_server(street, replica["uid"])
    os.kill(server, signal.SIGKILL)
    wait_until(
        lambda: (
            model_server(street, replica["uid"], missing_ok=True) not in {None, server}
            or any(found["uid"] != replica["uid"] for found in street.endpoint(name)["replicas"])
        ),
        timeout_s=20,
        every_s=0.1,
        what=lambda: str(street.endpoint(name)),
    )
    wait_until(lambda: street.invoke(name, ROW).status == 200, timeout_s=20, what="an answer")
    endpoint = street.endpoint_settled(name)
    assert endpoint["status"] == "InService"
    assert sum(found["restarts"] for found in endpoint["replicas"]) >= 1
    street.gone(name)


def test_one_of_two_servers_killed_under_load_costs_at_most_the_requests_it_held(
    street: Street, models: tuple[str, str]
) -> None:
    name = unique("two")
    replicas = street.endpoint_in_service(name, {"model": models[0], "instance_count": 2})["replicas"]
    with Caller(street, name) as caller:
        wait_until(lambda: caller.n_good > 20, timeout_s=10, what="requests under way")
        os.kill(model_server(street, replicas[0]["uid"]) or 0, signal.SIGKILL)
        seen = caller.n_good
        wait_until(lambda: caller.n_good > seen + 50, timeout_s=20, what="requests after it")
    assert caller.bad == []
    street.gone(name)


def test_an_endpoint_of_a_model_that_does_not_load_is_failed_with_the_servers_traceback(
    street: Street, corrupt: str
) -> None:
    name = unique("corrupt")
    street.endpoint_start(name, {"model": corrupt})
    endpoint = street.endpoint_settled(name)
    assert endpoint["status"] == "Failed", endpoint
    said = json.dumps(endpoint["failure"])
    assert "Traceback (most recent call last)" in said, said
    assert "model_algo-1" in said
    assert endpoint["failure_reason"]
    assert street.invoke(name, ROW).status in {404, 503}
    assert street.delete(f"endpoints/{name}/").status == 204


def test_a_deleted_endpoint_is_404_at_once_and_its_server_ends(
    street: Street, models: tuple[str, str]
) -> None:
    name = unique("deleted")
    uid = street.endpoint_in_service(name, {"model": models[0]})["replicas"][0]["uid"]
    assert street.invoke(name, ROW).status == 200
    assert street.delete(f"endpoints/{name}/").status == 204
    wait_until(lambda: street.invoke(name, ROW).status == 404, timeout_s=2, what="404 from the gateway")
    wait_until(lambda: street.get(f"endpoints/{name}/").status == 404, timeout_s=20, what="404 by REST")
    wait_until(
        lambda: model_server(street, uid, missing_ok=True) is None, timeout_s=20, what="the end of the server"
    )
    folder = street.platform.data_dir / "models" / uid
    wait_until(lambda: not folder.exists(), timeout_s=10, what="the end of its folder")
    street.endpoint_in_service(name, {"model": models[1]})  # the name is free again
    street.gone(name)


@pytest.mark.parametrize(
    ("request_part", "words"),
    [
        ({"name": "../x"}, ("../x",)),
        ({"variants": []}, ("variants",)),
        ({"variants": [{"model": "ghost"}]}, ("variants.0.model", "ghost")),
        ({"variants": [{"model": "one", "weight": -1}]}, ("variants.0.weight", "-1")),
        ({"variants": [{"model": "one", "instance_count": 0}]}, ("variants.0.instance_count", "0")),
        ({"variants": [{"model": "one", "instance_type": "huge"}]}, ("variants.0.instance_type", "huge")),
        ({"variants": [{"model": "one"}, {"model": "three"}]}, ("AllTraffic",)),
        ({"variants": [{"model": "one", "weight": 0}]}, ("weight",)),
        ({"variants": [{"model": "one", "colour": "red"}]}, ("variants.0.colour",)),
        ({"variants": [{"model": "one", "instance_type": "ml.p3.2xlarge", "instance_count": 5}]}, ("4",)),
    ],
)
@pytest.mark.usefixtures("models", "nothing_left")
def test_an_endpoint_that_cannot_be_is_refused(
    street: Street, request_part: dict[str, object], words: tuple[str, ...]
) -> None:
    request = {"name": unique("bad"), "variants": [{"model": "one"}]} | request_part
    refused(street.post("endpoints/", request), words=words)


def test_a_name_that_is_taken_is_a_conflict(street: Street) -> None:
    answer = street.post("endpoints/", {"name": "iris-knn", "variants": [{"model": "iris-knn"}]})
    refused(answer, status=409, words=("iris-knn",))
    refused(
        street.post("models/", {"name": "iris-knn", "training_job": "iris-knn"}),
        status=409,
        words=("iris-knn",),
    )


@pytest.mark.usefixtures("nothing_left")
def test_an_object_that_is_no_archive_makes_no_model(street: Street) -> None:
    uri = street.get("datasets/iris/").json["uri"]
    refused(
        street.post("models/", {"name": unique("bad"), "artifact_uri": uri, "algorithm": "knn"}),
        field="artifact_uri",
    )


@pytest.mark.usefixtures("nothing_left")
def test_a_table_that_does_not_fit_the_model_is_refused(street: Street) -> None:
    for dataset in ("diabetes-none", "iris@9"):
        refused(street.post("endpoints/iris-knn/table-runs/", {"dataset": dataset}), field="dataset")
    answer = street.post("endpoints/iris-knn/table-runs/", {"dataset": "iris", "variant": "ghost"})
    refused(answer, field="variant", words=("AllTraffic",))


def descendants(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.Error:
        return []


def model_server(street: Street, uid: str, *, missing_ok: bool = False) -> int | None:
    """The process id of the model server of a replica."""
    found = [
        below.pid
        for process in street.platform.processes()
        if any(uid[:16] in item for item in command_line(process))
        for below in (process, *descendants(process))  # in a sandbox it does not say whose it is
        if command_line(below)[1:3] == ["-m", "endpoints.serving"]
    ]
    assert found or missing_ok, f"no model server of replica {uid}"
    return found[0] if found else None


@pytest.fixture(scope="module")
def corrupt(street: Street) -> str:
    """A model whose archive is whole by its digests and whose index faiss cannot read."""
    job = street.job("iris-knn")
    archive = io.BytesIO(street.get("training-jobs/iris-knn/artifact/").body)
    with tarfile.open(fileobj=archive) as tar:
        members = {item.name: tar.extractfile(item).read() for item in tar if item.isfile()}  # type: ignore[union-attr]
    members["model_algo-1"] = members["model_algo-1"][:40]
    manifest = json.loads(members["manifest.json"])
    manifest["files"]["model_algo-1"] = {
        "size": 40,
        "sha256": hashlib.sha256(members["model_algo-1"]).hexdigest(),
    }
    members["manifest.json"] = json.dumps(manifest).encode()
    bucket = job["artifact_uri"].split("/")[2]
    path = street.platform.data_dir / "store" / bucket / "mine" / "corrupt.tar.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            tar.addfile(item, io.BytesIO(content))
    uri = f"s3://{bucket}/mine/corrupt.tar.gz"
    answer = street.post("models/", {"name": "corrupt", "artifact_uri": uri, "algorithm": "knn"})
    assert answer.status == 201, answer.text
    return "corrupt"


def test_more_requests_than_a_server_can_hold_are_told_to_come_back(
    street: Street, models: tuple[str, str]
) -> None:
    """The server is halted, so that requests pile up; those that were taken are answered once it goes on."""
    name = unique("busy")
    uid = street.endpoint_in_service(name, {"model": models[0]})["replicas"][0]["uid"]
    server = model_server(street, uid) or 0
    os.kill(server, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(220) as threads:
            asked = [threads.submit(street.invoke, name, ROW) for _ in range(220)]
            wait_until(lambda: sum(answer.done() for answer in asked) >= 20, timeout_s=60, what="20 refusals")
            refusals = [answer.result() for answer in asked if answer.done()]
            os.kill(server, signal.SIGCONT)
            answers = [answer.result() for answer in asked]
    finally:
        os.kill(server, signal.SIGCONT)
    assert {answer.status for answer in refusals} == {429}
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in refusals)
    assert Counter(answer.status for answer in answers) == {200: 200, 429: 20}
    street.gone(name)
