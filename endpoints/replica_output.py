"""What a model server prints, read on a thread, held in bounded memory until the host has stored it. Django-free."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import IO

from endpoints.serving.failure_mark import FAILURE_MARK
from mlplatform.core.log_lines import LineSplitter, LogBudget, LogLines

_READ_BYTES = 64 * 1024
_HELD_BYTES_MAX = 4 * 1024 * 1024
_TAIL_LINES = 200
_TAIL_LINE_CHARACTERS = 500


class ReplicaOutput:
    """Lines of one replica, over all its starts.

    Args:
        limit_bytes: So much is kept of the log; what follows is left out, with a notice.
        used_bytes: What the log had before.
    """

    def __init__(self, *, limit_bytes: int, used_bytes: int = 0) -> None:
        self._budget = LogBudget(limit_bytes, used_bytes=used_bytes)
        self._lock = threading.Lock()
        self._held: deque[LogLines] = deque()
        self._held_bytes = 0
        self._n_dropped = 0
        self._tail: deque[str] = deque(maxlen=_TAIL_LINES)
        self._thread: threading.Thread | None = None

    def follow(self, stream: IO[bytes], *, at_end: Callable[[], None]) -> None:
        """Reads `stream` to its end on a thread of its own."""
        self._tail.clear()
        self._thread = threading.Thread(
            target=self._read, args=(stream, at_end), daemon=True, name="replica-output"
        )
        self._thread.start()

    def join(self, timeout_s: float = 1.0) -> None:
        """Waits until what the ended process printed has been read."""
        if self._thread is not None:
            self._thread.join(timeout_s)

    def note(self, text: str) -> None:
        """A line of the host's own."""
        self._hold(LogLines.of(f"[host] {text}", _now_ms()))

    def take(self) -> tuple[list[LogLines], bool]:
        """The lines to be stored now, and whether the log's limit was reached."""
        with self._lock:
            lines, n_dropped = list(self._held), self._n_dropped
            self._held.clear()
            self._held_bytes = self._n_dropped = 0
        if n_dropped:
            lines.append(
                LogLines.of(f"[{n_dropped:,} lines were left out here: they came too fast]", _now_ms())
            )
        return self._budget.admit(lines), self._budget.spent

    def tail(self, n_lines: int = 40) -> list[str]:
        """The last lines of this start."""
        with self._lock:
            return list(self._tail)[-n_lines:]

    def traceback(self) -> str:
        """The last traceback printed in this start, as it stands; empty if there was none."""
        lines = self.tail(_TAIL_LINES)
        begins = [i for i, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
        if not begins:
            return ""
        end = next(
            (i for i in range(begins[-1] + 1, len(lines)) if not lines[i].startswith((" ", "\t"))), len(lines)
        )
        return "\n".join(lines[begins[0] : end + 1])

    def exception_line(self) -> str:
        """What the model server itself said is wrong, else the exception of that traceback with its message."""
        said = [line for line in self.tail(_TAIL_LINES) if line.startswith(FAILURE_MARK)]
        if said:
            return said[-1].removeprefix(FAILURE_MARK)
        traceback = self.traceback()
        return traceback.splitlines()[-1] if traceback else ""

    def _read(self, stream: IO[bytes], at_end: Callable[[], None]) -> None:
        splitter = LineSplitter()
        with stream:
            while data := stream.read(_READ_BYTES):
                self._hold(splitter.feed(data, _now_ms()))
        self._hold(splitter.end(_now_ms()))
        at_end()

    def _hold(self, lines: LogLines) -> None:
        with self._lock:
            self._tail.extend(text[:_TAIL_LINE_CHARACTERS] for text in lines.last(_TAIL_LINES))
            room = max(0, _HELD_BYTES_MAX - self._held_bytes)
            held = lines if len(lines.data) <= room else lines.head(room)
            self._n_dropped += lines.n_lines - held.n_lines
            if held:
                self._held.append(held)
                self._held_bytes += len(held.data)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
