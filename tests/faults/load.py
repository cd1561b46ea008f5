"""Callers of an endpoint over real connections: many at once, every answer kept with its time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import uvloop

from tests.polling import wait_until

ANSWER_WITHIN_S = 45.0


@dataclass(frozen=True)
class Answered:
    """One call. `status` 0 is a call that ended without an answer; `error` then says how."""

    began_at: float
    ended_at: float
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""

    @property
    def duration_s(self) -> float:
        return self.ended_at - self.began_at


class Caller:
    """One connection, kept between calls and opened again after it broke."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def connect(self) -> None:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)

    async def call(self, request: bytes, *, within_s: float = ANSWER_WITHIN_S) -> Answered:
        """Sends the request and reads its answer; never raises."""
        began_at = time.monotonic()
        try:
            async with asyncio.timeout(within_s):
                if self._writer is None:
                    await self.connect()
                status, headers, body = await self._exchange(request)
            if headers.get("connection") == "close":
                self.close()
            return Answered(began_at, time.monotonic(), status, headers, body)
        except (OSError, EOFError, TimeoutError) as error:
            self.close()
            return Answered(began_at, time.monotonic(), 0, error=f"{type(error).__name__}: {error}")

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

    def vanish(self) -> None:
        """Breaks the connection off without a goodbye."""
        if self._writer is not None:
            self._writer.transport.abort()
        self._reader = self._writer = None

    async def send(self, data: bytes) -> None:
        assert self._writer is not None
        self._writer.write(data)
        await self._writer.drain()

    async def read(self) -> bytes:
        assert self._reader is not None
        return await self._reader.read(65536)

    async def _exchange(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        assert self._reader is not None
        await self.send(request)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
        body = await self._reader.readexactly(int(headers.get("content-length", 0)))
        return int(head[0].split(" ")[1]), headers, body


class Load:
    """So many callers, each calling again as soon as it has its answer, on a thread of their own."""

    def __init__(self, port: int, request: bytes | Callable[[], bytes], *, n_callers: int = 8) -> None:
        self.answers: list[Answered] = []
        self._port = port
        self._request = request if callable(request) else lambda: request
        self._n_callers = n_callers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(2 * ANSWER_WITHIN_S)

    @property
    def n_good(self) -> int:
        return sum(answer.status == 200 for answer in list(self.answers))

    @property
    def failures(self) -> list[Answered]:
        return [answer for answer in list(self.answers) if answer.status != 200]

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in list(self.answers))

    def wait_for_more(self, n_good: int, *, timeout_s: float = 60.0) -> None:
        """Waits until so many further calls have been answered well."""
        wanted = self.n_good + n_good
        wait_until(
            lambda: self.n_good >= wanted,
            timeout_s=timeout_s,
            what=lambda: f"{n_good} more good answers; {dict(self.statuses)}",
        )

    def longest_silence_s(self, *, since: float) -> float:
        """The longest time after `since` in which no call that was answered well ended."""
        ends = sorted(a.ended_at for a in self.answers if a.status == 200 and a.ended_at >= since)
        return max((b - a for a, b in zip([since, *ends], ends, strict=False)), default=float("inf"))

    def _run(self) -> None:
        in_loop(self._call_all())

    async def _call_all(self) -> None:
        await asyncio.gather(*(self._call_on() for _ in range(self._n_callers)))

    async def _call_on(self) -> None:
        caller = Caller(self._port)
        while not self._ended.is_set():
            answer = await caller.call(self._request())
            self.answers.append(answer)
            if answer.status != 200:
                await asyncio.sleep(0.05)  # as a client does that was told to try again later
        caller.close()


def in_loop(work: Any) -> Any:
    """Runs a coroutine to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


async def gather_quietly(*work: Any) -> None:
    """Waits for all of them, whatever becomes of each."""
    with contextlib.suppress(Exception):
        await asyncio.gather(*work, return_exceptions=True)
