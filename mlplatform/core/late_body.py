"""Bodies that are received after their view has said where they go: parts of uploads, straight into their files.

Django has a whole body kept before it asks any view, and of one that breaks off nothing is left. A body of the type
`application/offset+octet-stream` of a PATCH therefore waits: the view sees the request without it, checks everything,
names a `Sink`, and its answer is held back until the body has come. What came of one that broke off is kept. Part of
the ASGI application, inside the limit of bodies; without ASGI (in tests) the body is there already and is read at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol

from django.http import HttpRequest

from mlplatform.core.asgi_types import Application, Message, Receive, Send
from mlplatform.core.errors import RequestTimeout
from mlplatform.core.text import text as _

MEDIA_TYPE: Final = "application/offset+octet-stream"
STALL_S: Final = 20.0
"""A body of which nothing comes for so long is given up, so that its sender can go on by another connection."""
WRITE_BYTES: Final = 1024 * 1024
WRITE_EVERY_S: Final = 1.0
"""However slowly it comes: what is in memory only is lost with the process."""
_METHOD: Final = "PATCH"
"""Alone late: an answer is held back whole, which one that streams must never be."""
_KEY: Final = "mlplatform.late_body"


class Sink(Protocol):
    """Where a body goes. Called on threads, one call at a time."""

    def write(self, piece: bytes) -> None: ...

    def close(self) -> int:
        """After the last piece, also of a body that broke off. The offset that is reached."""
        ...


@dataclass
class _Late:
    sink: Sink | None = None


class _Broken(Exception):
    """The sender went away."""


def body_to(request: HttpRequest, sink: Sink) -> int | None:
    """Lets the request's body go into `sink`, which is closed in any case.

    Returns:
        The offset that was reached; None where the body comes only after the view has answered.
    """
    late: _Late | None = getattr(request, "scope", {}).get(_KEY)
    if late is not None:
        late.sink = sink
        return None
    try:
        for piece in iter(lambda: request.read(WRITE_BYTES), b""):
            sink.write(piece)
    finally:
        reached = sink.close()
    return reached


class LateBody:
    """`application` with late bodies. The answer's `Upload-Offset` is the offset that the sink has reached."""

    def __init__(self, application: Application) -> None:
        self._application = application

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _is_late(scope):
            await self._application(scope, receive, send)
            return
        late, answer = _Late(), list[Message]()

        async def hold(message: Message) -> None:
            answer.append(message)

        try:
            await self._application({**scope, _KEY: late}, _empty_body(), hold)
        except BaseException:
            if late.sink is not None:
                late.sink.close()
            raise
        try:
            if late.sink is not None:
                _tell(answer, await _take_in(late.sink, receive))
        except _Broken:
            return
        for message in answer:
            await send(message)


def _is_late(scope: Message) -> bool:
    if scope["method"] != _METHOD:
        return False
    types = [value for name, value in scope["headers"] if name.lower() == b"content-type"]
    return any(value.decode("latin-1").partition(";")[0].strip().lower() == MEDIA_TYPE for value in types)


def _empty_body() -> Receive:
    """What Django receives: no body; and then nothing more, so that nobody has gone away."""
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if not messages:
            await asyncio.get_running_loop().create_future()
        return messages.pop()

    return receive


async def _take_in(sink: Sink, receive: Receive) -> int:
    """The offset that is reached. Raises _Broken; RequestTimeout; what `sink` raises. What came is written first."""
    pieces: list[bytes] = []
    now = asyncio.get_running_loop().time
    written_at = now()
    try:
        goes_on = True
        while goes_on:
            goes_on = await _receive(receive, pieces)
            if not goes_on or sum(map(len, pieces)) >= WRITE_BYTES or now() - written_at > WRITE_EVERY_S:
                await _write(sink, pieces)
                written_at = now()
    except (_Broken, RequestTimeout):
        await _write(sink, pieces)
        raise
    finally:
        # Not left to a cancelled task: whoever waits for the lock would wait for ever.
        reached = await asyncio.shield(asyncio.to_thread(sink.close))
    return reached


async def _receive(receive: Receive, pieces: list[bytes]) -> bool:
    """Adds the next piece; whether more comes."""
    try:
        message = await asyncio.wait_for(receive(), STALL_S)
    except TimeoutError:
        raise RequestTimeout(
            _("Nothing came for {n} s; what came before is kept: go on from there", n=round(STALL_S))
        ) from None
    if message["type"] == "http.disconnect":
        raise _Broken
    pieces.append(message.get("body", b""))
    return bool(message.get("more_body", False))


async def _write(sink: Sink, pieces: list[bytes]) -> None:
    if not pieces:
        return
    piece = b"".join(pieces)
    pieces.clear()
    writing = asyncio.create_task(asyncio.to_thread(sink.write, piece))
    try:
        await asyncio.shield(writing)
    except asyncio.CancelledError:
        await asyncio.wait([writing])  # its thread goes on, and nobody may close the file beneath it
        raise


def _tell(answer: list[Message], offset: int) -> None:
    start = answer[0]
    kept = [(name, value) for name, value in start["headers"] if name.lower() != b"upload-offset"]
    start["headers"] = [*kept, (b"Upload-Offset", b"%d" % offset)]
