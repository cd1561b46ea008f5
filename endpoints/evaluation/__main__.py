"""`python -m endpoints.evaluation SPEC PARENT`: one table run or one evaluation. Prints a JSON object per line:
progress, then the summary or the reason why there is none. Exec'ed by a worker (`endpoints.evaluation.process`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from endpoints.evaluation.failure import RunFailed
from endpoints.evaluation.spec import EvaluationSpec, TableSpec, spec_read
from endpoints.serving.lifeline import Lifeline
from mlplatform.core.errors import DataError, PlatformError
from mlplatform.core.storage.faults import storage_fault
from mlplatform.core.text import text_of, to_json


def main(arguments: list[str]) -> int:
    spec_path, parent_pid = arguments
    Lifeline(parent_pid=int(parent_pid))
    try:
        outcome = _run(spec_read(Path(spec_path)))
    except (RunFailed, DataError, PlatformError) as error:
        _say(failure=to_json(error.text if isinstance(error, DataError) else text_of(error)))
        return 1
    except OSError as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        _say(failure=to_json(fault.message))
        return 1
    _say(**outcome)
    return 0


def _run(spec: TableSpec | EvaluationSpec) -> dict[str, Any]:
    if isinstance(spec, EvaluationSpec):
        from endpoints.evaluation.evaluate import evaluate

        return evaluate(spec, lambda progress: _say(progress=progress))
    from endpoints.evaluation.table import table_send

    return {"summary": table_send(spec, lambda n_done: _say(n_done=n_done))}


def _say(**content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
