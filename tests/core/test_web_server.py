"""The web process sleeps until it is asked, and ends as soon as it is told."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import uvicorn

from mlplatform.core.management.commands.web import LOOK_S, Server
from tests.polling import wait_until


class Watched(Server):
    n_looks = 0

    async def on_tick(self, counter: int) -> bool:
        self.n_looks += 1
        return await super().on_tick(counter)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


def server() -> Watched:
    return Watched(uvicorn.Config(nothing, log_config=None, lifespan="off"))


def test_it_looks_seldom_has_the_time_for_its_answers_and_ends_when_it_is_told(tmp_path: Path) -> None:
    found = server()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "web.sock"))
        running = threading.Thread(target=lambda: asyncio.run(found.serve(sockets=[listener])))
        begun = time.monotonic()
        running.start()
        wait_until(lambda: found.n_looks > 0, what="it has begun")
        time.sleep(LOOK_S / 2)
        n_most = 2 + (time.monotonic() - begun) / LOOK_S
        assert found.n_looks <= n_most
        assert b"date" in dict(found.server_state.default_headers)
        found.handle_exit(signal.SIGTERM, None)
        told = time.monotonic()
        running.join(10)
        assert not running.is_alive()
    assert time.monotonic() - told < LOOK_S, "it waited for its next look"


def test_it_ends_at_once_when_it_was_told_before_it_began() -> None:
    async def course() -> None:
        found = server()
        found.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(found.main_loop(), LOOK_S / 2)

    asyncio.run(course())
