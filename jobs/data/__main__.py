"""A dataset process: `python -m jobs.data <command>`, its request as JSON on stdin, one line of JSON on
stdout.

Started by `jobs.data.process` only. The answer is {"result": …} or {"error": {kind, message, …}}; exit code 0
or 1.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Any

from jobs.data.limits import limits_set
from mlplatform.core.errors import DataError, InvalidRequest, PlatformError
from mlplatform.core.storage.faults import is_disk_full
from mlplatform.core.text import to_json


def main() -> int:
    command = sys.argv[1]
    request = json.load(sys.stdin)
    limits_set(**request.pop("limits"))
    answer = os.dup(1)
    os.dup2(2, 1)  # whatever a library prints must not become part of the answer
    try:
        found, code = {"result": _run(command, request)}, 0
    except (PlatformError, DataError, MemoryError) as error:
        found, code = {"error": _error(error)}, 1
    except Exception as error:
        traceback.print_exc()
        found, code = {"error": _error(error)}, 1
    with os.fdopen(answer, "w", encoding="utf-8") as stream:
        json.dump(found, stream)
        stream.write("\n")
    return code


def _run(command: str, request: dict[str, Any]) -> Any:
    # After the limits: what is imported counts too.
    from jobs.data import commands

    return commands.COMMANDS[command](**request)


def _error(error: Exception) -> dict[str, Any]:
    if isinstance(error, DataError):
        return {
            "kind": "data",
            "message": to_json(error.message),
            "row": error.row,
            "column": error.column,
            "value": error.value,
        }
    if isinstance(error, InvalidRequest):
        return {
            "kind": "request",
            "errors": [[found.field, to_json(found.message)] for found in error.errors],
        }
    if isinstance(error, MemoryError):
        return {"kind": "memory"}
    if is_disk_full(error):
        return {"kind": "storage_full"}
    return {"kind": "internal", "message": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.exit(main())
