"""Cutting output into lines of bounded length, and logs of bounded size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.log_lines import LineSplitter, LogBudget, LogLines

_BYTES = st.lists(st.sampled_from([b"a", b"\n", b"\r", b"\xc3", b"\xa4", b"xyz", b"\xff"]), max_size=40).map(
    b"".join
)


def _texts(splitter: LineSplitter, pieces: list[bytes]) -> list[str]:
    read = [*(splitter.feed(piece, 0) for piece in pieces), splitter.end(0)]
    assert all(lines.n_lines == len(lines.texts) for lines in read)
    return [text for lines in read for text in lines.texts]


@given(st.lists(_BYTES, max_size=12))
def test_however_the_bytes_arrive_the_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    *ended, rest = b"".join(pieces).split(b"\n")
    expected = [line.rstrip(b"\r").decode("utf-8", "replace") for line in ([*ended, rest] if rest else ended)]
    assert _texts(LineSplitter(), pieces) == expected


@given(st.lists(_BYTES, max_size=12))
def test_lines_that_are_too_long_are_cut_however_the_bytes_arrive(pieces: list[bytes]) -> None:
    line_by_line = [byte.to_bytes() for byte in b"".join(pieces) if byte != 0x0D]
    plain = [piece.replace(b"\r", b"") for piece in pieces]
    assert _texts(LineSplitter(limit_bytes=5), plain) == _texts(LineSplitter(limit_bytes=5), line_by_line)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=50))
def test_a_line_never_exceeds_its_limit_by_more_than_the_notice(pieces: list[bytes]) -> None:
    assert all(len(text) <= 20 + 60 for text in _texts(LineSplitter(limit_bytes=20), pieces))


def test_a_progress_bar_that_overflows_keeps_its_newest_state() -> None:
    splitter = LineSplitter(limit_bytes=100)
    for percent in range(101):
        splitter.feed(f"\r{percent:3} % [{'#' * (percent // 10)}]".encode(), 0)
    (text,) = splitter.feed(b"\n", 0).texts
    assert text.endswith("\r100 % [##########]")
    assert len(text) <= 100


def test_windows_line_ends_are_line_ends() -> None:
    assert LineSplitter().feed(b"a\r\nb\r\n", 7) == LogLines(b"a\nb\n", 7, 2)


@given(st.lists(st.text(alphabet="aä", max_size=9), max_size=20), st.integers(1, 30))
def test_lines_in_pieces_are_the_same_lines(texts: list[str], n_bytes: int) -> None:
    lines = LogLines("".join(f"{text}\n" for text in texts).encode(), 3, len(texts))
    pieces = list(lines.pieces(n_bytes))
    assert b"".join(piece.data for piece in pieces) == lines.data
    assert sum(piece.n_lines for piece in pieces) == len(texts)
    assert all(piece.at_ms == 3 and (piece.n_lines == 1 or len(piece.data) <= n_bytes) for piece in pieces)
    assert lines.last(n_bytes) == texts[-n_bytes:]


def test_a_log_that_reaches_its_limit_says_so_once_and_counts_what_is_left_out() -> None:
    budget = LogBudget(25)
    read = LogLines(b"xxxxxxxxx\n" * 3, 1, 3)
    kept = budget.admit([read]) + budget.admit([LogLines.of("x" * 9, 1), LogLines.of("", 1)])
    assert [text for lines in kept for text in lines.texts] == [
        "x" * 9,
        "x" * 9,
        "[the log has reached its limit of 25 bytes; what follows is not kept]",
    ]
    assert budget.spent
    assert [lines.texts for lines in budget.closing(2)] == [["[3 lines were left out above: log limit]"]]


def test_a_log_within_its_limit_has_no_notice() -> None:
    budget = LogBudget(20)
    assert len(budget.admit([LogLines.of("x" * 9, 1)] * 2)) == 2
    assert not budget.closing(2)
