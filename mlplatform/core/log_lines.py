"""Bytes printed by a process, cut into lines of bounded length and number. Django-free.

Used by whoever follows a process: the worker for its jobs, the host for its model servers. Storing lines is
`mlplatform.core.logs`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LINE_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line without its newline, valid UTF-8, and the milliseconds since the epoch at which it was read."""

    data: bytes
    at_ms: int

    @classmethod
    def of(cls, text: str, at_ms: int) -> LogLine:
        return cls(text.replace("\n", " ").encode("utf-8", "replace"), at_ms)

    @property
    def text(self) -> str:
        return self.data.decode("utf-8", "replace")


class LineSplitter:
    """Joins what was read piecewise into lines; holds at most `LINE_LIMIT_BYTES` of a line that does not end.

    What is longer is cut, and the line says by how much. Of a line that overflows with carriage returns (a
    progress bar) the newest part is kept, as a terminal would show it.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self._limit = limit_bytes
        self._open = bytearray()
        self._dropped = 0

    def feed(self, data: bytes, at_ms: int) -> list[LogLine]:
        """The lines that `data` ended."""
        *ended, rest = data.split(b"\n")
        lines = []
        for piece in ended:
            self._add(piece)
            lines.append(self._take(at_ms))
        self._add(rest)
        return lines

    def end(self, at_ms: int) -> list[LogLine]:
        """The last line, if the output did not end with a newline."""
        return [self._take(at_ms)] if self._open or self._dropped else []

    def _add(self, piece: bytes) -> None:
        if len(self._open) + len(piece) > self._limit and b"\r" in piece.rstrip(b"\r"):
            self._open.clear()
            self._dropped = 0
            piece = piece.rstrip(b"\r").rpartition(b"\r")[2]
        room = self._limit - len(self._open)
        self._open += piece[:room]
        self._dropped += max(0, len(piece) - room)

    def _take(self, at_ms: int) -> LogLine:
        data = bytes(self._open.rstrip(b"\r"))
        dropped = self._dropped
        self._open.clear()
        self._dropped = 0
        text = data.decode("utf-8", "replace")
        if dropped:
            text = f"{text} [line cut here: {dropped:,} more bytes left out]"
        return LogLine(text.encode(), at_ms)


class LogBudget:
    """Lets lines through until a log has `limit_bytes`, then says so once and counts what it leaves out."""

    def __init__(self, limit_bytes: int, *, used_bytes: int = 0) -> None:
        self._limit = limit_bytes
        self._used = used_bytes
        self._left_out_lines = 0

    @property
    def spent(self) -> bool:
        return self._left_out_lines > 0

    def admit(self, lines: Sequence[LogLine]) -> list[LogLine]:
        """The lines that still fit, followed by the notice when the first one does not."""
        admitted = []
        for line in lines:
            if not self._left_out_lines and self._used + len(line.data) + 1 <= self._limit:
                self._used += len(line.data) + 1
                admitted.append(line)
                continue
            if not self._left_out_lines:
                admitted.append(LogLine.of(self._notice(), line.at_ms))
            self._left_out_lines += 1
        return admitted

    def closing(self, at_ms: int) -> list[LogLine]:
        """A last line with the number of lines left out, if there were any."""
        if not self._left_out_lines:
            return []
        return [LogLine.of(f"[{self._left_out_lines:,} lines were left out above: log limit]", at_ms)]

    def _notice(self) -> str:
        return f"[the log has reached its limit of {self._limit:,} bytes; what follows is not kept]"
