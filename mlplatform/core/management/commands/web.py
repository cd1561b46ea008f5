"""`manage.py web`: serves pages, REST API and admin on a unix socket; the gateway brings the requests."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import uvicorn
from django.core.management.base import BaseCommand, CommandParser
from django.urls import get_resolver

from mlplatform.core.env import runtime_dir

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
        server = uvicorn.Server(_config())
        with _listener(path) as listener:
            server.run(sockets=[listener])


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
