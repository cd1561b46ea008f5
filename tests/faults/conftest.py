"""A cast whose commits other processes see, and a Redis of the test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jobs.services.worker_state import WorkerState
from tests.jobs.training.cast import Cast, cast_make
from tests.jobs.training.processes import redis_running


@pytest.fixture
def threads_cast(transactional_db: None) -> Cast:
    """The cast in a database whose commits other threads and processes see."""
    return cast_make()


@pytest.fixture
def worker() -> WorkerState:
    return WorkerState(name="worker-1")


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    with redis_running(tmp_path) as popen:
        yield popen
