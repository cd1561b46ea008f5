"""A log as server-sent events, for any face: `log` events with new lines, a comment while nothing comes, one `end`
or, when the reader may no longer read it, one `denied`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections

from mlplatform.core.logs import LogSlice, log_read
from mlplatform.core.models import LogStream

POLL_S = 0.25
COMMENT_EVERY_S = 15.0
ADMIT_EVERY_S = 1.0


async def log_events(
    *, stream: LogStream, after: int = 0, allowed: Callable[[], bool] = lambda: True
) -> AsyncIterator[bytes]:
    """Events from byte offset `after` until the log has ended.

    Args:
        allowed: asked again every second, however much is written; the stream ends, with `denied`, when the reader's
            right to it does.

    Yields:
        `id` is the offset to resume from (`Last-Event-ID`), `data` the slice as `log_slice_json` has it.
    """
    silent_s, admitted_at = 0.0, time.monotonic()
    while True:
        if time.monotonic() - admitted_at >= ADMIT_EVERY_S:
            if not await sync_to_async(_asked)(allowed):
                yield _event("denied", {"next": after}, after)
                return
            admitted_at = time.monotonic()
        try:
            piece = await sync_to_async(_read)(stream.pk, after)
        except LogStream.DoesNotExist:  # deleted while it was read
            yield _event("end", {"next": after}, after)
            return
        if piece.text:
            silent_s, after = 0.0, piece.next
            yield _event("log", log_slice_json(piece), after)
        if piece.end:
            yield _event("end", {"next": after}, after)
            return
        if piece.text:
            continue
        await asyncio.sleep(POLL_S)
        silent_s += POLL_S
        if silent_s >= COMMENT_EVERY_S:
            silent_s = 0.0
            yield b": still here\n\n"


def log_slice_json(piece: LogSlice) -> dict[str, Any]:
    """A slice as pages and clients read it; `times` are milliseconds since the epoch, one per line."""
    return {
        "text": piece.text,
        "first_line": piece.first_line,
        "times": list(piece.line_times_ms),
        "next": piece.next,
        "end": piece.end,
    }


def _read(stream_id: int, after: int) -> LogSlice:
    close_old_connections()
    return log_read(stream=LogStream.objects.get(pk=stream_id), after=after)


def _asked(allowed: Callable[[], bool]) -> bool:
    close_old_connections()
    return allowed()


def _event(name: str, data: dict[str, Any], event_id: int) -> bytes:
    return f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
