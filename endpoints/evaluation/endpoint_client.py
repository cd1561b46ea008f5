"""Calls one endpoint as any client would, through the gateway; waits a little where it is busy, and times the calls.

Used by table runs and evaluations, whose process has a token for this endpoint alone (`endpoints.run_token`).
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from time import perf_counter
from typing import Final
from urllib.parse import quote, urlencode

import httptools

from endpoints.evaluation.connection import Answer, GatewayConnection
from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.spec import RunSpec
from endpoints.run_token import SCHEME
from mlplatform.core.text import text as _

CALL_TIMEOUT_S = 125.0
PATIENCE_S = 30.0
PLAIN: Final = "application/json"
VERBOSE: Final = "application/json; verbose=true"
NOT_ACCEPTABLE: Final = 406
_BUSY = frozenset({429, 503})


@dataclass(frozen=True)
class TimedAnswer:
    """An answer, and how long it took from the first byte sent to the last received.

    Attributes:
        early: It had begun to arrive before anybody looked, so that it took less than `latency_s`, nobody knows how
            much.
    """

    status: int
    body: bytes
    latency_s: float
    early: bool


class EndpointClient:
    """One connection, one call at a time.

    Attributes:
        plain: What an ordinary call accepts.
        n_repeated: Calls that were sent again, because the endpoint was busy or the gateway away. Only the call
            that was answered is timed.
    """

    def __init__(self, spec: RunSpec) -> None:
        path = f"/api/v1/projects/{quote(spec.project)}/endpoints/{quote(spec.endpoint)}/invocations"
        target = f"{path}?{urlencode({'variant': spec.variant})}" if spec.variant else path
        self._head = (
            f"POST {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {SCHEME} {spec.token}\r\n"
            "Content-Type: text/csv\r\n"
        )
        self._connection = GatewayConnection(spec.socket, timeout_s=CALL_TIMEOUT_S)
        self._request = b""
        self._began_at = 0.0
        self._fault: Exception | None = None
        self.plain = PLAIN
        self.n_repeated = 0

    def close(self) -> None:
        self._connection.close()

    def call(self, body: bytes, *, accept: str | None = None) -> TimedAnswer:
        """`ask` and `answer` in one."""
        self.ask(body, accept=accept)
        return self.answer()

    def ask(self, body: bytes, *, accept: str | None = None) -> None:
        """Sends rows as CSV; the next call is `answer`."""
        head = f"{self._head}Accept: {accept or self.plain}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._request = head.encode() + body
        self._send()

    def is_answered(self, *, within_s: float) -> bool:
        """Whether the answer begins to arrive so soon."""
        return self._connection.is_answered(within_s=within_s)

    def answer(self) -> TimedAnswer:
        """The answer to what was asked, whatever its status, once the endpoint is not busy.

        Raises:
            RunFailed: The gateway cannot be reached.
        """
        deadline = time.monotonic() + PATIENCE_S
        pause_s = 0.1
        while True:
            early = self._connection.is_answered()
            answer = self._received()
            latency_s = perf_counter() - self._began_at
            is_last = time.monotonic() > deadline
            if answer is not None and (is_last or answer.status not in _BUSY):
                return TimedAnswer(answer.status, answer.body, latency_s, early)
            if is_last:
                said = _("The gateway cannot be reached: {error}", error=str(self._fault))
                raise RunFailed(said) from self._fault
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, 2.0)
            self.n_repeated += 1
            self._send()

    def _send(self) -> None:
        try:
            self._began_at, self._fault = self._connection.send(self._request), None
        except OSError as error:
            self._connection.close()
            self._fault = error

    def _received(self) -> Answer | None:
        if self._fault is not None:
            return None
        try:
            return self._connection.receive()
        except (OSError, httptools.HttpParserError) as error:
            self._connection.close()
            self._fault = error
            return None


def refusal(answer: TimedAnswer, first_row: int) -> str:
    """The endpoint's words, with the number of the row in the table and not in the request."""
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = None
    said = said if isinstance(said, dict) else {}
    message = str(said.get("message") or answer.body[:500].decode("utf-8", "replace"))
    row = said.get("row")
    if isinstance(row, int):
        words = message.removeprefix(f"row {row}, ").removeprefix(f"row {row}: ")
        message = _("row {row} of the dataset: {message}", row=first_row + row - 1, message=words)
    return _("The endpoint answered {status}: {message}", status=answer.status, message=message)
