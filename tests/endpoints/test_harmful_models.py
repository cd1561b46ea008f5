"""Models that do harm: one that a certain row ends, one that keeps more memory with every row."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from endpoints import replicas
from endpoints.models import Endpoint, Model
from endpoints.server_spec import ServerSpec
from endpoints.services.endpoints import VariantRequest, endpoint_create
from endpoints.services.models import model_create
from jobs import instance_types
from jobs.runner import sandbox
from jobs.runner.pack import model_pack
from mlplatform.core.logs import log_tail
from mlplatform.core.names import uri
from mlplatform.core.people.access import Actor, access_key_create
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import HostDriver, PublicGateway
from tests.faults.load import Load
from tests.rest_client import Client

pytestmark = pytest.mark.slow
POISON, LEAK, GOOD = b"667,1", b"669,1", b"1,2"
PATH = "projects/flowers/endpoints/linear/invocations"


@pytest.fixture
def linear_model(alice: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The tests' own engine, which no algorithm of the platform has, in a model server of the host's."""
    own_argv: Callable[..., list[str]] = ServerSpec.argv

    def argv(spec: ServerSpec, **told: Any) -> list[str]:
        return [*own_argv(spec, **told), "--engine", "tests.endpoints.serving.engines:Linear"]

    monkeypatch.setattr(ServerSpec, "argv", argv)
    monkeypatch.setattr(sandbox, "_SOURCES", (*sandbox._SOURCES, "tests"))
    folder = tmp_path / "linear"
    folder.mkdir()
    (folder / "weights.json").write_text(json.dumps({"weights": [1, 10]}))
    packed = model_pack(model_dir=folder, archive=tmp_path / "linear.tar.gz", facts={"algorithm": "knn"})
    address = uri(alice.project.bucket, "uploads/linear.tar.gz")
    object_store().put_file(packed.path, address)
    return model_create(actor=alice, name="linear", artifact_uri=address, algorithm="knn")


@pytest.fixture
def token(alice: Actor) -> str:
    key, secret = access_key_create(user=alice.user, project=alice.project)
    return f"{key.key_id}.{secret}"


def _request(body: bytes, token: str) -> bytes:
    head = f"POST /api/v1/{PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n"
    return f"{head}Authorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _serve(actor: Actor, host: HostDriver, n_replicas: int) -> Endpoint:
    asked = VariantRequest(model="linear", instance_count=n_replicas)
    endpoint = endpoint_create(actor=actor, name="linear", variants=[asked])
    return host.until_status(endpoint, "InService", within_s=60)


def _log(endpoint: Endpoint) -> str:
    return "".join(log_tail(stream=replica.log).text for replica in endpoint.replicas.all())


def test_a_request_that_ends_model_servers_is_refused_harms_nobody_else_and_starts_no_storm(
    alice: Actor, linear_model: Model, token: str, host: HostDriver, public_gateway: PublicGateway
) -> None:
    endpoint = _serve(alice, host, 3)
    public_gateway.reload()
    client = Client(f"http://127.0.0.1:{public_gateway.port}", token=token)
    with Load(public_gateway.port, _request(GOOD, token), n_callers=2) as others:
        others.wait_for_more(100)
        for n_deaths in (2, 4):
            answer = client.send("POST", PATH, body=POISON, headers={"Content-Type": "text/csv"})
            assert answer.status == 424
            assert answer.json["message"] == "two model servers ended while they worked on this request"
            host.until(lambda n=n_deaths: _n_restarts(endpoint) == n and _n_ready(endpoint) == 3, within_s=60)
            public_gateway.reload()
        others.wait_for_more(100)
    assert others.failures == []
    host.until(lambda: "starting again in 1 s" in _log(endpoint))


def _n_restarts(endpoint: Endpoint) -> int:
    return sum(endpoint.replicas.values_list("restarts", flat=True))


def _n_ready(endpoint: Endpoint) -> int:
    return endpoint.replicas.filter(status="InService").count()


def test_a_model_server_that_leaks_is_ended_at_its_limit_and_answers_again(
    alice: Actor,
    linear_model: Model,
    token: str,
    host: HostDriver,
    public_gateway: PublicGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(replicas, "MEMORY_EVERY_S", 0.05)
    small = dataclasses.replace(instance_types.instance_type_get("local.cpu"), memory_mb=256)
    monkeypatch.setitem(instance_types._BY_NAME, "local.cpu", small)
    endpoint = _serve(alice, host, 1)
    public_gateway.reload()
    client = Client(f"http://127.0.0.1:{public_gateway.port}", token=token)

    def leak() -> bool:
        client.send("POST", PATH, body=LEAK, headers={"Content-Type": "text/csv"})
        return _n_restarts(endpoint) > 0

    host.until(leak, within_s=60)
    host.until(lambda: _n_ready(endpoint) == 1, within_s=60)
    host.until(lambda: "OutOfMemory: the model server " in _log(endpoint))
    assert re.search(r"OutOfMemory: .*256 MiB.*; starting again in 0 s", _log(endpoint))
    public_gateway.reload()
    assert client.send("POST", PATH, body=GOOD, headers={"Content-Type": "text/csv"}).status == 200
