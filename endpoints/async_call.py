"""One asynchronous request through the gateway's socket of runs: an object in, its answer into a file. Django-free.

Neither is ever in memory as a whole. Called by a worker's thread; another may break the call off.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode

from endpoints.run_token import SCHEME
from endpoints.unix_http import UnixConnection

ANSWER_WITHIN: Final = "X-Mlplatform-Answer-Within"
SLACK_S: Final = 70.0
"""Beside what the model may take: waiting for the first replica of an endpoint that sleeps, and moving bytes."""
_CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class CallAnswer:
    """An answer whose body lies in a file. Header names are lower case."""

    status: int
    headers: Mapping[str, str]


class AsyncCall:
    """One call; `break_off` ends it from another thread."""

    def __init__(self, socket_path: str, *, timeout_s: float) -> None:
        self._connection = UnixConnection(socket_path, timeout_s=timeout_s + SLACK_S)
        self._timeout_s = timeout_s

    def send(
        self,
        *,
        project: str,
        endpoint: str,
        token: str,
        body: Iterable[bytes],
        size_bytes: int,
        headers: Mapping[str, str],
        variant: str,
        into: Path,
    ) -> CallAnswer:
        """Sends the body and writes the answer's into a file.

        Raises:
            OSError, http.client.HTTPException: nobody listens, or the connection broke; TimeoutError where it is late.
        """
        target = f"/api/v1/projects/{quote(project)}/endpoints/{quote(endpoint)}/invocations"
        if variant:
            target = f"{target}?{urlencode({'variant': variant})}"
        sent = {
            **{name: value for name, value in headers.items() if value},
            "Authorization": f"{SCHEME} {token}",
            "Content-Length": str(size_bytes),
            ANSWER_WITHIN: str(int(self._timeout_s)),
        }
        with contextlib.suppress(BrokenPipeError):  # it may have been refused before all was sent
            self._connection.request("POST", target, body=body, headers=sent)
        response = self._connection.getresponse()
        with into.open("wb") as file:
            while piece := response.read(_CHUNK_BYTES):
                file.write(piece)
        return CallAnswer(response.status, {name.lower(): value for name, value in response.getheaders()})

    def break_off(self) -> None:
        """Ends the call with an OSError, wherever it is."""
        sock = self._connection.sock
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._connection.close()
