"""A platform on several machines that share nothing but Postgres, Redis and an S3 store: a front with web, gateway and
scheduler, and machines with a worker and a host each.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import psycopg

from mlplatform.core.startup.redis import redis_program
from tests.live import ROOT
from tests.many.network import Machine, Network, network_of
from tests.object_stores import child_running, store_running
from tests.polling import wait_until
from tests.postgres import postgres_running
from tests.rest_client import Client

RELAY_PORT = 9310
START_WITHIN_S = 90.0
_ACCOUNT = """
from django.core.management import call_command
call_command("first_run", "--accounts-only")
call_command("access_key", "create", "--user", "admin", "--project", "default", "--json")
"""


class Cluster:
    """All machines of one platform. `client` speaks as `admin` in the project `default`."""

    def __init__(self, network: Network, folder: Path, shared: Mapping[str, str]) -> None:
        self.network = network
        self.folder = folder
        self.database_url = shared["DATABASE_URL"]
        self.base_url = f"http://{network.shared.address}:8000"
        self.client = Client(self.base_url)
        self._shared = dict(shared)
        self._children: list[subprocess.Popen[bytes]] = []

    # ---- starting and ending

    def start(self) -> None:
        """Everything but the machines' workers and hosts."""
        front = self.network.shared
        self.manage(front, "migrate", "--verbosity", "0", "--skip-checks")
        printed = self.manage(front, "shell", "-c", _ACCOUNT)
        token = json.loads(printed[printed.index("{") :])["token"]
        for command in ("web", "gateway", "scheduler"):
            self.begin(front, command)
        self.client = Client(self.base_url, token=token)

    def begin(self, machine: Machine, *arguments: str) -> subprocess.Popen[bytes]:
        """A process of a machine; it ends with this one."""
        with self._log(machine).open("ab") as log:
            child = subprocess.Popen(
                self._argv(machine, *arguments),
                cwd=ROOT,
                env=self.environment(machine),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._children.append(child)
        return child

    def join(self, machine: Machine) -> None:
        """Its worker, for one job at a time, and its host."""
        self.begin(machine, "worker", "--name", machine.name, "--concurrency", "1")
        self.begin(machine, "host")

    def manage(self, machine: Machine, *arguments: str, code: int = 0) -> str:
        """What a command says that ends by itself."""
        done = subprocess.run(
            self._argv(machine, *arguments),
            cwd=ROOT,
            env=self.environment(machine),
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == code, f"manage.py {' '.join(arguments)}:\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def lose(self, machine: Machine) -> None:
        """The machine is gone at one moment: its cable is pulled, or all that runs on it is killed."""
        if not machine.unplug():
            self.kill(machine)

    def kill(self, machine: Machine) -> None:
        for process in self._processes(machine):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def close(self) -> None:
        for machine in (*self.network.machines, self.network.shared):
            wait_until(lambda machine=machine: not self._killed(machine), timeout_s=20, what=machine.name)
        for child in self._children:
            child.wait(10)

    # ---- looking

    def wait(self, what: str, condition: Any, *, within_s: float = START_WITHIN_S) -> None:
        wait_until(condition, timeout_s=within_s, every_s=0.1, what=lambda: f"{what}:\n{self.logs()}")

    def is_up(self) -> bool:
        """Pages answer, and every machine has a worker and a host. Fails where a process ended instead."""
        assert not any(child.poll() for child in self._children), self.logs()
        try:
            healthy = Client(self.base_url).get("health/").status == 200
        except OSError:
            return False
        kinds = "SELECT kind FROM core_node WHERE kind IN ('worker', 'host')"
        return healthy and len(self.rows(kinds)) >= 2 * len(self.network.machines)

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def logs(self) -> str:
        machines = (self.network.shared, *self.network.machines)
        return "\n".join(
            f"---- {machine.name}\n{self._log(machine).read_text(errors='replace')[-4000:]}"
            for machine in machines
            if self._log(machine).exists()
        )

    def data_dir(self, machine: Machine) -> Path:
        return self.folder / machine.name

    def environment(self, machine: Machine) -> dict[str, str]:
        own = {
            "MLPLATFORM_DATA_DIR": str(self.data_dir(machine)),
            "MLPLATFORM_HOST_NAME": machine.name,
            "MLPLATFORM_HOST": machine.address,
            "MLPLATFORM_ALLOWED_HOSTS": machine.address,
            "MLPLATFORM_RELAY_ADDRESS": f"tcp:{machine.address}:{RELAY_PORT}",
        }
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MLPLATFORM_", "AWS_", "DJANGO_"))
        }
        return kept | self._shared | own

    def _argv(self, machine: Machine, *arguments: str) -> list[str]:
        return [
            *machine.argv,
            *("setpriv", "--pdeathsig", "KILL"),
            *(sys.executable, "manage.py", *arguments),
        ]

    def _log(self, machine: Machine) -> Path:
        return self.folder / f"{machine.name}.log"

    def _processes(self, machine: Machine) -> list[psutil.Process]:
        place = str(self.data_dir(machine))
        return [process for process in psutil.process_iter() if _is_of(process, place)]

    def _killed(self, machine: Machine) -> list[psutil.Process]:
        self.kill(machine)
        for child in self._children:
            child.poll()
        return self._processes(machine)


@contextlib.contextmanager
def cluster_running(*names: str) -> Iterator[Cluster]:
    """A platform with a front and a machine of each name; at the end nothing of it is left."""
    with contextlib.ExitStack() as made:
        folder = Path(made.enter_context(tempfile.TemporaryDirectory(prefix="mlp-many-")))
        network = made.enter_context(network_of(*names))
        address = network.shared.address
        shared = {
            "DATABASE_URL": made.enter_context(postgres_running(address=address)).database_new("many"),
            "CELERY_BROKER_URL": made.enter_context(_redis(address, folder)),
            **made.enter_context(_store(address, folder)),
            "MLPLATFORM_SECRET_KEY": "the same on all machines of a platform",
            "MLPLATFORM_WARM_PROCESSES": "0",
        }
        cluster = Cluster(network, folder, shared)
        made.callback(cluster.close)
        for machine in (network.shared, *network.machines):
            cluster.data_dir(machine).mkdir()
        cluster.start()
        for machine in network.machines:
            cluster.join(machine)
        cluster.wait("every machine", cluster.is_up)
        yield cluster


@contextlib.contextmanager
def _redis(address: str, folder: Path) -> Iterator[str]:
    options = {"bind": address, "port": "6379", "protected-mode": "no", "save": "", "dir": str(folder)}
    argv = [str(redis_program()), *(part for name, value in options.items() for part in (f"--{name}", value))]
    with child_running(argv, folder):
        yield f"redis://{address}:6379/0"


@contextlib.contextmanager
def _store(address: str, folder: Path) -> Iterator[dict[str, str]]:
    with store_running(address, folder) as url:
        yield {
            "OBJECT_STORE_URL": "s3://mlplatform",
            "AWS_ENDPOINT_URL": url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_REGION": "us-east-1",
        }


def _is_of(process: psutil.Process, place: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE or process.pid == os.getpid():
            return False
        return any(place in text for text in (*process.cmdline(), *process.environ().values()))
    except psutil.Error:
        return False
