"""Real worker, scheduler and Redis processes on the test's own database and data directory."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from mlplatform.core.env import PROJECT_ROOT, runtime_dir
from mlplatform.core.models import Node
from mlplatform.core.startup.redis import redis_program
from tests.databases import database_url
from tests.polling import wait_until


@contextmanager
def redis_running(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis where the test settings look for it: on a unix socket, or on a port of loopback."""
    path = runtime_dir() / "redis.sock"
    path.parent.mkdir(parents=True, exist_ok=True)
    port = urlsplit(settings.CELERY_BROKER_URL).port or 0
    options = {"port": str(port), "bind": "127.0.0.1"} if port else {"port": "0", "unixsocket": str(path)}
    options |= {"save": "", "dir": str(folder)}
    argv = [str(redis_program()), *(part for name, value in options.items() for part in (f"--{name}", value))]
    popen = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port) if port else path.exists(), what="a Redis that listens")
        yield popen
    finally:
        popen.kill()
        popen.wait()
        path.unlink(missing_ok=True)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def managed(log: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `manage.py` command; ended, by force if need be, when the test ends."""
    with python_running(log, "manage.py", *arguments, **variables) as popen:
        yield popen


@contextmanager
def python_running(log: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process on the test's database and data directory."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mlplatform.settings",
        "DATABASE_URL": database_url(),
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        **variables,
    }
    with log.open("ab") as output:
        popen = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=PROJECT_ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield popen
        finally:
            if popen.poll() is None:
                popen.send_signal(signal.SIGTERM)
                try:
                    popen.wait(20)
                except subprocess.TimeoutExpired:
                    popen.kill()
                    popen.wait()


@contextmanager
def worker_running(
    folder: Path, name: str = "w1", *, concurrency: int = 2
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker that is alive and listens."""
    log = folder / f"{name}.log"
    arguments = ("worker", "--queues", "cpu", "--name", name, "--concurrency", str(concurrency))
    with managed(log, *arguments) as popen:
        wait_until(
            lambda: Node.objects.filter(name=name, pid=popen.pid).exists(),
            what=lambda: f"the heartbeat of {name}: {log.read_text()}",
        )
        yield popen
