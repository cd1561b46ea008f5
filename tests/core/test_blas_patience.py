"""Threads of BLAS sleep soon in whatever process of the platform imports numpy."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from endpoints.server_spec import ServerSpec
from jobs.data.process import _environment as data_environment
from jobs.runner.launch import job_environment
from jobs.runner.sandbox import Sandbox
from mlplatform.core import BLAS_PATIENCE
from tests.live import ROOT


@pytest.mark.parametrize(
    "module",
    [
        "jobs.data.__main__",
        "endpoints.evaluation.__main__",
        "endpoints.transform.__main__",
        "mlplatform.settings",
    ],
)
def test_threads_of_blas_are_told_to_sleep_before_numpy_makes_them(module: str) -> None:
    program = (
        f"import os, sys, {module}\nassert 'numpy' not in sys.modules\nprint(os.environ[{BLAS_PATIENCE!r}])"
    )
    environment = {name: value for name, value in os.environ.items() if name != BLAS_PATIENCE}
    argv = [sys.executable, "-c", program]
    done = subprocess.run(
        argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.strip() == "20"


def test_what_is_started_in_an_environment_of_its_own_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(BLAS_PATIENCE, "18")
    sandbox = Sandbox(folder=ROOT, mounts=())
    server = ServerSpec(
        uid="one",
        algorithm="knn",
        artifact_uri="s3://b/k",
        artifact_sha256="",
        n_threads=2,
        memory_limit_bytes=0,
        folder=ROOT,
        socket=ROOT / "socket",
    )
    assert server.process_environment(sandbox)[BLAS_PATIENCE] == "18"
    assert job_environment(folder=ROOT, job_name="job", job_arn="arn", given={})[BLAS_PATIENCE] == "18"
    assert data_environment(sandbox)[BLAS_PATIENCE] == "18"
