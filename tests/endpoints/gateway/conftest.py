"""A stage for the gateway's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endpoints.gateway.stage import Stage
from tests.endpoints.loop_thread import LoopThread
from tests.endpoints.serving.conftest import loop_thread, socket_dir

__all__ = ["loop_thread", "socket_dir", "stage"]


@pytest.fixture
def stage(loop_thread: LoopThread, socket_dir: Path) -> Iterator[Stage]:
    made = Stage(loop_thread, socket_dir)
    yield made
    made.close()
