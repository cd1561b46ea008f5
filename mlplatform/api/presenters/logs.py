"""A stretch of a log as JSON: the same as in the events of a log that is followed, and whether lines were left out."""

from __future__ import annotations

from typing import Any

from mlplatform.api.presenters.instants import instant
from mlplatform.core.log_events import log_slice_json
from mlplatform.core.logs import LogSlice


def log_json(piece: LogSlice) -> dict[str, Any]:
    return log_slice_json(piece) | {"truncated": piece.truncated, "removed_at": instant(piece.removed_at)}
