"""The web process sleeps until it is asked, and ends as soon as it is told."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvicorn

from mlplatform.core.management.commands.web import Server


class Watched(Server):
    n_looks = 0

    async def on_tick(self, counter: int) -> bool:
        self.n_looks += 1
        return await super().on_tick(counter)


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody asks")


def test_it_looks_seldom_has_the_time_for_its_answers_and_ends_when_it_is_told() -> None:
    async def course() -> tuple[int, list[tuple[bytes, bytes]]]:
        server = Watched(uvicorn.Config(nothing, log_config=None))
        running = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.5)
        looks, headers = server.n_looks, server.server_state.default_headers
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(running, 0.4)
        return looks, headers

    looks, headers = asyncio.run(course())
    assert looks == 1
    assert b"date" in dict(headers)


def test_it_ends_at_once_when_it_was_told_before_it_began() -> None:
    async def course() -> None:
        server = Watched(uvicorn.Config(nothing, log_config=None))
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(server.main_loop(), 0.4)

    asyncio.run(course())
