"""Django's ASGI handler, with request bodies spooled where uploads are staged: that folder is on a disk.

The system's temporary folder, which Django would take, is memory on many machines; an upload of gigabytes would
fill it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler


class SpoolingHandler(ASGIHandler):
    async def read_body(self, receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> IO[bytes]:
        """The whole body as a file: in memory while small, in `FILE_UPLOAD_TEMP_DIR` beyond that."""
        body = tempfile.SpooledTemporaryFile(  # noqa: SIM115  the request owns and closes it
            max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b", dir=settings.FILE_UPLOAD_TEMP_DIR
        )
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            body.write(message.get("body", b""))
            if not message.get("more_body", False):
                body.seek(0)
                return body
