"""Opens what a table is read from: a file, a FIFO or an open binary stream, gzip-compressed or not."""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from mlplatform.core.errors import DataError
from mlplatform.core.gzip_files import GZIP_DAMAGED, gzip_reading
from mlplatform.core.text import text as _

Source = Path | BinaryIO
_GZIP_MAGIC = b"\x1f\x8b"
_BUFFER_BYTES = 1024 * 1024


@contextmanager
def open_source(source: Source) -> Iterator[BinaryIO]:
    """The content as a stream, unpacked where its first bytes are those of gzip; closes only what it opened.

    Raises:
        DataError: the compressed data is damaged or ends early.
    """
    with ExitStack() as stack:
        opened = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        stream = (
            opened
            if isinstance(opened, io.BufferedReader)
            else io.BufferedReader(_Kept(opened), _BUFFER_BYTES)
        )
        if stream.peek(2)[:2] == _GZIP_MAGIC:
            unpacked = gzip_reading(cast(BinaryIO, stream))
            stream = io.BufferedReader(cast(io.RawIOBase, unpacked), _BUFFER_BYTES)
        try:
            yield cast(BinaryIO, stream)
        except GZIP_DAMAGED as error:
            raise DataError(
                _("the gzip data is damaged or incomplete ({error})", error=str(error))
            ) from error


@contextmanager
def open_seekable(source: Source) -> Iterator[BinaryIO]:
    """The content as a stream that can seek; a FIFO is first written to an unnamed temporary file."""
    with ExitStack() as stack:
        raw = stack.enter_context(source.open("rb")) if isinstance(source, Path) else source
        if raw.seekable():
            yield raw
            return
        spooled = stack.enter_context(tempfile.TemporaryFile())
        shutil.copyfileobj(raw, spooled, _BUFFER_BYTES)
        spooled.seek(0)
        yield cast(BinaryIO, spooled)


class _Kept(io.RawIOBase):
    """Any readable stream as a raw one that does not close it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
