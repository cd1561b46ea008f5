"""A kept connection to the gateway's socket for a caller that times its calls: asking and hearing are two steps.

Between the two the caller may work on something else, and can then tell whether the answer was there first. Little
of its own is in what it measures, unlike with `endpoints.unix_http`, which is for calls that nobody times. Not for
several threads. Used by `endpoint_client`.
"""

from __future__ import annotations

import contextlib
import select
import socket
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import httptools

from endpoints.serving.address import socket_path

_CHUNK_BYTES: Final = 256 * 1024


@dataclass(frozen=True)
class Answer:
    """A whole answer, without its headers."""

    status: int
    body: bytes


class GatewayConnection:
    """Sends whole requests and reads whole answers, one after the other."""

    def __init__(self, path: str, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._socket: socket.socket | None = None
        self._chunk = memoryview(
            bytearray(_CHUNK_BYTES)
        )  # a fresh one for each answer would cost more than the answer

    def send(self, request: bytes) -> float:
        """Connects where there is no connection, sends, and says when sending began (`perf_counter`).

        Raises:
            OSError: Nobody listens or the connection broke. One that was closed behind a whole answer, such as the
                refusal of a body, is found by `receive`.
        """
        connected = self._connected()
        began_at = perf_counter()
        with contextlib.suppress(BrokenPipeError):
            connected.sendall(request)
        return began_at

    def is_answered(self, *, within_s: float = 0.0) -> bool:
        """Whether something of the answer has come, or comes so soon."""
        return self._socket is not None and bool(select.select([self._socket], [], [], within_s)[0])

    def receive(self) -> Answer:
        """The whole answer.

        Raises:
            OSError: The connection broke, or nothing came in time.
            httptools.HttpParserError: What came is no HTTP answer.
        """
        if self._socket is None:
            raise ConnectionError("nothing was asked")
        reading = _Reading()
        parser = httptools.HttpResponseParser(reading)
        while not reading.is_whole:
            n_bytes = self._socket.recv_into(self._chunk)
            if not n_bytes:
                raise ConnectionError("the gateway ended the connection")
            parser.feed_data(self._chunk[:n_bytes])
        if not parser.should_keep_alive():
            self.close()
        return Answer(parser.get_status_code(), b"".join(reading.pieces))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            made.settimeout(self._timeout_s)
            try:
                with socket_path(self._path) as there:
                    made.connect(there)
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket


class _Reading:
    """What the parser calls."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_whole = False

    def on_body(self, body: bytes) -> None:
        self.pieces.append(body)

    def on_message_complete(self) -> None:
        self.is_whole = True
