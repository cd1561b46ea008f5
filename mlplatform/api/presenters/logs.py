"""A stretch of a log as JSON."""

from __future__ import annotations

from typing import Any

from mlplatform.core.logs import LogSlice


def log_json(piece: LogSlice) -> dict[str, Any]:
    return {
        "text": piece.text,
        "next": piece.next,
        "end": piece.end,
        "first_line": piece.first_line,
        "times_ms": piece.line_times_ms,
        "truncated": piece.truncated,
    }
