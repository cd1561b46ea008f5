"""Predictions through the real gateway: routes and keys from the database, counts back into it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from endpoints.gateway.tables import load_table
from endpoints.models import Endpoint, EndpointMetric, Model
from endpoints.selectors.endpoints import endpoint_traffic
from endpoints.services.endpoints import (
    VariantRequest,
    endpoint_create,
    endpoint_delete,
    endpoint_invoke,
    endpoint_update,
    endpoint_update_weights,
)
from mlplatform.core.errors import NotFound, ServiceUnavailable
from mlplatform.core.people.access import Actor, access_key_create, access_key_revoke
from tests.endpoints.conftest import HostDriver, PublicGateway, gateway_running

pytestmark = pytest.mark.slow
ROW = b"5.1,3.5,1.4,0.2"


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model, host: HostDriver, public_gateway: PublicGateway) -> Endpoint:
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    host.until_status(created, "InService")
    public_gateway.reload()
    return created


@pytest.fixture
def slow_gateway(endpoint: Endpoint) -> Iterator[PublicGateway]:
    """A gateway that by itself looks for a new table once an hour."""
    with gateway_running(reload_every_s=3600) as gateway:
        gateway.reload()
        yield gateway


def _post(port: int, token: str, *, project: str = "flowers", name: str = "iris", body: bytes = ROW) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(
            "POST",
            f"/api/v1/projects/{project}/endpoints/{name}/invocations",
            body=body,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "text/csv"},
        )
        response = connection.getresponse()
        response.read()
        return response.status
    finally:
        connection.close()


@contextmanager
def _load(gateway: PublicGateway, token: str) -> Iterator[list[int]]:
    """Three clients that ask without a pause; the statuses they got."""
    gateway.reload()
    ended = threading.Event()
    statuses: list[int] = []

    def client() -> None:
        while not ended.is_set():
            statuses.append(_post(gateway.port, token))

    clients = [threading.Thread(target=client) for _ in range(3)]
    for thread in clients:
        thread.start()
    try:
        yield statuses
    finally:
        ended.set()
        for thread in clients:
            thread.join()


def _token(actor: Actor) -> str:
    key, secret = access_key_create(user=actor.user, project=actor.project)
    return f"{key.key_id}.{secret}"


def test_a_member_predicts_without_a_key(alice: Actor, endpoint: Endpoint) -> None:
    result = endpoint_invoke(actor=alice, name="iris", body=ROW)
    assert result.status == 200
    assert json.loads(result.body) == {"predictions": [{"predicted_label": 0.0}]}
    assert result.headers["x-amzn-invoked-production-variant"] == "AllTraffic"


def test_bad_input_is_answered_with_its_row_and_column(alice: Actor, endpoint: Endpoint) -> None:
    result = endpoint_invoke(actor=alice, name="iris", body=b"5.1,3.5,1.4,0.2\n5.1,many,1.4,0.2")
    said = json.loads(result.body)
    assert result.status == 400
    assert (said["row"], said["column"]) == (2, "1")


def test_somebody_of_another_project_cannot_predict(
    alice: Actor, charlie: Actor, endpoint: Endpoint, public_gateway: PublicGateway
) -> None:
    with pytest.raises(NotFound):
        endpoint_invoke(actor=charlie, name="iris", body=ROW)
    token = _token(charlie)
    public_gateway.reload()
    assert _post(public_gateway.port, token) == 404


def test_a_key_works_until_it_is_revoked(
    alice: Actor, endpoint: Endpoint, public_gateway: PublicGateway
) -> None:
    token = _token(alice)
    public_gateway.reload()
    assert _post(public_gateway.port, token) == 200
    access_key_revoke(actor=alice, key_id=token.partition(".")[0])
    public_gateway.reload()
    assert _post(public_gateway.port, token) == 401


def test_an_endpoint_answers_from_the_moment_it_is_in_service(
    alice: Actor, slow_gateway: PublicGateway, host: HostDriver
) -> None:
    token = _token(alice)
    assert _post(slow_gateway.port, token, name="late") == 404
    late = endpoint_create(actor=alice, name="late", variants=[VariantRequest(model="iris-knn")])
    host.until_status(late, "InService")
    assert _post(slow_gateway.port, token, name="late") == 200


def test_a_key_works_from_the_moment_it_is_made(
    alice: Actor, endpoint: Endpoint, slow_gateway: PublicGateway
) -> None:
    assert [_post(slow_gateway.port, _token(alice)) for _ in range(5)] == [200] * 5


def test_traffic_is_counted_with_errors_and_latency(
    alice: Actor, endpoint: Endpoint, public_gateway: PublicGateway
) -> None:
    for body in (ROW, ROW, ROW, b"no numbers"):
        endpoint_invoke(actor=alice, name="iris", body=body)
    public_gateway.flush()
    endpoint_invoke(actor=alice, name="iris", body=ROW)
    public_gateway.flush()
    traffic = endpoint_traffic(endpoint=endpoint, minutes=5)
    assert (traffic.n_requests, traffic.n_errors, traffic.total.n_4xx) == (5, 1, 1)
    assert traffic.p50_ms is not None and traffic.p99_ms is not None
    assert 0 < traffic.p50_ms <= traffic.p99_ms < 5_000
    assert sum(point.n_requests for point in traffic.points) == 5
    assert len(traffic.points) == 5
    assert list(traffic.variants) == ["AllTraffic"]


def test_counts_of_a_deleted_endpoint_are_dropped(
    alice: Actor, endpoint: Endpoint, host: HostDriver, public_gateway: PublicGateway
) -> None:
    endpoint_invoke(actor=alice, name="iris", body=ROW)
    endpoint_delete(actor=alice, name="iris")
    host.until(lambda: not Endpoint.objects.exists())
    public_gateway.flush()
    assert not EndpointMetric.objects.exists()


def test_the_table_is_read_only_when_something_changed(alice: Actor, endpoint: Endpoint) -> None:
    table = load_table(None)
    assert table is not None
    assert load_table(table.version) is None
    endpoint_update_weights(actor=alice, name="iris", weights={"AllTraffic": 3.0})
    newer = load_table(table.version)
    assert newer is not None and newer.routes[0].variants[0].weight == 3.0


def test_without_a_gateway_it_says_so(alice: Actor, iris_model: Model) -> None:
    endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    with pytest.raises(ServiceUnavailable, match="gateway"):
        endpoint_invoke(actor=alice, name="iris", body=ROW)


def test_an_update_under_load_drops_no_request(
    alice: Actor, endpoint: Endpoint, host: HostDriver, public_gateway: PublicGateway
) -> None:
    before = endpoint.replicas.get().pid
    larger = VariantRequest(model="iris-knn", instance_type="ml.m5.large")
    with _load(public_gateway, _token(alice)) as statuses:
        endpoint_update(actor=alice, name="iris", variants=[larger])
        host.until_status(endpoint, "InService")
        host.until(lambda: endpoint.replicas.count() == 1 and endpoint.replicas.get().pid != before)
        n_before = len(statuses)
        host.until(lambda: len(statuses) > n_before + 50)
    assert len(statuses) > 100
    assert set(statuses) == {200}


def test_killing_one_of_two_replicas_under_load_fails_no_request(
    alice: Actor, endpoint: Endpoint, host: HostDriver, public_gateway: PublicGateway
) -> None:
    endpoint_update_weights(actor=alice, name="iris", counts={"AllTraffic": 2})
    host.until_status(endpoint, "InService")
    with _load(public_gateway, _token(alice)) as statuses:
        host.until(lambda: len(statuses) > 50)
        os.kill(endpoint.replicas.earliest("pk").pid, signal.SIGKILL)
        host.until(lambda: endpoint.replicas.filter(status="InService", restarts=1).exists())
        n_before = len(statuses)
        host.until(lambda: len(statuses) > n_before + 50)
    assert set(statuses) == {200}
