"""An endpoint of iris k-NN with everything real around it: `manage.py host`, `manage.py gateway`, model servers.

Only the supervisor is played by the test: what it kills it starts again as the supervisor would.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from endpoints.models import Endpoint, Replica
from mlplatform.core.env import PROJECT_ROOT
from tests.databases import database_url
from tests.polling import wait_until
from tests.services import free_port

BACK_WITHIN_S = 10.0
"""The bar: so long after a model server, or its host, was killed the endpoint answers again."""
ROW = b"5.1,3.5,1.4,0.2"
SUPERVISOR_PAUSE_S = 0.5


@dataclass(frozen=True)
class Invoked:
    status: int
    headers: dict[str, str]
    body: bytes
    duration_s: float


class ManageProcess:
    """A long-running `manage.py` command on the stage's data directory."""

    def __init__(self, data_dir: Path, *arguments: str) -> None:
        self._arguments = arguments
        self._environment = {
            **os.environ,
            "MLPLATFORM_DATA_DIR": str(data_dir),
            "MLPLATFORM_SECRET_KEY": settings.SECRET_KEY,
            "MLPLATFORM_FACES": "0",
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "mlplatform.settings",
        }
        self._log_path = data_dir / f"{arguments[0]}.log"
        self.start()

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def start(self) -> None:
        self._log_path.parent.mkdir(parents=True, exist_ok=True)
        with self._log_path.open("ab") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "manage.py", *self._arguments],
                cwd=PROJECT_ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait(20)

    def end(self) -> None:
        """SIGTERM, and SIGKILL when that is not enough."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


class EndpointStage:
    """The processes, and what a test wants to know of them."""

    def __init__(self, data_dir: Path, token: str, project: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self._token = token
        self._project = project
        self.host = ManageProcess(data_dir, "host", "--name", "faults")
        self.gateway = ManageProcess(data_dir, "gateway", "--port", str(self.port))

        self._others: list[ManageProcess] = []

    def also(self, *arguments: str) -> ManageProcess:
        """A further command beside them, ended with the stage."""
        self._others.append(ManageProcess(self.data_dir, *arguments))
        return self._others[-1]

    def close(self) -> None:
        for process in (*self._others, self.gateway, self.host):
            process.end()

    # ---- calling

    def request(self, body: bytes = ROW, *, endpoint: str = "iris") -> bytes:
        """The bytes of an invocation."""
        return (
            f"POST {self._path(endpoint)} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/csv\r\n"
            f"Authorization: Bearer {self._token}\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def invoke(self, body: bytes = ROW, *, endpoint: str = "iris", timeout_s: float = 45.0) -> Invoked:
        """One invocation on a connection of its own; status 0 when nothing answers."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{self._path(endpoint)}",
            data=body,
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "text/csv"},
        )
        began = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Invoked(answer.status, dict(answer.headers), answer.read(), time.monotonic() - began)
        except urllib.error.HTTPError as error:
            with error:
                return Invoked(error.code, dict(error.headers), error.read(), time.monotonic() - began)
        except OSError as error:
            return Invoked(0, {}, str(error).encode(), time.monotonic() - began)

    def wait_for_answer(self, *, within_s: float, endpoint: str = "iris") -> float:
        """Seconds until an invocation is answered; fails after `within_s`."""
        began = time.monotonic()
        wait_until(
            lambda: self.invoke(endpoint=endpoint, timeout_s=within_s).status == 200,
            timeout_s=within_s,
            every_s=0.05,
            what="an answer",
        )
        return time.monotonic() - began

    def _path(self, endpoint: str) -> str:
        return f"/api/v1/projects/{self._project}/endpoints/{endpoint}/invocations"

    # ---- what is

    def endpoint(self, name: str = "iris") -> Endpoint:
        return Endpoint.objects.get(name=name)

    def replicas(self, name: str = "iris") -> list[Replica]:
        return list(Replica.objects.filter(endpoint__name=name).order_by("index", "pk"))

    def wait_in_service(
        self, n_replicas: int, *, name: str = "iris", timeout_s: float = 60.0
    ) -> list[Replica]:
        """The replicas, once the endpoint is InService with exactly so many, and the gateway knows them."""

        def reached() -> bool:
            found = self.replicas(name)
            ready = [replica for replica in found if replica.status == "InService"]
            known = {entry["address"] for entry in self.gateway_status()["replicas"]}
            return (
                len(ready) == len(found) == n_replicas
                and self.endpoint(name).status == "InService"
                and {replica.address for replica in ready} <= known
            )

        wait_until(reached, timeout_s=timeout_s, what=lambda: f"{n_replicas} replicas; {self._seen(name)}")
        return self.replicas(name)

    def _seen(self, name: str) -> str:
        rows = [(r.status, r.pid, r.host, r.restarts) for r in self.replicas(name)]
        return (
            f"{Endpoint.objects.filter(name=name).values_list('status', flat=True)}, {rows}\n{self.host.log}"
        )

    def gateway_status(self) -> dict[str, Any]:
        """What the gateway tells on its trusted socket; empty while it does not answer."""
        from endpoints.unix_http import unix_call
        from mlplatform.core.env import gateway_socket

        try:
            answer = unix_call(str(gateway_socket()), "GET", "/control/status", timeout_s=5)
        except OSError:
            return {"replicas": []}
        found: dict[str, Any] = json.loads(answer.body)
        return found

    def model_servers(self) -> list[int]:
        """Process ids of every model server of this stage, whoever started it."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if _is_model_server(process) and self._has_ours(process):
                    found.append(process.pid)
        return found

    def _has_ours(self, process: psutil.Process) -> bool:
        """Whether it, or the sandbox around it, was told of a folder of this stage."""
        folder = str(self.data_dir)
        return any(folder in part for each in [process, *process.parents()] for part in each.cmdline())


def _is_model_server(process: psutil.Process) -> bool:
    command = process.cmdline()
    is_python = bool(command) and "python" in Path(command[0]).name
    return is_python and "endpoints.serving" in command and process.status() != psutil.STATUS_ZOMBIE


def kill(pid: int | None, number: signal.Signals = signal.SIGKILL) -> float:
    """Sends the signal; the time at which it was sent."""
    assert pid
    os.kill(pid, number)
    return time.monotonic()


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def n_files(pids: Sequence[int]) -> int:
    """Open file descriptors of the processes together."""
    return sum(psutil.Process(pid).num_fds() for pid in pids)
