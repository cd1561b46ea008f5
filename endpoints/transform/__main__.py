"""`python -m endpoints.transform SPEC PARENT`: the records of some objects through a model server. Prints a JSON object
per line: progress, an object that is done, or why it cannot go on. Exec'ed by a worker.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from endpoints.serving.lifeline import Lifeline
from endpoints.transform.failure import Fault, TransformFailed
from endpoints.transform.filters import FilterError
from endpoints.transform.send import Sender
from endpoints.transform.spec import TransformSpec
from mlplatform.core.storage.faults import storage_fault
from mlplatform.core.text import to_json


def main(arguments: list[str]) -> int:
    spec_path, parent_pid = arguments
    Lifeline(parent_pid=int(parent_pid))
    spec = TransformSpec.read(Path(spec_path))
    name = ""
    try:
        sender = Sender(spec, lambda n_done, n_bytes: _say(n_done=n_done, n_bytes=n_bytes))
        for position, given in enumerate(spec.inputs):
            name = given.name
            n_records = sender.send(given)
            _say(done=position, n_records=n_records, n_done=sender.n_done)
    except TransformFailed as failed:
        _say(
            failure={
                "kind": failed.fault,
                "said": to_json(failed.message),
                "record": failed.record,
                "object": name,
            }
        )
        return 1
    except FilterError as error:
        _say(failure={"kind": Fault.DATA, "said": to_json(error.message), "record": None, "object": name})
        return 1
    except OSError as error:
        fault = storage_fault(error)
        if fault is None:
            raise
        _say(failure={"kind": "storage_full", "said": to_json(fault.message), "record": None, "object": name})
        return 1
    _say(finished=True)
    return 0


def _say(**content: Any) -> None:
    print(json.dumps(content, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
