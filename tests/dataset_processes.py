"""Dataset processes of in-process tests fork from one that has imported what they need: uploads are how most tests come
to their data. They have no sandbox then. Where such a process is itself what is tested, and in every platform that is
started, it is as ever.
"""

from __future__ import annotations

import json
import os
from typing import Any, Final

from jobs.data import process
from jobs.runner.sandbox import Sandbox
from mlplatform.core.errors import DataError
from tests.forking import DATASETS, forking

AS_EVER: Final = ("tests/jobs/data/", "tests/faults/", "tests/setup/", "tests/core/")
"""Places of tests about the processes: their sandbox, memory, time and end."""
_start: Final = process._run


def dataset_processes_fork() -> None:
    """For the rest of this test process."""
    process._run = _run


def _run(command: str, request: dict[str, Any], limits: process.Limits, sandbox: Sandbox) -> Any:
    current = os.environ.get("PYTEST_CURRENT_TEST")
    if current is None or current.startswith(AS_EVER):
        return _start(command, request, limits, sandbox)
    known = {"memory_bytes": limits.memory_bytes, "cpu_s": limits.time_s * 2, "parent_pid": 0}
    given = json.dumps(request | {"limits": known}).encode()
    try:
        ended = forking(DATASETS).run("jobs.data", [command], given=given, timeout_s=limits.time_s)
    except TimeoutError:
        raise DataError(f"reading it took longer than {limits.time_s} s") from None
    return process._answer(ended.out, ended.err, ended.returncode)
