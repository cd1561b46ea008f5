"""The environment variables of a job process: what it needs, what its owner set, nothing of the worker's own.

The worker passes them at exec; the process sets the thread counts for itself too, before any library reads
them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from jobs.runner.spec import JobSpec
from mlplatform.core.env import PROJECT_ROOT

_THREAD_VARIABLES: Final = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)
_PASSED_ON: Final = ("LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")


def job_environment(spec: JobSpec) -> dict[str, str]:
    """All variables of the process. What the platform sets wins over what the owner set."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    return {
        "LANG": "C.UTF-8",
        **passed_on,
        **spec.environment,
        **thread_variables(spec.n_threads),
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "PYTHONPATH": str(PROJECT_ROOT),
        "PYTHONUNBUFFERED": "1",
        "HOME": str(spec.root / "tmp"),
        "TMPDIR": str(spec.root / "tmp"),
        "TRAINING_JOB_NAME": spec.name,
    }


def thread_variables(n_threads: int) -> dict[str, str]:
    """The thread counts of numeric libraries, which see the machine's processors, not an instance type's."""
    return dict.fromkeys(_THREAD_VARIABLES, str(n_threads)) | {"OMP_WAIT_POLICY": "PASSIVE"}
