"""How the lines of a log are kept: in rows of many lines each, with the times at which they were read.

Called by `mlplatform.core.logs` only, inside its transaction.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from mlplatform.core.log_lines import LogLines
from mlplatform.core.models import LogChunk, LogStream

COALESCE_BYTES = 16 * 1024
READ_BYTES = 256 * 1024
CHUNKS_AT_ONCE = 8


def chunks_write(stream: LogStream, lines: Sequence[LogLines]) -> None:
    """Appends to `stream`, whose size is that before; to its last chunk while that is small, so that a slow talker does
    not leave a row per line.
    """
    offset, first_line = stream.n_bytes, stream.n_lines
    groups = list(_groups(lines))
    if offset and _n_bytes(groups[0]) < COALESCE_BYTES:
        last = stream.chunks.order_by("-offset").first()
        if last is not None and last.n_bytes + _n_bytes(groups[0]) <= COALESCE_BYTES:
            _chunk_extend(last, groups.pop(0))
            offset, first_line = last.offset + last.n_bytes, last.first_line + last.n_lines
    chunks = []
    for group in groups:
        chunks.append(_chunk_of(stream, offset, first_line, group))
        offset += chunks[-1].n_bytes
        first_line += chunks[-1].n_lines
    LogChunk.objects.bulk_create(chunks, batch_size=CHUNKS_AT_ONCE)


def _groups(lines: Sequence[LogLines]) -> Iterator[list[LogLines]]:
    """Lines in groups of at most `READ_BYTES`, so that no chunk is larger than what a reader asks for."""
    group: list[LogLines] = []
    n_bytes = 0
    for piece in (piece for read in lines for piece in read.pieces(READ_BYTES)):
        if group and n_bytes + len(piece.data) > READ_BYTES:
            yield group
            group, n_bytes = [], 0
        group.append(piece)
        n_bytes += len(piece.data)
    yield group


def _n_bytes(group: Sequence[LogLines]) -> int:
    return sum(len(read.data) for read in group)


def _chunk_of(stream: LogStream, offset: int, first_line: int, group: Sequence[LogLines]) -> LogChunk:
    first_at = datetime.fromtimestamp(group[0].at_ms / 1000, tz=UTC)
    return LogChunk(
        stream=stream,
        offset=offset,
        n_bytes=_n_bytes(group),
        first_line=first_line,
        n_lines=sum(read.n_lines for read in group),
        first_at=first_at,
        line_times=_times_pack(first_at, group),
        data=b"".join(read.data for read in group),
    )


def _chunk_extend(chunk: LogChunk, group: Sequence[LogLines]) -> None:
    chunk.line_times = bytes(chunk.line_times) + _times_pack(chunk.first_at, group)
    chunk.data = bytes(chunk.data) + b"".join(read.data for read in group)
    chunk.n_bytes = len(chunk.data)
    chunk.n_lines += sum(read.n_lines for read in group)
    chunk.save(update_fields=["line_times", "data", "n_bytes", "n_lines"])


def _times_pack(first_at: datetime, group: Sequence[LogLines]) -> bytes:
    begin = _ms(first_at)
    return b"".join(
        struct.pack("<I", min(max(0, read.at_ms - begin), 2**32 - 1)) * read.n_lines for read in group
    )


def times_of(chunk: LogChunk) -> list[int]:
    """When each of its lines was read, in milliseconds since the epoch."""
    begin = _ms(chunk.first_at)
    return [begin + offset for (offset,) in struct.iter_unpack("<I", bytes(chunk.line_times))]


def _ms(at: datetime) -> int:
    return (at - datetime.fromtimestamp(0, tz=UTC)) // timedelta(milliseconds=1)
