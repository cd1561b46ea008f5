"""Logs in the database: append with a fence, read from an offset, by line, from the end, search, download.

A stream is written by one process at a time; the row's size, as the writer last knew it, is the fence. Lines
are numbered from 1, offsets are bytes of UTF-8. Cutting output into lines is `mlplatform.core.log_lines`, keeping them
in rows `mlplatform.core.log_chunks`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any

import re2
from django.db import transaction
from django.db.models import Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.log_chunks import READ_BYTES, chunks_write, times_of
from mlplatform.core.log_lines import LogLines
from mlplatform.core.models import LogChunk, LogStream
from mlplatform.core.names import uid_new
from mlplatform.core.text import text as _

SEARCH_PATTERN_MAX = 500
CHUNKS_PER_ROW_REMOVED = 10
"""A chunk has up to `READ_BYTES`: as many as rows of other tables would keep writers waiting."""


class LogFenced(Exception):
    """Somebody else appended to the stream, or it has ended: this writer has lost it."""


@dataclass(frozen=True)
class LogSlice:
    """A stretch of whole lines.

    Args:
        text: The lines, each ended by a newline.
        next: The offset after them, to read on from.
        end: True when the process has ended and nothing follows.
        first_line: Number of the first line, from 1.
        line_times_ms: Per line, milliseconds since the epoch.
        truncated: True when lines were left out because the log reached its limit.
        removed_at: When all lines were removed, because they had been kept long enough; None where they are there.
    """

    text: str
    next: int
    end: bool
    first_line: int
    line_times_ms: list[int]
    truncated: bool = False
    removed_at: datetime | None = None


def log_stream_create() -> LogStream:
    return LogStream.objects.create(uid=uid_new())


def log_append(*, stream: LogStream, lines: Sequence[LogLines], truncated: bool = False) -> None:
    """Appends whole lines and moves `stream` on, in memory too.

    Args:
        stream: As this writer last knew it: its `n_bytes` fences out a writer that was replaced.
        truncated: Marks the stream as one whose limit was reached.

    Raises:
        LogFenced: the stream has grown or ended behind this writer's back; nothing was written.
    """
    if not lines:
        return
    n_bytes = stream.n_bytes + sum(len(read.data) for read in lines)
    n_lines = stream.n_lines + sum(read.n_lines for read in lines)
    with transaction.atomic():
        same = LogStream.objects.filter(pk=stream.pk, n_bytes=stream.n_bytes, ended=False)
        if not same.update(n_bytes=n_bytes, n_lines=n_lines, truncated=stream.truncated or truncated):
            raise LogFenced(f"log {stream.uid} was continued by another process")
        chunks_write(stream, lines)
    stream.n_bytes, stream.n_lines, stream.truncated = n_bytes, n_lines, stream.truncated or truncated


def log_end(*, stream: LogStream) -> None:
    """Nothing will be appended any more; readers that follow stop."""
    LogStream.objects.filter(pk=stream.pk).update(ended=True)
    stream.ended = True


def log_read(*, stream: LogStream, after: int = 0, limit_bytes: int = READ_BYTES) -> LogSlice:
    """Whole lines from offset `after`, about `limit_bytes` of them; an offset inside a line begins at the
    next one.
    """
    fresh = LogStream.objects.get(pk=stream.pk)
    if fresh.removed_at:
        return _removed(fresh)
    after = min(max(after, 0), fresh.n_bytes)
    pieces = _Pieces(fresh)
    for chunk in _chunks_from(fresh, after).iterator(chunk_size=16):
        pieces.add(chunk, skip_bytes=max(0, after - chunk.offset))
        if pieces.n_bytes >= limit_bytes:
            break
    return pieces.slice(at=after)


def log_part(*, stream: LogStream, after: int = 0, limit_bytes: int = READ_BYTES, tail: int = 0) -> LogSlice:
    """As `log_read` has it, or the last `tail` lines where any are asked for."""
    if tail:
        return log_tail(stream=stream, n_lines=tail)
    return log_read(stream=stream, after=after, limit_bytes=limit_bytes)


def log_tail(*, stream: LogStream, n_lines: int = 200) -> LogSlice:
    """The last lines."""
    return log_tails(streams=[LogStream.objects.get(pk=stream.pk)], n_lines=n_lines)[0]


def log_tails(*, streams: Sequence[LogStream], n_lines: int = 200) -> list[LogSlice]:
    """The last lines of each, as long as `streams` have it; one query, however many they are."""
    begin = {stream.pk: max(0, stream.n_lines - n_lines) for stream in streams}
    pieces = {stream.pk: _Pieces(stream) for stream in streams}
    kept = [stream for stream in streams if stream.n_lines and not stream.removed_at]
    if kept:
        held = reduce(or_, (_holding(stream, begin[stream.pk], stream.n_lines) for stream in kept))
        for chunk in (
            LogChunk.objects.filter(held).order_by("stream_id", "first_line").iterator(chunk_size=16)
        ):
            of_stream = pieces[chunk.stream_id]
            of_stream.add_lines(chunk, begin[chunk.stream_id], of_stream.stream.n_lines)
    return [
        _removed(stream) if stream.removed_at else pieces[stream.pk].slice(at=stream.n_bytes)
        for stream in streams
    ]


def log_lines(*, stream: LogStream, first_line: int, n_lines: int) -> LogSlice:
    """Lines `first_line` (from 1) to `first_line + n_lines - 1`, as many of them as there are."""
    fresh = LogStream.objects.get(pk=stream.pk)
    if fresh.removed_at:
        return _removed(fresh)
    begin = max(0, first_line - 1)
    end = begin + n_lines
    pieces = _Pieces(fresh)
    chunks = LogChunk.objects.filter(_holding(fresh, begin, end)).order_by("first_line")
    for chunk in chunks.iterator(chunk_size=16):
        pieces.add_lines(chunk, begin, end)
    return pieces.slice(at=fresh.n_bytes)


def log_search(
    *, stream: LogStream, pattern: str, limit: int = 200, regular: bool = False
) -> list[tuple[int, str]]:
    """The first `limit` lines that contain `pattern`, with their numbers; letter case does not matter.

    Args:
        regular: `pattern` is an RE2 regular expression and not plain text.

    Raises:
        InvalidRequest: empty, too long or not RE2.
    """
    expression = _search_expression(pattern, regular=regular)
    found: list[tuple[int, str]] = []
    for chunk in stream.chunks.order_by("offset").iterator(chunk_size=16):
        data = bytes(chunk.data)
        if not regular and not expression.search(data):
            continue
        for index, line in enumerate(data.split(b"\n")[:-1]):
            if expression.search(line):
                found.append((chunk.first_line + index + 1, line.decode("utf-8", "replace")))
                if len(found) >= limit:
                    return found
    return found


def log_download(*, stream: LogStream) -> Iterator[bytes]:
    """The whole log in pieces, in constant memory; one line that says so where it was removed."""
    if stream.removed_at:
        yield f"[The log was removed on {stream.removed_at:%Y-%m-%d}, when it had been kept long enough]\n".encode()
        return
    for data in stream.chunks.order_by("offset").values_list("data", flat=True).iterator(chunk_size=16):
        yield bytes(data)


def log_stream_delete(*, stream_id: int) -> None:
    """Removes the stream with all its lines."""
    LogChunk.objects.filter(stream_id=stream_id).delete()
    LogStream.objects.filter(pk=stream_id).delete()


def log_streams_remove(*, stream_ids: QuerySet[Any] | Sequence[int], limit: int) -> int:
    """Removes the lines of streams that have been kept long enough; the streams stay and say so.

    Args:
        stream_ids: Streams to which nobody writes any more.
        limit: How many rows to remove or mark at most.

    Returns:
        How many those were; 0 when nothing is left to remove.
    """
    kept = LogStream.objects.filter(pk__in=stream_ids, removed_at__isnull=True, n_bytes__gt=0)
    marked = list(kept.values_list("pk", flat=True)[:limit])
    # Marked first, so that nobody reads a log with lines missing in its middle.
    LogStream.objects.filter(pk__in=marked).update(removed_at=clock.now(), ended=True)
    of_removed = LogChunk.objects.filter(stream__removed_at__isnull=False).order_by()
    chunk_ids = list(of_removed.values_list("pk", flat=True)[: max(1, limit // CHUNKS_PER_ROW_REMOVED)])
    return len(marked) + LogChunk.objects.filter(pk__in=chunk_ids).delete()[0]


def _chunks_from(stream: LogStream, after: int) -> QuerySet[LogChunk]:
    holding = (
        stream.chunks.filter(offset__lte=after).order_by("-offset").values_list("offset", flat=True).first()
    )
    return stream.chunks.filter(offset__gte=holding or 0).order_by("offset")


def _holding(stream: LogStream, begin: int, end: int) -> Q:
    """The chunks with the lines from index `begin` to before `end`."""
    before = LogChunk.objects.filter(stream=stream, first_line__lte=begin).order_by("-first_line")
    first = Coalesce(Subquery(before.values("first_line")[:1]), 0)
    return Q(stream=stream, first_line__gte=first, first_line__lt=end)


def _removed(stream: LogStream) -> LogSlice:
    """What is left of a log whose lines were removed: nothing, and nothing follows."""
    return LogSlice("", stream.n_bytes, True, stream.n_lines + 1, [], stream.truncated, stream.removed_at)


class _Pieces:
    """Collects lines of consecutive chunks into one slice."""

    def __init__(self, stream: LogStream) -> None:
        self.stream = stream
        self._data: list[bytes] = []
        self._times: list[int] = []
        self._first: int | None = None
        self._next: int | None = None
        self.n_bytes = 0

    def add(self, chunk: LogChunk, *, skip_bytes: int) -> None:
        if skip_bytes >= chunk.n_bytes:
            return
        data = bytes(chunk.data)
        if skip_bytes and data[skip_bytes - 1] != 0x0A:
            skip_bytes = data.index(b"\n", skip_bytes) + 1
        skipped = data.count(b"\n", 0, skip_bytes)
        self._extend(chunk, data[skip_bytes:], skipped, chunk.n_lines, chunk.offset + chunk.n_bytes)

    def add_lines(self, chunk: LogChunk, begin: int, end: int) -> None:
        """Those of its lines that are from index `begin` of the log to before `end`."""
        low, high = max(0, begin - chunk.first_line), min(chunk.n_lines, end - chunk.first_line)
        if low >= high:
            return
        lines = bytes(chunk.data).split(b"\n")[:-1]
        data = b"".join(line + b"\n" for line in lines[low:high])
        before = sum(len(line) + 1 for line in lines[:low])
        self._extend(chunk, data, low, high, chunk.offset + before + len(data))

    def _extend(self, chunk: LogChunk, data: bytes, low: int, high: int, following: int) -> None:
        if not data:
            self._next = following
            return
        if self._first is None:
            self._first = chunk.first_line + low + 1
        self._data.append(data)
        self._times += times_of(chunk)[low:high]
        self._next = following
        self.n_bytes += len(data)

    def slice(self, *, at: int) -> LogSlice:
        following = at if self._next is None else self._next
        return LogSlice(
            text=b"".join(self._data).decode("utf-8", "replace"),
            next=following,
            end=self.stream.ended and following >= self.stream.n_bytes,
            first_line=self._first if self._first is not None else self.stream.n_lines + 1,
            line_times_ms=self._times,
            truncated=self.stream.truncated,
        )


def _search_expression(pattern: str, *, regular: bool) -> re2._Regexp:
    if not 0 < len(pattern) <= SEARCH_PATTERN_MAX:
        raise InvalidRequest.for_field(
            "pattern", _("has {n} characters; use 1 to {limit}", n=len(pattern), limit=SEARCH_PATTERN_MAX)
        )
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    try:
        return re2.compile((pattern if regular else re2.escape(pattern)).encode(), options)
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "not valid"
        raise InvalidRequest.for_field(
            "pattern", _("is not an RE2 regular expression: {reason}", reason=reason)
        ) from None
