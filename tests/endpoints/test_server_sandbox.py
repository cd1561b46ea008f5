"""What a model server sees of the machine, looked at from outside while it serves: its mounts, user and network."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest

from endpoints.models import Model
from endpoints.services.endpoints import VariantRequest, endpoint_create
from mlplatform.core.env import data_dir, runtime_dir
from mlplatform.core.people.access import Actor
from tests.endpoints.conftest import HostDriver
from tests.polling import wait_until
from tests.sandboxes import sandboxed

__all__ = ["sandboxed"]


@pytest.fixture
def server(alice: Actor, iris_model: Model, host: HostDriver, sandboxed: None) -> psutil.Process:
    """The model server's own process, in service."""
    endpoint = endpoint_create(actor=alice, name="iris", variants=[VariantRequest(model=iris_model.name)])
    host.until_status(endpoint, "InService", within_s=60)
    return psutil.Process(endpoint.replicas.get().pid)


def test_a_model_server_sees_its_model_and_its_own_socket_only(server: psutil.Process) -> None:
    assert "endpoints.serving" in server.cmdline()
    root = Path(f"/proc/{server.pid}/root")
    mounts = {
        fields[4]: fields[5].split(",")[0]
        for fields in (
            line.split() for line in Path(f"/proc/{server.pid}/mountinfo").read_text().splitlines()
        )
    }
    assert mounts["/opt/ml"] == "ro"
    assert {
        path for path, mode in mounts.items() if mode == "rw" and not path.startswith(("/dev", "/proc"))
    } == {
        "/tmp",
        "/run/model-server",
    }
    assert "model_algo-1" in _names(root / "opt/ml/model")
    assert _names(root / "run") == ["model-server"]
    assert _names(root / "run/model-server") == ["model.sock"]
    for hidden in (data_dir() / "store", data_dir() / "db.sqlite3", runtime_dir()):
        assert not (root / hidden.relative_to("/")).exists(), hidden
    status = Path(f"/proc/{server.pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status
    assert "CapEff:\t0000000000000000" in status
    assert Path(f"/proc/{server.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    if os.geteuid() == 0:
        assert server.uids().real >= 61184


def test_the_end_of_the_host_is_the_end_of_the_sandbox(server: psutil.Process, host: HostDriver) -> None:
    namespace = server.parent()
    assert namespace is not None
    host.host.end()
    wait_until(lambda: _is_gone(server) and _is_gone(namespace), what="the end of the model server")


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def _is_gone(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or not process.is_running()
    except psutil.NoSuchProcess:
        return True
