"""Cuts a stream of CSV into blocks of whole records: each can be parsed alone and looked at again.

A quoted field may hold line ends; whether a line end closes a record is decided by one linear-time regular
expression that follows the same rules as the parser: a quote opens a field only at the field's beginning.
Works on the raw bytes of UTF-8, CP932 and EUC-JP alike, because none of their second bytes is a quote, a line
end or a delimiter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import BinaryIO, Final

from mlplatform.core.errors import DataError
from mlplatform.core.text import text as _

MAX_RECORD_BYTES: Final = 16 * 1024 * 1024


def record_blocks(stream: BinaryIO, delimiter: bytes, block_bytes: Callable[[], int]) -> Iterator[bytes]:
    """Blocks that each end where a record ends (the last one where the stream does).

    Args:
        block_bytes: About how long the next block is to be.

    Raises:
        DataError: a record is longer than 16 MiB, or a quoted field is never closed; all records before it
            were given.
    """
    rest = b""
    while data := stream.read(block_bytes()):
        data = rest + data
        cut = records_end(data, delimiter)
        rest = data[cut:]
        if cut:
            yield data[:cut]
        if len(rest) > MAX_RECORD_BYTES:
            raise DataError(_("is longer than {n} MiB; is a quote left open?", n=MAX_RECORD_BYTES // 1024**2))
    if rest:
        if records_end(rest + b"\n", delimiter) <= len(rest):
            raise DataError(_("has a quoted field that is never closed"))
        yield rest


def record_pattern(delimiter: bytes) -> re.Pattern[bytes]:
    """Matches one record, without its line end, at the place given; blank lines match as empty."""
    return _patterns(delimiter)[0]


def records_end(data: bytes, delimiter: bytes) -> int:
    """Where the last whole record of `data`, line end included, ends; 0 where none does."""
    if b'"' in data:
        match = _patterns(delimiter)[1].match(data)
        assert match is not None
        return match.end()
    # A lone carriage return ends a line too, but one at the very end may be half of a pair.
    return data.rfind(b"\n") + 1 or data.rfind(b"\r", 0, -1) + 1


@lru_cache(maxsize=8)
def _patterns(delimiter: bytes) -> tuple[re.Pattern[bytes], re.Pattern[bytes]]:
    stop = b"[^" + re.escape(delimiter) + rb"\r\n]*+"
    start = b'[^"' + re.escape(delimiter) + rb"\r\n]"
    field = b'(?:"(?:[^"]++|"")*+"' + stop + b"|" + start + stop + b"|)"
    record = field + b"(?:" + re.escape(delimiter) + field + b")*+"
    return re.compile(record), re.compile(b"(?:" + record + rb"(?:\r\n|\n|\r(?!\Z)))*+")
