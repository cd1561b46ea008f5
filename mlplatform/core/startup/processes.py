"""The processes of the one-machine platform, in the stages in which they start. Django-free."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplatform.core.env import PROJECT_ROOT, env_text, runtime_dir
from mlplatform.core.startup.banner import Banner
from mlplatform.core.startup.options import Options
from mlplatform.core.supervised_process import ProcessSpec

_NVIDIA = (Path("/dev/nvidia0"), Path("/proc/driver/nvidia"))
_COLOURS: Mapping[str, str] = {
    "redis": "90",
    "migrate": "90",
    "web": "34",
    "gateway": "36",
    "worker": "33",
    "host": "35",
    "scheduler": "32",
    "first run": "1",
}


def colour_of(name: str) -> str:
    """The SGR code of a process' name in the log."""
    return _COLOURS.get(name, "")


def services_process() -> ProcessSpec:
    """Waits for the database, broker and store of the settings, or says which of them cannot be used."""
    argv = [sys.executable, "-m", "mlplatform.core.startup.services_wait"]
    return ProcessSpec(name="services", argv=argv, colour=colour_of("migrate"), restarts=False)


def migrate_process() -> ProcessSpec:
    """Brings the database's tables up to date."""
    return _manage("migrate", "migrate", "--verbosity", "0", "--no-input", "--skip-checks", restarts=False)


def front_processes(options: Options) -> list[ProcessSpec]:
    """What answers requests: the platform is open once they are ready."""
    web_socket = runtime_dir() / "web.sock"
    return [
        _manage("web", "web", is_ready=lambda: _accepts(socket.AF_UNIX, str(web_socket))),
        _manage("gateway", "gateway", is_ready=lambda: _accepts(*_local(options))),
    ]


def back_processes(banner: Banner) -> list[ProcessSpec]:
    """What works behind, and the first run, which does nothing when it was done before."""
    queues = machine_queues()
    return [
        _manage("worker", "worker", "--queues", queues, is_essential=False, grace_s=20.0),
        _manage("host", "host", "--queues", queues, is_essential=False, grace_s=20.0),
        _manage("scheduler", "scheduler", is_essential=False),
        _manage("first run", "first_run", restarts=False, on_line=banner.take, on_end=banner.show),
    ]


def machine_queues(signs: Sequence[Path] = _NVIDIA) -> str:
    """The queues that this machine is to serve: as the environment says, or `gpu` too where it has an NVIDIA GPU."""
    found = "cpu,gpu" if any(sign.exists() for sign in signs) else "cpu"
    return env_text("MLPLATFORM_QUEUES") or found


def _manage(name: str, *arguments: str, **rest: object) -> ProcessSpec:
    argv = [sys.executable, str(PROJECT_ROOT / "manage.py"), *arguments]
    return ProcessSpec(name=name, argv=argv, colour=colour_of(name), **rest)  # type: ignore[arg-type]


def _local(options: Options) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Where the gateway can be reached from this machine."""
    if ":" in options.host:
        return socket.AF_INET6, ("::1" if options.host == "::" else options.host, options.port)
    return socket.AF_INET, ("127.0.0.1" if options.host in {"", "0.0.0.0"} else options.host, options.port)


def _accepts(family: socket.AddressFamily, address: str | tuple[str, int]) -> bool:
    try:
        with socket.socket(family) as connection:
            connection.settimeout(1.0)
            connection.connect(address)
            return True
    except OSError:
        return False


def is_first_start(data_dir: Path) -> bool:
    """Whether there is no database yet. Unknown, so no, for a database elsewhere."""
    return not os.environ.get("DATABASE_URL") and not (data_dir / "db.sqlite3").exists()
