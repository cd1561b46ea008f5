from __future__ import annotations

import pytest

from jobs.services.worker_state import WorkerState
from tests.jobs.training.cast import Cast, cast_make


@pytest.fixture
def cast(db: None) -> Cast:
    return cast_make()


@pytest.fixture
def threads_cast(transactional_db: None) -> Cast:
    """The cast in a database whose commits other threads see."""
    return cast_make()


@pytest.fixture
def worker() -> WorkerState:
    return WorkerState(name="worker-1")
