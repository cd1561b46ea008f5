"""`manage.py host` as a process: what happens to its model servers when it ends, in order or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from django.conf import settings as django_settings
from django.core.management import CommandError, call_command

from endpoints.models import Endpoint, Model, Replica
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_delete
from mlplatform.core.env import PROJECT_ROOT
from mlplatform.core.models import Node
from mlplatform.core.people.access import Actor
from tests.databases import database_url
from tests.polling import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]


class HostProcess:
    """A host on the test's database and data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._environment = {
            **os.environ,
            "MLPLATFORM_DATA_DIR": str(data_dir),
            "MLPLATFORM_SECRET_KEY": django_settings.SECRET_KEY,
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "mlplatform.settings",
        }
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "manage.py", "host", "--name", "test"], cwd=PROJECT_ROOT, env=self._environment
        )

    def again(self) -> subprocess.Popen[bytes]:
        return self._start()

    def restart(self) -> None:
        self.process = self._start()

    def end(self, number: signal.Signals) -> None:
        self.process.send_signal(number)
        self.process.wait(20)


@pytest.fixture
def endpoint(alice: Actor, iris_model: Model) -> Endpoint:
    variant = VariantRequest(model="iris-knn", instance_count=2)
    return endpoint_create(actor=alice, name="iris", variants=[variant])


@pytest.fixture
def host(endpoint: Endpoint, platform_folders: Path) -> Iterator[HostProcess]:
    started = HostProcess(platform_folders)
    wait_until(_in_service, timeout_s=30)
    yield started
    if started.process.poll() is None:
        started.end(signal.SIGKILL)


def _in_service() -> bool:
    ready = Replica.objects.filter(status="InService").count()
    return ready == 2 and Endpoint.objects.filter(status="InService").exists()


def _pids() -> list[int]:
    return [pid for pid in Replica.objects.values_list("pid", flat=True) if pid]


def _alive(pids: list[int]) -> list[int]:
    return [p for p in pids if psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE]


def test_a_host_that_is_asked_to_end_ends_its_model_servers_and_gives_them_back(host: HostProcess) -> None:
    pids = _pids()
    host.end(signal.SIGTERM)
    assert host.process.returncode == 0
    assert _alive(pids) == []
    assert set(Replica.objects.values_list("status", "host", "restarts")) == {("Pending", "", 0)}
    assert not Node.objects.filter(kind="host").exists()


def test_model_servers_die_with_a_killed_host_and_the_next_one_starts_them_again(host: HostProcess) -> None:
    pids = _pids()
    host.end(signal.SIGKILL)
    wait_until(lambda: _alive(pids) == [], timeout_s=5)
    host.restart()
    wait_until(lambda: _in_service() and not set(_pids()) & set(pids), timeout_s=30)
    assert set(Replica.objects.values_list("restarts", flat=True)) == {1}


def test_a_second_host_on_the_same_data_directory_is_refused(host: HostProcess) -> None:
    pids = _pids()
    second = host.again()
    assert second.wait(20) == 1
    assert sorted(_alive(pids)) == sorted(pids)


def test_an_idle_host_uses_next_to_no_processor_time(host: HostProcess) -> None:
    process = psutil.Process(host.process.pid)
    before, began = process.cpu_times(), psutil.time.time()
    wait_until(lambda: psutil.time.time() - began > 4, timeout_s=10, every_s=0.5)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    assert used / (psutil.time.time() - began) < 0.05


def test_deleting_through_a_running_host_leaves_no_process(alice: Actor, host: HostProcess) -> None:
    pids = _pids()
    endpoint_delete(actor=alice, name="iris")
    wait_until(lambda: not Endpoint.objects.exists(), timeout_s=20)
    assert _alive(pids) == []


def test_a_host_for_a_queue_that_no_type_needs_is_refused() -> None:
    with pytest.raises(CommandError, match="'tpu' is not accepted; use one or more of cpu, gpu"):
        call_command("host", "--queues", "tpu")
