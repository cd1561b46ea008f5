"""A Redis over TCP and an S3 store that go away while everything runs, and come back: predictions and pages go on, what
needs the one that is away is refused or waits, and nothing has to be started again.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from pathlib import Path

import pytest

from mlplatform.core.startup.redis import redis_program
from tests.faults.test_database_away import TABLE, TunedPlatform, _processes
from tests.journeys.street import Street, unique
from tests.object_stores import child_running, store_running
from tests.polling import wait_until
from tests.services import free_port

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("services-away")]


class Line:
    """A port that leads to a service, until it is cut: then nobody listens there and every connection is closed."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._ended = threading.Event()
        self.mend()

    def mend(self) -> None:
        self._ended = threading.Event()
        listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, args=(listener, self._ended), daemon=True).start()

    def cut(self) -> None:
        self._ended.set()
        wait_until(lambda: not _listens(self.port), timeout_s=5, every_s=0.05, what="the cut")

    def _serve(self, listener: socket.socket, ended: threading.Event) -> None:
        pairs: dict[socket.socket, socket.socket] = {}
        while not ended.is_set():
            for ready in select.select([listener, *pairs], [], [], 0.05)[0]:
                if ready is listener:
                    near, far = listener.accept()[0], socket.create_connection(("127.0.0.1", self._target))
                    pairs |= {near: far, far: near}
                    continue
                if ready in pairs and not _carry(ready, pairs[ready]):
                    for end in (ready, pairs[ready]):
                        pairs.pop(end, None)
                        end.close()
        for end in (listener, *pairs):
            end.close()


def _carry(near: socket.socket, far: socket.socket) -> bool:
    try:
        data = near.recv(65536)
        far.sendall(data)
    except OSError:
        return False
    return bool(data)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _part(street: Street, name: str) -> str:
    return str(street.client.get("health/").json["components"][name]["status"])


def _predicts(street: Street) -> bool:
    return street.invoke("iris-knn", "5.1,3.5,1.4,0.2").status == 200


def test_a_redis_and_a_store_that_go_away_are_waited_for_by_everything(tmp_path: Path) -> None:
    redis_port, store_port = free_port(), free_port()
    redis = [str(redis_program()), "--port", str(redis_port), "--bind", "127.0.0.1", "--save", ""]
    with (
        child_running(redis, tmp_path / "redis"),
        store_running("127.0.0.1", tmp_path / "store", port=store_port),
    ):
        wait_until(lambda: _listens(redis_port), timeout_s=30, every_s=0.1, what="Redis")
        broker, store = Line(redis_port), Line(store_port)
        platform = TunedPlatform(
            tmp_path,
            CELERY_BROKER_URL=f"redis://127.0.0.1:{broker.port}/0",
            OBJECT_STORE_URL="s3://mlplatform",
            AWS_ENDPOINT_URL=f"http://127.0.0.1:{store.port}",
            AWS_ALLOW_HTTP="true",
            AWS_REGION="us-east-1",
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="secret",
        )
        platform.start()
        try:
            platform.sign_up()
            street = Street(platform)
            before = _processes(platform)
            _without_broker(street, broker)
            _without_store(street, store)
            assert _processes(platform) == before, "nobody had to be started again"
        except BaseException:
            platform.kill()
            raise
        platform.stop()
        broker.cut()
        store.cut()


def _without_broker(street: Street, broker: Line) -> None:
    broker.cut()
    wait_until(lambda: _part(street, "broker") == "failing", timeout_s=15, every_s=0.5, what="the outage")
    name, begun = unique("waits"), time.monotonic()
    request = street.job_request(name, train="iris-train", test="iris-test")
    request["hyperparameters"]["feature_dim"] = 4
    assert street.post("training-jobs/", request).status == 201
    assert time.monotonic() - begun < 10, "who creates a job does not wait for the broker"
    assert _predicts(street) and street.get("training-jobs/").status == 200
    broker.mend()
    wait_until(lambda: _part(street, "broker") == "ok", timeout_s=15, every_s=0.5, what="the broker")
    assert street.job_ended(name)["status"] == "Completed"


def _without_store(street: Street, store: Line) -> None:
    store.cut()
    wait_until(lambda: _part(street, "store") == "failing", timeout_s=30, every_s=0.5, what="the outage")
    assert street.client.get("health/").json["status"] == "failing"
    assert _predicts(street) and street.get("datasets/").status == 200
    refused = street.upload(unique("refused"), TABLE.encode(), label="flag")
    assert (refused.status, refused.json["code"]) == (503, "ServiceUnavailable"), refused.text
    assert "The object store" in refused.json["detail"] and "secret" not in refused.text
    store.mend()
    wait_until(lambda: _part(street, "store") == "ok", timeout_s=30, every_s=0.5, what="the store")
    assert street.upload(unique("again"), TABLE.encode(), label="flag").status == 201
