"""`python -m endpoints.evaluation SPEC`: one table run. Prints a JSON object per line: progress, then the summary
or the reason why there is none. Exec'ed by a worker (`endpoints.services.tables`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from endpoints.evaluation.spec import TableSpec
from endpoints.evaluation.table import TableFailed, table_send
from endpoints.serving.lifeline import Lifeline
from mlplatform.core.errors import DataError, PlatformError
from mlplatform.core.storage.faults import storage_fault
from mlplatform.core.text import text_of, to_json


def main(arguments: list[str]) -> int:
    spec_path, parent_pid = arguments
    Lifeline(parent_pid=int(parent_pid))
    try:
        summary = table_send(TableSpec.read(Path(spec_path)), lambda n_done: _say(n_done=n_done))
    except (TableFailed, DataError, PlatformError) as error:
        _say(failure=to_json(error.text if isinstance(error, DataError) else text_of(error)))
        return 1
    except OSError as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        _say(failure=to_json(fault.message))
        return 1
    _say(summary=summary)
    return 0


def _say(**content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
