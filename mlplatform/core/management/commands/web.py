"""`manage.py web`: serves pages, REST API and admin on a unix socket; the gateway brings the requests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from types import FrameType
from typing import Any, Final

import uvicorn
from django.core.management.base import BaseCommand, CommandParser
from django.urls import get_resolver

from mlplatform.core.env import runtime_dir

LOOK_S: Final = 1.0
"""How often the time in the answers' headers is put right."""
KEEP_ALIVE_S = 120
"""Longer than the gateway keeps an idle connection, so that it is the gateway that closes it."""
GRACE_S = 3
"""For requests under way at the end; event streams never end by themselves."""


class Command(BaseCommand):
    help = "Serves the Django application on the unix socket run/web.sock."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--socket", type=Path, default=None, help="default: run/web.sock in the data directory"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["socket"] or runtime_dir() / "web.sock"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        assert get_resolver().url_patterns  # loads every view now: no slow first request, no late surprise
        server = Server(_config())
        with _listener(path) as listener:
            server.run(sockets=[listener])


class Server(uvicorn.Server):
    """Sleeps until a request comes. uvicorn's own looks ten times a second whether it is to end, which is most of what
    an idle web process takes; ours is told.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._told = asyncio.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LOOK_S)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._told.set)


def _config() -> uvicorn.Config:
    return uvicorn.Config(
        "mlplatform.asgi:application",
        access_log=False,
        log_config=None,
        log_level="warning",
        lifespan="off",
        proxy_headers=True,
        forwarded_allow_ips="*",  # only the gateway, which runs as the same user, can open the socket
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _listener(path: Path) -> socket.socket:
    """A bound socket that only this user can connect to; uvicorn's own would be open to all."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    return listener
