"""What the tests of the inference path share: an event loop on a thread, and short socket paths."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.endpoints.loop_thread import LoopThread


@pytest.fixture(scope="module")
def loop_thread() -> Iterator[LoopThread]:
    thread = LoopThread()
    yield thread
    thread.close()


@pytest.fixture
def socket_dir() -> Iterator[Path]:
    """A folder with a path short enough for unix sockets, unlike pytest's own temporary folder."""
    with tempfile.TemporaryDirectory(prefix="mlp-") as folder:
        yield Path(folder)
