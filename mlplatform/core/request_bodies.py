"""Django's ASGI handler, with request bodies spooled where uploads are staged: that folder is on a disk.

The system's temporary folder, which Django would take, is memory on many machines; an upload of gigabytes would
fill it.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler

from mlplatform.core.errors import TransientError
from mlplatform.core.storage.faults import storage_fault


class SpoolingHandler(ASGIHandler):
    async def read_body(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> IO[bytes]:
        """The whole body as a file: in memory while small, in `FILE_UPLOAD_TEMP_DIR` beyond that."""
        body = tempfile.SpooledTemporaryFile(  # noqa: SIM115  the request owns and closes it
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b", dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        fault: TransientError | None = None
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            if fault is None:
                fault = _kept(body, message.get("body", b""))
            if not message.get("more_body", False):
                return _NotKept(fault) if fault else _rewound(body)


def _kept(body: IO[bytes], piece: bytes) -> TransientError | None:
    """Why the piece could not be kept; then the rest is received, and dropped, so that the sender hears the answer."""
    try:
        body.write(piece)
    except OSError as error:
        body.close()
        fault = storage_fault(error)
        if fault is None:
            raise
        return fault
    return None


def _rewound(body: IO[bytes]) -> IO[bytes]:
    body.seek(0)
    return body


class _NotKept(io.BytesIO):
    """The body of a request that the disk had no room for: whoever reads it learns that."""

    def __init__(self, fault: TransientError) -> None:
        super().__init__()
        self._fault = fault

    def read(self, size: int | None = -1, /) -> bytes:
        raise self._fault

    def readline(self, size: int | None = -1, /) -> bytes:
        raise self._fault
