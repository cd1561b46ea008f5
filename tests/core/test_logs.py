"""Logs in the database: offsets contiguous, no byte lost or repeated, lines found again by number, time and text."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest
from django.db import connection

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.log_lines import LogLines
from mlplatform.core.logs import (
    READ_BYTES,
    LogFenced,
    log_append,
    log_download,
    log_end,
    log_lines,
    log_read,
    log_search,
    log_stream_create,
    log_stream_delete,
    log_streams_remove,
    log_tail,
    log_tails,
)
from mlplatform.core.models import LogChunk, LogStream

pytestmark = pytest.mark.django_db
NOW_MS = 1_700_000_000_000


def _lines(*texts: str, at_ms: int = NOW_MS) -> list[LogLines]:
    return [LogLines.of(text, at_ms + n) for n, text in enumerate(texts)]


@pytest.fixture
def stream() -> LogStream:
    return log_stream_create()


@pytest.fixture
def long_stream(stream: LogStream) -> LogStream:
    """3,000 lines, appended in batches of all sizes."""
    dice = random.Random(0)
    texts = [f"line {n} " + "x" * dice.randrange(300) for n in range(1, 3001)]
    while texts:
        n = dice.randrange(1, 200)
        batch, texts = texts[:n], texts[n:]
        log_append(stream=stream, lines=_lines(*batch))
    return stream


def test_what_is_appended_is_read_from_any_offset(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines("one", "zwei ä"))
    log_append(stream=stream, lines=_lines("three", at_ms=NOW_MS + 1000))
    first = log_read(stream=stream)
    assert (first.text, first.next, first.first_line, first.end) == ("one\nzwei ä\nthree\n", 18, 1, False)
    assert first.line_times_ms == [NOW_MS, NOW_MS + 1, NOW_MS + 1000]
    rest = log_read(stream=stream, after=4)
    assert (rest.text, rest.first_line, rest.line_times_ms) == (
        "zwei ä\nthree\n",
        2,
        [NOW_MS + 1, NOW_MS + 1000],
    )
    assert log_read(stream=stream, after=18).text == ""


def test_an_offset_inside_a_line_begins_at_the_next_one(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines("one", "two"))
    assert log_read(stream=stream, after=2).text == "two\n"
    assert log_read(stream=stream, after=10**12).text == ""
    assert log_read(stream=stream, after=-5).text == "one\ntwo\n"


def test_reading_on_from_next_gives_every_byte_once(long_stream: LogStream) -> None:
    whole = b"".join(log_download(stream=long_stream)).decode()
    assert len(whole.encode()) == long_stream.n_bytes
    pieces, after, n_lines = [], 0, 0
    while after < long_stream.n_bytes:
        piece = log_read(stream=long_stream, after=after, limit_bytes=1000)
        assert piece.first_line == n_lines + 1
        assert len(piece.line_times_ms) == piece.text.count("\n")
        n_lines += len(piece.line_times_ms)
        pieces.append(piece.text)
        after = piece.next
    assert "".join(pieces) == whole


def test_lines_are_found_by_number(long_stream: LogStream) -> None:
    for first, n in ((1, 1), (1, 3000), (1499, 17), (2999, 50), (3001, 5)):
        piece = log_lines(stream=long_stream, first_line=first, n_lines=n)
        numbers = [int(line.split()[1]) for line in piece.text.splitlines()]
        assert numbers == list(range(first, min(3000, first + n - 1) + 1))
        assert piece.first_line == min(first, 3001)


def test_the_tail_reads_on_where_it_ends(long_stream: LogStream) -> None:
    tail = log_tail(stream=long_stream, n_lines=10)
    assert (tail.first_line, tail.text.count("\n"), tail.next) == (2991, 10, long_stream.n_bytes)
    assert log_tail(stream=long_stream, n_lines=10_000).first_line == 1


@pytest.mark.parametrize("n_lines", [1, 7, 200, 2500, 9999])
def test_the_tails_of_several_logs_are_read_together(
    long_stream: LogStream, n_lines: int, django_assert_num_queries: Any
) -> None:
    short, empty, removed = log_stream_create(), log_stream_create(), log_stream_create()
    log_append(stream=short, lines=_lines("one", "two", "three"))
    log_append(stream=removed, lines=_lines("kept", "long enough"))
    log_end(stream=removed)
    assert log_streams_remove(stream_ids=[removed.pk], limit=10) > 0
    removed.refresh_from_db()
    streams = [short, removed, long_stream, empty]
    with django_assert_num_queries(1):
        tails = log_tails(streams=streams, n_lines=n_lines)
    whole = [b"".join(log_download(stream=stream)).decode().splitlines(True) for stream in streams]
    assert [tail.text for tail in tails] == [
        "".join(whole[0][-n_lines:]),
        "",
        "".join(whole[2][-n_lines:]),
        "",
    ]
    assert tails == [log_tail(stream=stream, n_lines=n_lines) for stream in streams]
    assert tails[1].removed_at is not None and [tail.next for tail in tails] == [
        stream.n_bytes for stream in streams
    ]


def test_a_tail_ends_where_the_log_ended_when_it_was_looked_up(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines("one", "two"))
    known = LogStream.objects.get(pk=stream.pk)
    log_append(stream=stream, lines=_lines("three"))
    [tail] = log_tails(streams=[known])
    assert tail.text == "one\ntwo\n"
    assert log_read(stream=stream, after=tail.next).text == "three\n"


def test_a_log_without_lines_reads_as_nothing(stream: LogStream) -> None:
    for piece in (
        log_read(stream=stream),
        log_tail(stream=stream),
        log_lines(stream=stream, first_line=1, n_lines=9),
    ):
        assert (piece.text, piece.next, piece.end, piece.first_line, piece.line_times_ms) == (
            "",
            0,
            False,
            1,
            [],
        )
    log_end(stream=stream)
    assert log_read(stream=stream).end
    assert log_tail(stream=stream).end


def test_the_end_is_told_only_with_the_last_byte(long_stream: LogStream) -> None:
    log_end(stream=long_stream)
    assert not log_read(stream=long_stream, limit_bytes=10).end
    assert log_read(stream=long_stream, after=long_stream.n_bytes).end


def test_a_slow_talker_does_not_leave_a_row_per_line(stream: LogStream) -> None:
    for n in range(300):
        log_append(stream=stream, lines=_lines(f"tick {n}", at_ms=NOW_MS + 1000 * n))
    assert stream.chunks.count() == 1
    assert log_read(stream=stream).line_times_ms == [NOW_MS + 1000 * n for n in range(300)]


def test_no_chunk_is_larger_than_a_reader_asks_for(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines(*["x" * 60_000 for _ in range(40)]))
    assert max(stream.chunks.values_list("n_bytes", flat=True)) <= READ_BYTES
    assert log_read(stream=stream).text.count("\n") < 10


def test_a_writer_that_was_replaced_is_fenced_out(stream: LogStream) -> None:
    stale = LogStream.objects.get(pk=stream.pk)
    log_append(stream=stream, lines=_lines("mine"))
    with pytest.raises(LogFenced):
        log_append(stream=stale, lines=_lines("late"))
    log_end(stream=stream)
    with pytest.raises(LogFenced):
        log_append(stream=stream, lines=_lines("after the end"))
    assert log_read(stream=stream).text == "mine\n"


def test_text_is_found_whatever_its_letter_case(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines("Loss=1.0", "accuracy 損失", "loss=0.5", "a.b"))
    assert log_search(stream=stream, pattern="LOSS=") == [(1, "Loss=1.0"), (3, "loss=0.5")]
    assert log_search(stream=stream, pattern="損失") == [(2, "accuracy 損失")]
    assert log_search(stream=stream, pattern="a.b") == [(4, "a.b")]
    assert log_search(stream=stream, pattern="loss", limit=1) == [(1, "Loss=1.0")]


def test_a_regular_expression_is_searched_per_line_and_cannot_run_away(stream: LogStream) -> None:
    log_append(stream=stream, lines=_lines("x" * 60_000, "loss=0.25"))
    assert log_search(stream=stream, pattern=r"^loss=\d", regular=True) == [(2, "loss=0.25")]
    begun = time.monotonic()
    assert log_search(stream=stream, pattern="(x+x+)+y", regular=True) == []
    assert time.monotonic() - begun < 1


@pytest.mark.parametrize("pattern", ["", "x" * 501, "(", "(?=a)", "a{2000}"])
def test_a_pattern_that_cannot_be_used_is_refused(stream: LogStream, pattern: str) -> None:
    with pytest.raises(InvalidRequest, match="pattern"):
        log_search(stream=stream, pattern=pattern, regular=True)


def test_deleting_a_stream_deletes_its_chunks(long_stream: LogStream) -> None:
    log_stream_delete(stream_id=long_stream.pk)
    assert not LogChunk.objects.exists()
    assert not LogStream.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twenty_writers_at_once_lose_nothing() -> None:
    streams = [log_stream_create() for _ in range(20)]
    failures: list[BaseException] = []

    def write(stream: LogStream) -> None:
        try:
            for n in range(30):
                log_append(stream=stream, lines=_lines(*[f"{n} {m}" for m in range(10)]))
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=write, args=(stream,)) for stream in streams]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    expected = "".join(f"{n} {m}\n" for n in range(30) for m in range(10))
    assert all(b"".join(log_download(stream=stream)).decode() == expected for stream in streams)
