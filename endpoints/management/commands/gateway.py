"""`manage.py gateway`: the one public port. Predictions are served here, all else is handed on to the web process."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from argparse import ArgumentParser
from datetime import datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as DatabaseFault
from django.db import close_old_connections

from endpoints.capture.recorder import Recorder
from endpoints.capture.spool import Spool, SpoolLimits
from endpoints.capture.uploader import Uploader
from endpoints.gateway.relay import GatewayRelay
from endpoints.gateway.runs import RunsDoor
from endpoints.gateway.server import GatewayConfig, gateway_run
from endpoints.gateway.tables import flush, load_table, write_loads
from endpoints.relay.place import RelayAddressWrong, relay_info
from endpoints.services.captured_files import capture_state_report, captured_file_keep
from endpoints.services.relay import relay_key, relay_place_checked
from endpoints.services.run_tokens import run_token_key
from endpoints.serving.address import Address
from endpoints.serving.lifeline import Lifeline
from endpoints.wake import gateway_wake_socket
from mlplatform.core import clock
from mlplatform.core.env import data_dir, env_int, env_list, env_text, runtime_dir
from mlplatform.core.keeping.disk_room import disk_floor_bytes
from mlplatform.core.keeping.machine import MachineSweep
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import HEARTBEAT_S, NodeTaken, node_beat, node_gone
from mlplatform.core.revisions import revision_look_s
from mlplatform.core.startup.services_wait import EXIT_WRONG


class Command(BaseCommand):
    help = "Serves the public port: predictions here, everything else handed on to the web process."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="", help="MLPLATFORM_HOST; default 127.0.0.1")
        parser.add_argument("--port", type=int, default=None, help="MLPLATFORM_PORT; default 8000")
        parser.add_argument("--web-socket", type=Path, default=None, help="default: run/web.sock")

    def handle(self, *args: Any, **options: Any) -> None:
        lifeline = Lifeline(parent_pid=env_int("MLPLATFORM_PARENT_PID", 0))
        config = _config(options)
        heartbeat = _Heartbeat(config.public)
        heartbeat.start()
        recorder, uploader = _capture()
        uploader.start()
        code = gateway_run(
            config,
            load_table=load_table,
            flush=flush,
            write_loads=write_loads,
            recorder=recorder,
            changes=gateway_wake_socket(),
            lifeline=lifeline,
        )
        uploader.end()
        heartbeat.end()
        if code:
            raise CommandError("the gateway could not start", returncode=code)


def _config(options: dict[str, Any]) -> GatewayConfig:
    folder = runtime_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    port = env_int("MLPLATFORM_PORT", 8000) if options["port"] is None else options["port"]
    return GatewayConfig(
        public=Address(host=options["host"] or env_text("MLPLATFORM_HOST", "127.0.0.1"), port=port),
        trusted=Address(path=str(_socket_place(folder, "gateway"))),
        runs=RunsDoor(Address(path=str(_socket_place(folder, "runs"))), key=run_token_key()),
        web=Address(path=str(options["web_socket"] or folder / "web.sock")),
        relay=_relay(folder),
        trusted_proxies=frozenset(env_list("MLPLATFORM_TRUSTED_PROXIES")),
        metrics_token=settings.MLPLATFORM_METRICS_TOKEN,
        reload_every_s=revision_look_s(),
    )


def _capture() -> tuple[Recorder, Uploader]:
    """What captures, and what takes it to the store: from here too what a gateway before this one has left."""
    folder = data_dir() / "capture"
    with contextlib.suppress(OSError):  # told by the uploader, which makes it as soon as that is possible
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    limits = SpoolLimits(
        total_bytes=settings.MLPLATFORM_CAPTURE_SPOOL_BYTES,
        record_bytes=settings.MLPLATFORM_CAPTURE_RECORD_BYTES,
        age_s=settings.MLPLATFORM_CAPTURE_FLUSH_S,
    )
    spool = Spool(folder, limits)
    recorder = Recorder(spool)
    uploader = Uploader(
        spool,
        recorder,
        keep=captured_file_keep,
        report=capture_state_report,
        floor_bytes=lambda total_bytes: disk_floor_bytes(total_bytes=total_bytes),
    )
    return recorder, uploader


def _relay(folder: Path) -> GatewayRelay:
    try:
        return GatewayRelay(key=relay_key(), place=relay_place_checked(), folder=folder)
    except RelayAddressWrong as error:
        raise CommandError(str(error), returncode=EXIT_WRONG) from None
    except ValueError as error:
        raise CommandError(str(error)) from None


def _socket_place(folder: Path, name: str) -> Path:
    """`<name>.sock`, in a folder of its own, so that a sandbox can be shown this socket and no other: what is bound
    there has this name beside the others too.
    """
    socket_path = folder / name / f"{name}.sock"
    socket_path.parent.mkdir(mode=0o700, exist_ok=True)
    link = folder / socket_path.name
    link.unlink(missing_ok=True)
    link.symlink_to(socket_path.relative_to(folder))
    return socket_path


class _Heartbeat(threading.Thread):
    """Tells the database that this gateway is alive; a database that is away is waited for."""

    def __init__(self, public: Address) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._info = {"host": public.host, "port": public.port, **relay_info()}
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._started_at: datetime = clock.now()
        self._ended = threading.Event()
        self._sweep = MachineSweep()

    def run(self) -> None:
        while not self._ended.is_set():
            with contextlib.suppress(DatabaseFault, NodeTaken):
                close_old_connections()
                node_beat(
                    kind=NodeKind.GATEWAY, name=self._name, started_at=self._started_at, info=self._info
                )
                self._sweep()
            self._ended.wait(HEARTBEAT_S)

    def end(self) -> None:
        self._ended.set()
        self.join(2.0)
        with contextlib.suppress(DatabaseFault):
            node_gone(kind=NodeKind.GATEWAY, name=self._name)
