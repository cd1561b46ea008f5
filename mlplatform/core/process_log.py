"""One readable log of many processes: time, name, line. Django-free; the supervisor writes through it.

It is not the log of a training job (that is stored in chunks) and keeps nothing itself.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from typing import TextIO

MAX_LINE_BYTES = 16 * 1024
NAME_WIDTH = 10
_CUT = b" [line cut]"
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DIM = "2"
_BOLD = "1"


class ProcessLog:
    """Writes lines of named processes to one stream, coloured on a terminal unless `NO_COLOR` is set.

    Args:
        stream: Where the lines go.
        on_closed: Called once, when the reader of the stream is gone.
    """

    def __init__(self, stream: TextIO, *, on_closed: Callable[[], None] | None = None) -> None:
        self._stream: TextIO | None = stream
        self.on_closed = on_closed
        self._coloured = stream.isatty() and not os.environ.get("NO_COLOR")

    def line(self, name: str, text: str, *, colour: str = "") -> None:
        """One line of the process `name`. Control characters are shown, not obeyed."""
        now = time.strftime("%H:%M:%S")
        shown = _UNPRINTABLE.sub(lambda match: repr(match.group())[1:-1], text)
        self._write(f"{self._paint(now, _DIM)} {self._paint(name.ljust(NAME_WIDTH), colour)} {shown}\n")

    def notice(self, text: str) -> None:
        """A line of the platform itself."""
        self.line("platform", text, colour=_BOLD)

    def frame(self, lines: list[str]) -> None:
        """A box around the lines, for what must not be overlooked."""
        width = max(map(len, lines))
        rows = [f"│ {line.ljust(width)} │" for line in lines]
        box = [f"╭{'─' * (width + 2)}╮", *rows, f"╰{'─' * (width + 2)}╯"]
        self._write("\n" + "".join(self._paint(row, _BOLD) + "\n" for row in box) + "\n")

    def _paint(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured and code else text

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError as error:
            if error.errno in _NO_ROOM:
                return  # a log on a full disk loses lines; what is logged goes on
            self._stream = None
            if self.on_closed:
                self.on_closed()


class LineSplitter:
    """Cuts a stream of bytes into lines of at most `MAX_LINE_BYTES`; what is longer is dropped with a visible
    notice.
    """

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._pending = b""
        self._dropping = False

    def feed(self, data: bytes) -> None:
        *lines, rest = data.split(b"\n")
        for line in lines:
            self._append(line)
            self.flush()
        self._append(rest)

    def flush(self) -> None:
        """Ends the line that is pending, if there is one."""
        if self._pending:
            self._on_line(self._pending.rstrip(b"\r").decode("utf-8", errors="backslashreplace"))
        self._pending = b""
        self._dropping = False

    def _append(self, part: bytes) -> None:
        if self._dropping:
            return
        room = MAX_LINE_BYTES - len(self._pending)
        if len(part) > room:
            part = part[:room] + _CUT
            self._dropping = True
        self._pending += part
