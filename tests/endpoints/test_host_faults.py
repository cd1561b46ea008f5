"""What a host does when things go wrong under it: hung or greedy servers, a lost lease, an artifact that is gone."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
from pathlib import Path

import psutil
import pytest
from django.utils import translation

from endpoints import plan, replicas, served
from endpoints.models import Endpoint, Model, ProductionVariant, Replica
from endpoints.services.endpoints import VariantRequest, endpoint_create
from jobs import instance_types
from mlplatform.core.logs import log_tail
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from mlplatform.core.translation import translated
from tests.endpoints.conftest import HostDriver

pytestmark = pytest.mark.slow


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model, host: HostDriver) -> Endpoint:
    created = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    return host.until_status(created, "InService")


def _gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_server_that_hangs_is_replaced(
    endpoint: Endpoint, host: HostDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicas, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(replicas, "PING_TIMEOUT_S", 0.3)
    hung = endpoint.replicas.get().pid
    os.kill(hung, signal.SIGSTOP)
    host.until(
        lambda: endpoint.replicas.get().restarts == 1 and endpoint.replicas.get().status == "InService"
    )
    assert _gone(hung)
    host.until(lambda: "stopped answering GET /ping" in log_tail(stream=endpoint.replicas.get().log).text)


def test_a_server_over_its_memory_limit_fails_with_the_limit_in_words(
    alice: Actor, iris_model: Model, host: HostDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = dataclasses.replace(instance_types.instance_type_get("local.cpu"), memory_mb=1)
    monkeypatch.setitem(instance_types._BY_NAME, "local.cpu", tiny)
    endpoint = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model="iris-knn")])
    host.until_status(endpoint, "Failed")
    assert endpoint.failure is not None
    assert endpoint.failure["reason"].startswith("OutOfMemory: the model server ")
    assert " 1 MiB" in endpoint.failure["reason"]
    with translation.override("ja"):
        assert " 1 MiB " in (said := translated(endpoint.failure_reason)) and "モデルサーバー" in said


def test_a_replica_that_another_host_took_over_loses_its_process_here(
    endpoint: Endpoint, host: HostDriver
) -> None:
    pid = endpoint.replicas.get().pid
    Replica.objects.update(host="another")
    host.host._full_pass_at = 0.0
    host.until(lambda: _gone(pid) and not host.host._served)
    assert Replica.objects.get().status == "InService", "the row is the other host's"
    assert not list(host.host._place.models_dir.iterdir())


def test_a_replica_given_back_and_taken_again_keeps_its_running_server(
    endpoint: Endpoint, host: HostDriver
) -> None:
    pid = endpoint.replicas.get().pid
    Replica.objects.update(status="Pending", host="", address="", pid=None)
    host.host._full_pass_at = 0.0
    host.until(
        lambda: endpoint.replicas.get().status == "InService" and endpoint.replicas.get().address != ""
    )
    assert not _gone(pid)


def test_an_endpoint_without_an_answer_is_failed_and_comes_back_by_itself(
    endpoint: Endpoint,
    iris_model: Model,
    host: HostDriver,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "DOWN_MAX_S", 3.0)
    monkeypatch.setattr(served, "pause_after_failed_s", lambda n_failures: 0.2)
    artifact = object_store().get_bytes(iris_model.artifact_uri)
    object_store().delete([iris_model.artifact_uri])
    shutil.rmtree(host.host._place.models_dir)
    os.kill(endpoint.replicas.get().pid, signal.SIGKILL)
    host.host._full_pass_at = 0.0

    def failed() -> bool:
        host.host._full_pass_at = 0.0
        endpoint.refresh_from_db()
        return endpoint.status == "Failed"

    host.until(failed)
    assert endpoint.failure is not None and "no longer there" in endpoint.failure["reason"]
    object_store().put_bytes(artifact, iris_model.artifact_uri)
    host.until_status(endpoint, "InService")
    assert endpoint.failure is None


def test_one_replica_that_cannot_be_run_does_not_stop_the_others(
    alice: Actor, endpoint: Endpoint, host: HostDriver
) -> None:
    bad = endpoint_create(actor=alice, name="bad", variants=[VariantRequest(model="iris-knn")])
    ProductionVariant.objects.filter(config=bad.wanted).update(instance_type="ml.gone")
    host.until_status(bad, "Failed")
    assert bad.failure is not None and "'ml.gone' is not an instance type" in bad.failure["reason"]
    endpoint.refresh_from_db()
    assert endpoint.status == "InService" and not _gone(endpoint.replicas.get().pid)


def test_a_fault_in_the_host_itself_leaves_no_server_behind(
    endpoint: Endpoint, host: HostDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = endpoint.replicas.get().pid
    served_replica = next(iter(host.host._served.values()))

    def fault() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(served_replica.server, "view", fault)
    host.until(lambda: "a fault" in str((endpoint.replicas.get().failure or {}).get("reason")))
    host.until(lambda: _gone(pid))


def test_a_server_that_is_started_again_finds_its_model_laid_out_unless_a_file_was_touched(
    endpoint: Endpoint, host: HostDriver
) -> None:
    folder = host.host._place.models_dir / endpoint.replicas.get().uid / "model"
    labels = folder / "model_algo-1.labels"
    content, laid_out_at = labels.read_bytes(), folder.stat().st_mtime_ns

    def killed_and_back(n_restarts: int) -> None:
        os.kill(endpoint.replicas.get().pid, signal.SIGKILL)
        host.until(
            lambda: (found := endpoint.replicas.get()).restarts == n_restarts and found.status == "InService"
        )

    killed_and_back(1)
    assert folder.stat().st_mtime_ns == laid_out_at
    with labels.open("r+b") as file:
        file.write(b"!")
    killed_and_back(2)
    assert folder.stat().st_mtime_ns != laid_out_at
    assert labels.read_bytes() == content
