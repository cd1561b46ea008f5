"""Cutting output into lines of bounded length, and logs of bounded size."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.log_lines import LineSplitter, LogBudget, LogLine


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_however_the_bytes_arrive_the_lines_are_those_of_the_whole(pieces: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece, 0)] + splitter.end(0)
    *ended, rest = b"".join(pieces).split(b"\n")
    expected = [line.rstrip(b"\r").decode("utf-8", "replace") for line in ([*ended, rest] if rest else ended)]
    assert [line.text for line in lines] == expected


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=50))
def test_a_line_never_exceeds_its_limit_by_more_than_the_notice(pieces: list[bytes]) -> None:
    splitter = LineSplitter(limit_bytes=20)
    lines = [line for piece in pieces for line in splitter.feed(piece, 0)] + splitter.end(0)
    assert all(len(line.text) <= 20 + 60 for line in lines)


def test_a_progress_bar_that_overflows_keeps_its_newest_state() -> None:
    splitter = LineSplitter(limit_bytes=100)
    for percent in range(101):
        splitter.feed(f"\r{percent:3} % [{'#' * (percent // 10)}]".encode(), 0)
    (line,) = splitter.feed(b"\n", 0)
    assert line.text.endswith("\r100 % [##########]")
    assert len(line.data) <= 100


def test_windows_line_ends_are_line_ends() -> None:
    assert [line.text for line in LineSplitter().feed(b"a\r\nb\r\n", 7)] == ["a", "b"]


def test_a_log_that_reaches_its_limit_says_so_once_and_counts_what_is_left_out() -> None:
    budget = LogBudget(25)
    lines = [LogLine.of("x" * 9, 1) for _ in range(5)]
    kept = budget.admit(lines[:3]) + budget.admit(lines[3:])
    assert [line.text for line in kept] == [
        "x" * 9,
        "x" * 9,
        "[the log has reached its limit of 25 bytes; what follows is not kept]",
    ]
    assert budget.spent
    assert [line.text for line in budget.closing(2)] == ["[3 lines were left out above: log limit]"]


def test_a_log_within_its_limit_has_no_notice() -> None:
    budget = LogBudget(20)
    assert len(budget.admit([LogLine.of("x" * 9, 1)] * 2)) == 2
    assert not budget.closing(2)
