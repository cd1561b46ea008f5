"""A platform of its own for a benchmark, or a running one that is named, and requests to it. No benchmark itself."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.parse import urlsplit

from mlplatform.core.env import PROJECT_ROOT

PROJECT: Final = "projects/default"
WITHIN_S: Final = 240.0


def platform_options(parser: argparse.ArgumentParser) -> None:
    """The options that name a running platform."""
    parser.add_argument("--base-url", default="", help="of a running platform; otherwise one is started")
    parser.add_argument("--token", default="", help="an access key of its project default: <key id>.<secret>")


class Rest:
    """Requests on one kept connection."""

    def __init__(self, base_url: str, token: str) -> None:
        place = urlsplit(base_url)
        self.base_url = base_url
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=120)
        self.authorization = {"Authorization": f"Bearer {token}"}

    def call(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        content = self.send(method, path, body, "application/json")[1]
        return json.loads(content) if content else None

    def send(
        self, method: str, path: str, body: bytes | None, content_type: str
    ) -> tuple[dict[str, str], bytes]:
        headers = self.authorization | {"Content-Type": content_type}
        self._connection.request(method, f"/api/v1/{path}", body=body, headers=headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status}: {content[:400].decode()}")
        return {name.lower(): text for name, text in answer.getheaders()}, content

    def invoke(self, endpoint: str, row: bytes) -> tuple[float, dict[str, str]]:
        """Seconds from request to answer, and the answer's headers."""
        began_at = perf_counter()
        headers, _ = self.send("POST", f"{PROJECT}/endpoints/{endpoint}/invocations", row, "text/csv")
        return perf_counter() - began_at, headers

    def until(self, path: str, field: str, wanted: str) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN_S
        while True:
            found = dict(self.call("GET", path))
            if found[field] == wanted:
                return found
            if found[field] == "Failed" or time.monotonic() > deadline:
                raise RuntimeError(f"{path} is {found[field]}: {found.get('failure')}")
            time.sleep(0.1)


@contextmanager
def platform_started(folder: Path, options: argparse.Namespace | None = None) -> Iterator[Rest]:
    """The platform of `platform_options`, else one with its data in `folder`, ended at the end."""
    if options is not None and options.base_url:
        yield Rest(options.base_url, options.token)
        return
    port = free_port()
    manage = [sys.executable, "manage.py"]
    environment = os.environ | {"MLPLATFORM_DATA_DIR": str(folder / "data")}
    with (folder / "up.log").open("wb") as log:
        up = [*manage, "up", "--data-dir", str(folder / "data"), "--port", str(port)]
        process = subprocess.Popen(up, cwd=PROJECT_ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait_healthy(port, process, folder / "up.log")
        key = [*manage, "access_key", "create", "--user", "admin", "--project", "default", "--json"]
        made = subprocess.run(key, cwd=PROJECT_ROOT, env=environment, capture_output=True, check=True)
        yield Rest(f"http://127.0.0.1:{port}", json.loads(made.stdout)["token"])
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def instant(text: str) -> float:
    """Seconds since 1970 of a time in an answer."""
    return datetime.fromisoformat(text).timestamp()


def _wait_healthy(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it answers and its first run, which would be measured too, is over."""
    deadline = time.monotonic() + WITHIN_S
    while "mlplatform is running" not in log.read_text() or "first password" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the platform does not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
