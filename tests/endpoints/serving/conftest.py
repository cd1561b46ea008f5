"""What the tests of the inference path share: an event loop on a thread, and short socket paths."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from endpoints.serving.address import Address
from endpoints.serving.answers import refuse
from endpoints.serving.http1 import HttpServer
from tests.endpoints.loop_thread import LoopThread
from tests.endpoints.serving.http1_echo import LIMITS, Echo, Served


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


@pytest.fixture
def served(loop_thread: LoopThread) -> Iterator[Served]:
    echo = Echo()
    server = loop_thread.make(lambda: HttpServer(echo, refuse=refuse, limits=LIMITS))
    address = loop_thread.call(server.listen(Address(host="127.0.0.1")))
    yield Served((address.host, address.port), echo, server)
    loop_thread.call(server.drain(grace_s=0))
