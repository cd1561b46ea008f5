"""What a job process writes when it fails: a text for people, a JSON for the worker, and a traceback only for
a bug.

`output/failure` is the service's own file (its first 1,024 characters become the failure reason).
"""

from __future__ import annotations

import json
import traceback
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mlplatform.core.errors import DataError, PlatformError
from mlplatform.core.storage.faults import JOB_FOLDER, is_disk_full, storage_full
from mlplatform.core.text import Text, to_json
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class Failure:
    """Why a job failed.

    Args:
        kind: client_error, data_error, algorithm_error, out_of_memory or storage_full.
        row, column, value: The place in the data, for a data error.
        traceback: Empty unless the algorithm itself is at fault.
        said: The message as its template and parameters, where the platform worded it.
    """

    kind: str
    message: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    traceback: str = ""
    said: dict[str, Any] | None = None

    @property
    def text(self) -> str:
        """As the service words it: `ClientError: ...` is the user's to fix, `AlgorithmError: ...` is not."""
        prefix = "ClientError" if self.kind in {"client_error", "data_error"} else "AlgorithmError"
        return f"{prefix}: {self.message}"

    def write(self, output_dir: Path) -> None:
        """Writes `failure` and `failure.json`, the JSON whole or not at all."""
        output_dir.mkdir(parents=True, exist_ok=True)
        (output_dir / "failure").write_text(self.text + "\n", encoding="utf-8")
        partial = output_dir / "failure.json.partial"
        partial.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        partial.replace(output_dir / "failure.json")


def failure_from(error: Exception) -> Failure:
    """Tells an exception's cause apart."""
    if isinstance(error, DataError):
        return _failure("data_error", error.text, row=error.row, column=error.column, value=error.value)
    if isinstance(error, PlatformError):
        return _failure("client_error", error.message)
    if is_disk_full(error):
        return _failure("storage_full", storage_full(JOB_FOLDER).message)
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, MemoryError) or "bad_alloc" in str(error):
        return _failure("out_of_memory", _no_memory(str(error)), traceback=trace)
    return Failure("algorithm_error", f"{type(error).__name__}: {error}", traceback=trace)


def _no_memory(detail: str) -> str:
    if not detail:
        return _("the algorithm could not get the memory it asked for")
    return _("the algorithm could not get the memory it asked for ({detail})", detail=detail)


def _failure(kind: str, message: str, **facts: Any) -> Failure:
    said = to_json(message) if isinstance(message, Text) else None
    return Failure(kind, str(message), said=said, **facts)
