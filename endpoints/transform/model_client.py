"""Sends one request to the model server and waits a little where it is busy. A connection per thread."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from endpoints.transform.failure import Fault, TransformFailed
from endpoints.unix_http import UnixConnection
from mlplatform.core.text import text as _

ANSWER_WITHIN_S: Final = 600.0
"""As the service's default for transforms."""
ANSWER_MAX_BYTES: Final = 256 * 1024 * 1024
BUSY_PATIENCE_S: Final = 120.0
_BUSY: Final = frozenset({429, 503})
_AGAIN_S: Final = 0.1


@dataclass(frozen=True)
class ModelAnswer:
    """A whole answer of the model server."""

    status: int
    content_type: str
    body: bytes


class ModelClient:
    """Calls `POST /invocations` of one model server; may be used by several threads.

    Args:
        ended: Whether to give up waiting.
    """

    def __init__(
        self, socket: str, *, content_type: str, accept: str, ended: Callable[[], bool] = lambda: False
    ) -> None:
        self._socket = socket
        self._headers = {"Content-Type": content_type, "Accept": accept or "*/*"}
        self._ended = ended
        self._local = threading.local()
        self._connections: list[UnixConnection] = []

    def call(self, body: bytes) -> ModelAnswer:
        """The answer, whatever its status, once the server is not busy.

        Raises:
            TransformFailed: GONE where there is no answer; MODEL for one that is too late or too long.
        """
        deadline = time.monotonic() + BUSY_PATIENCE_S
        pause_s = _AGAIN_S
        while True:
            answer = self._once(body)
            if answer.status not in _BUSY or time.monotonic() > deadline or self._ended():
                return answer
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)

    def close(self) -> None:
        """Closes the connections of all threads; none is calling any more."""
        for connection in self._connections:
            connection.close()

    def _once(self, body: bytes) -> ModelAnswer:
        """One request, and once more where a kept connection was closed behind the last answer."""
        was_kept = getattr(self._local, "connection", None) is not None
        try:
            return self._exchange(body)
        except TimeoutError:
            self._drop()
            limit = f"{ANSWER_WITHIN_S:g}"
            said = _("the model did not answer a request within {limit} s", limit=limit)
            raise TransformFailed(said, fault=Fault.MODEL) from None
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            if was_kept:
                return self._once(body)
            said = _("the model server does not answer ({error})", error=type(error).__name__)
            raise TransformFailed(said, fault=Fault.GONE) from error

    def _exchange(self, body: bytes) -> ModelAnswer:
        connection: UnixConnection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = UnixConnection(self._socket, timeout_s=ANSWER_WITHIN_S)
            self._connections.append(connection)
        connection.request("POST", "/invocations", body=body, headers=self._headers)
        response = connection.getresponse()
        content = response.read(ANSWER_MAX_BYTES + 1)
        if len(content) > ANSWER_MAX_BYTES:
            self._drop()
            limit = ANSWER_MAX_BYTES // 1024**2
            raise TransformFailed(
                _("the model's answer is larger than {limit} MB", limit=limit), fault=Fault.MODEL
            )
        response.read()
        return ModelAnswer(response.status, response.getheader("content-type") or "", content)

    def _drop(self) -> None:
        connection: UnixConnection | None = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None


def words_of(answer: ModelAnswer) -> tuple[str, int | None]:
    """What the model says of a request that it refuses, and the number of the row in it, from 1, where it has one."""
    try:
        said = json.loads(answer.body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return answer.body[:1000].decode("utf-8", "replace").strip(), None
    message = said.get("OriginalMessage") or said.get("message") or said.get("detail") or said
    row = said.get("row")
    is_row = isinstance(row, int) and not isinstance(row, bool)
    words = str(message)
    if is_row:
        words = words.removeprefix(f"row {row}, ").removeprefix(f"row {row}: ")
    return words[:1000], row if is_row else None
