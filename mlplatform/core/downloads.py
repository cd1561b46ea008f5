"""Files as answers, in constant memory: used by every face that lets a browser or client download something.

A plain StreamingHttpResponse over an ordinary iterator would be read to its end before the first byte
leaves an ASGI server; this one is read piece by piece, in a thread.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator

from asgiref.sync import sync_to_async
from django.http import StreamingHttpResponse
from django.utils.http import content_disposition_header


class DownloadResponse(StreamingHttpResponse):
    """`chunks` as an attachment named `filename`, which the browser saves without guessing its type."""

    def __init__(
        self,
        chunks: Iterable[bytes],
        *,
        filename: str,
        size_bytes: int | None = None,
        content_type: str = "application/octet-stream",
    ) -> None:
        super().__init__(chunks, content_type=content_type)
        self["Content-Disposition"] = content_disposition_header(True, filename) or "attachment"
        self["X-Content-Type-Options"] = "nosniff"
        self["Cache-Control"] = "private, no-store"
        if size_bytes is not None:
            self["Content-Length"] = str(size_bytes)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces: Iterator[bytes] = iter(self)
        while True:
            piece = await sync_to_async(_next)(pieces)
            if piece is None:
                return
            yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    return next(pieces, None)
