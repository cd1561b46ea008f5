"""A host with real model servers: they start, come back, change over, fail and end."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from endpoints.models import Endpoint, EndpointConfig, Model, Replica
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete, endpoint_update
from endpoints.unix_http import unix_call
from mlplatform.core.logs import log_tail
from mlplatform.core.models import LogStream
from mlplatform.core.people.access import Actor
from tests.endpoints.conftest import HostDriver

pytestmark = pytest.mark.slow


def _predict(replica: Replica, row: str = "5.1,3.5,1.4,0.2") -> bytes:
    answer = unix_call(
        replica.address.removeprefix("unix:"),
        "POST",
        "/invocations",
        body=row.encode(),
        headers={"Content-Type": "text/csv", "Accept": "application/json"},
        timeout_s=10,
    )
    assert answer.status == 200, answer.body
    return answer.body


def _create(alice: Actor, model: Model, **more: object) -> Endpoint:
    variant = VariantRequest(model=model.name, **more)  # type: ignore[arg-type]
    return endpoint_create(actor=alice, name="iris", variants=[variant])


def test_a_new_endpoint_is_in_service_and_predicts(alice: Actor, iris_model: Model, host: HostDriver) -> None:
    endpoint = _create(alice, iris_model)
    assert endpoint.status == "Creating"
    host.until_status(endpoint, "InService")
    replica = endpoint.replicas.get()
    assert _predict(replica) == b'{"predictions":[{"predicted_label":0.0}]}'
    host.until(lambda: "serving on" in log_tail(stream=replica.log).text)
    assert endpoint.live == endpoint.wanted


def test_a_killed_replica_comes_back(alice: Actor, iris_model: Model, host: HostDriver) -> None:
    endpoint = _create(alice, iris_model)
    host.until_status(endpoint, "InService")
    killed = endpoint.replicas.get().pid
    os.kill(killed, signal.SIGKILL)
    host.until(
        lambda: endpoint.replicas.get().restarts == 1 and endpoint.replicas.get().status == "InService"
    )
    replica = endpoint.replicas.get()
    assert replica.pid != killed
    assert b"predicted_label" in _predict(replica)
    host.until(lambda: "ended by SIGKILL" in log_tail(stream=replica.log).text)
    endpoint.refresh_from_db()
    assert endpoint.status == "InService"


def test_a_model_that_cannot_load_fails_the_endpoint_with_its_own_traceback(
    alice: Actor, broken_model: Model, host: HostDriver
) -> None:
    endpoint = host.until_status(_create(alice, broken_model), "Failed")
    assert endpoint.failure is not None
    assert endpoint.failure["detail"].startswith("Traceback (most recent call last)")
    assert "ModelError" in endpoint.failure["reason"]
    assert any("could not be loaded" in line for line in endpoint.failure["log_tail"])
    replica = endpoint.replicas.get()
    assert replica.status == "Failed"
    assert "Traceback" in log_tail(stream=replica.log).text
    assert LogStream.objects.get(pk=replica.log_id).ended


def test_a_changed_artifact_is_not_loaded(alice: Actor, iris_model: Model, host: HostDriver) -> None:
    iris_model.artifact_sha256 = "0" * 64
    iris_model.save()
    endpoint = host.until_status(_create(alice, iris_model), "Failed")
    assert endpoint.failure is not None and "digest" in endpoint.failure["reason"]


def test_a_failed_update_rolls_back_and_says_why(
    alice: Actor, iris_model: Model, broken_model: Model, host: HostDriver
) -> None:
    endpoint = _create(alice, iris_model)
    host.until_status(endpoint, "InService")
    before = endpoint.replicas.get()
    endpoint_update(actor=alice, name="iris", variants=[VariantRequest(model="broken")])
    host.until_status(endpoint, "InService")
    assert endpoint.failure is not None and "ModelError" in endpoint.failure["reason"]
    after = endpoint.replicas.get()
    assert (after.pid, after.status) == (before.pid, "InService")
    assert endpoint.live == endpoint.wanted
    assert EndpointConfig.objects.count() == 1


def test_more_instances_keep_the_running_replica(alice: Actor, iris_model: Model, host: HostDriver) -> None:
    endpoint = _create(alice, iris_model)
    host.until_status(endpoint, "InService")
    before = endpoint.replicas.get()
    endpoint_update(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn", instance_count=2)])
    host.until_status(endpoint, "InService")
    assert sorted(r.index for r in endpoint.replicas.all()) == [0, 1]
    assert before.pid in {replica.pid for replica in endpoint.replicas.all()}
    assert all(b"predicted_label" in _predict(replica) for replica in endpoint.replicas.all())


def test_a_deleted_endpoint_leaves_nothing_behind(
    alice: Actor, iris_model: Model, host: HostDriver, platform_folders: object
) -> None:
    endpoint = _create(alice, iris_model, instance_count=2)
    host.until_status(endpoint, "InService")
    pids = [replica.pid for replica in endpoint.replicas.all()]
    n_streams = LogStream.objects.count()
    endpoint_delete(actor=alice, name="iris")
    host.until(lambda: not Endpoint.objects.exists())
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not Replica.objects.exists() and not EndpointConfig.objects.exists()
    assert LogStream.objects.count() == n_streams - 2
    assert not list(host.host._place.models_dir.iterdir())
    assert not list(host.host._place.socket_dir.iterdir())


def test_a_model_server_has_no_secret_in_its_environment(
    alice: Actor, iris_model: Model, host: HostDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLPLATFORM_SECRET_KEY", "only for us")
    endpoint = _create(alice, iris_model)
    host.until_status(endpoint, "InService")
    environment = psutil.Process(endpoint.replicas.get().pid).environ()
    assert not [
        name for name in environment if name.startswith(("MLPLATFORM", "DJANGO", "DATABASE", "CELERY"))
    ]
    assert environment["OMP_NUM_THREADS"].isdigit()
