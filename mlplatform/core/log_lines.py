"""Bytes printed by a process, cut into lines of bounded length and number. Django-free.

Used by whoever follows a process: the worker for its jobs, the host for its model servers. Storing lines is
`mlplatform.core.logs`. Lines that were read together stay together, so that a million of them cost no million
objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LINE_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogLines:
    """Whole lines that were read together.

    Args:
        data: The lines, valid UTF-8, each ended by a newline. Empty where there are none.
        at_ms: When they were read, in milliseconds since the epoch.
        n_lines: How many they are.
    """

    data: bytes
    at_ms: int
    n_lines: int

    @classmethod
    def of(cls, text: str, at_ms: int) -> LogLines:
        """One line: newlines in `text` become spaces."""
        return cls(text.replace("\n", " ").encode("utf-8", "replace") + b"\n", at_ms, 1)

    def __bool__(self) -> bool:
        return self.n_lines > 0

    @property
    def texts(self) -> list[str]:
        """The lines without their newlines."""
        return self.data.decode("utf-8", "replace").split("\n")[:-1]

    def last(self, n_lines: int) -> list[str]:
        """The texts of the last of them."""
        pieces = self.data.rsplit(b"\n", n_lines + 1)[:-1]
        return [piece.decode("utf-8", "replace") for piece in pieces[-n_lines:]] if n_lines else []

    def head(self, n_bytes: int) -> LogLines:
        """The first lines that have at most `n_bytes` together."""
        end = self.data.rfind(b"\n", 0, max(0, n_bytes)) + 1
        return LogLines(self.data[:end], self.at_ms, self.data.count(b"\n", 0, end))

    def after(self, head: LogLines) -> LogLines:
        """What follows `head`."""
        return LogLines(self.data[len(head.data) :], self.at_ms, self.n_lines - head.n_lines)

    def pieces(self, n_bytes: int) -> Iterator[LogLines]:
        """The same lines in pieces of at most `n_bytes`; a longer line is a piece of its own."""
        rest = self
        while len(rest.data) > n_bytes:
            head = rest.head(n_bytes) or rest.head(rest.data.index(b"\n") + 1)
            yield head
            rest = rest.after(head)
        if rest:
            yield rest


class LineSplitter:
    """Joins what was read piecewise into lines; holds at most `LINE_LIMIT_BYTES` of a line that does not end.

    What is longer is cut, and the line says by how much. Of a line that overflows with carriage returns (a
    progress bar) the newest part is kept, as a terminal would show it.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._open = bytearray()
        self._dropped = 0

    def feed(self, data: bytes, at_ms: int) -> LogLines:
        """The lines that `data` ended."""
        end = data.rfind(b"\n") + 1
        begin = 0
        first = b""
        if end and (self._open or self._dropped):
            begin = data.index(b"\n") + 1
            self._add(data[: begin - 1])
            first = self._take()
        ended = first + self._clean(data[begin:end])
        self._add(data[end:])
        return LogLines(ended, at_ms, ended.count(b"\n"))

    def end(self, at_ms: int) -> LogLines:
        """The last line, if the output did not end with a newline."""
        return LogLines(self._take(), at_ms, 1) if self._open or self._dropped else LogLines(b"", at_ms, 0)

    def _clean(self, ended: bytes) -> bytes:
        """Whole lines as they are kept. Most have nothing that must be cut or replaced."""
        if b"\r" in ended or self._has_long_line(ended):
            return b"".join(map(self._line, ended.split(b"\n")[:-1]))
        return ended if ended.isascii() else _valid(ended)

    def _has_long_line(self, ended: bytes) -> bool:
        begin = 0
        while len(ended) - begin > self._limit + 1:
            newline = ended.rfind(b"\n", begin, begin + self._limit + 1)
            if newline < 0:
                return True
            begin = newline + 1
        return False

    def _line(self, piece: bytes) -> bytes:
        self._add(piece)
        return self._take()

    def _add(self, piece: bytes) -> None:
        if len(self._open) + len(piece) > self._limit and b"\r" in piece.rstrip(b"\r"):
            self._open.clear()
            self._dropped = 0
            piece = piece.rstrip(b"\r").rpartition(b"\r")[2]
        room = self._limit - len(self._open)
        self._open += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _take(self) -> bytes:
        data = _valid(bytes(self._open.rstrip(b"\r")))
        dropped = self._dropped
        self._open.clear()
        self._dropped = 0
        notice = f" [line cut here: {dropped:,} more bytes left out]".encode() if dropped else b""
        return data + notice + b"\n"


class LogBudget:
    """Lets lines through until a log has `limit_bytes`, then says so once and counts what it leaves out."""

    def __init__(self, limit_bytes: int, *, used_bytes: int = 0) -> None:
        self._limit = limit_bytes
        self._used = used_bytes
        self._left_out_lines = 0

    @property
    def spent(self) -> bool:
        return self._left_out_lines > 0

    def admit(self, lines: Sequence[LogLines]) -> list[LogLines]:
        """The lines that still fit, followed by the notice when the first one does not."""
        admitted = []
        for read in lines:
            if self._left_out_lines:
                self._left_out_lines += read.n_lines
                continue
            fitting = (
                read if self._used + len(read.data) <= self._limit else read.head(self._limit - self._used)
            )
            if fitting:
                self._used += len(fitting.data)
                admitted.append(fitting)
            if fitting.n_lines < read.n_lines:
                admitted.append(LogLines.of(self._notice(), read.at_ms))
                self._left_out_lines = read.n_lines - fitting.n_lines
        return admitted

    def closing(self, at_ms: int) -> list[LogLines]:
        """A last line with the number of lines left out, if there were any."""
        if not self._left_out_lines:
            return []
        return [LogLines.of(f"[{self._left_out_lines:,} lines were left out above: log limit]", at_ms)]

    def _notice(self) -> str:
        return f"[the log has reached its limit of {self._limit:,} bytes; what follows is not kept]"


def _valid(data: bytes) -> bytes:
    """The same as valid UTF-8. A newline is never part of another character."""
    return data.decode("utf-8", "replace").encode()
