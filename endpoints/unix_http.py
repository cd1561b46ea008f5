"""HTTP over a unix socket for callers that wait: pings of model servers, calls of the gateway. Django-free.

The asyncio half, with pooled connections, is `endpoints.serving.client`; this one is for threads that may block.
"""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from endpoints.serving.address import socket_path

_AGAIN_S: Final = 0.01


@dataclass(frozen=True)
class HttpAnswer:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class UnixConnection(http.client.HTTPConnection):
    """A connection that is kept for several calls; not for several threads."""

    def __init__(self, path: str, *, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with socket_path(self._path) as there:
            self._reach(there)

    def _reach(self, there: str) -> None:
        """Connects; while as many wait to be taken in as may, the kernel says at once that it is to be tried again."""
        deadline = time.monotonic() + (self.timeout or 0.0)
        while True:
            try:
                self.sock.connect(there)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self._path} takes no more connections") from None
                time.sleep(_AGAIN_S)
            else:
                return

    def call(
        self, method: str, target: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> HttpAnswer:
        """One request and its whole answer.

        Raises:
            OSError: Nobody listens, the connection broke, or no answer in time (TimeoutError).
            http.client.HTTPException: What came is not an HTTP answer.
        """
        self.request(method, target, body=body, headers=dict(headers or {}))
        response = self.getresponse()
        content = response.read()
        return HttpAnswer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, content
        )


def unix_call(
    path: str,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float,
) -> HttpAnswer:
    """One call on a connection of its own. Raises as `UnixConnection.call`."""
    connection = UnixConnection(path, timeout_s=timeout_s)
    try:
        return connection.call(method, target, body=body, headers=headers)
    finally:
        connection.close()
