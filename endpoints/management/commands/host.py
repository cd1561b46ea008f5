"""`manage.py host`: runs model servers on this machine until it is told to end."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError

from endpoints.reconciler import Host
from endpoints.relay.place import RelayAddressWrong, RelayPlace
from endpoints.relay.running import LoopThread, relay_serve
from endpoints.services.relay import relay_key, relay_place_checked
from jobs.instance_types import queues_read
from jobs.runner.isolation import SandboxUnavailable, isolation
from mlplatform.core.env import env_text, runtime_dir
from mlplatform.core.models import NodeKind
from mlplatform.core.node_start import NodeRefused, name_words, node_start
from mlplatform.core.nodes import NodeTaken
from mlplatform.core.startup.services_wait import EXIT_WRONG


class Command(BaseCommand):
    help = "Runs the replicas of endpoints on this machine: starts, watches and ends their model servers."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", default="", help="unique among hosts; default: the machine's host name")
        parser.add_argument("--queues", default="cpu", help="queues, separated by commas (default: cpu)")
        parser.add_argument("--capacity", type=int, default=100, help="how many replicas it takes at most")

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"] or env_text("MLPLATFORM_HOST_NAME") or socket.gethostname()
        if options["capacity"] < 1:
            raise CommandError(f"--capacity {options['capacity']}: give 1 or more")
        try:
            queues = queues_read(options["queues"])
        except ValueError as error:
            raise CommandError(str(error)) from None
        try:
            isolation()
        except SandboxUnavailable as error:
            raise CommandError(str(error)) from None
        with _lock(name):
            try:
                place = relay_place_checked()
                node_start(kind=NodeKind.HOST, name=name)
            except RelayAddressWrong as error:
                raise CommandError(str(error), returncode=EXIT_WRONG) from None
            except (ValueError, NodeRefused) as error:
                raise CommandError(str(error)) from None
            host = Host(name=name, queues=queues, capacity=options["capacity"])
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: host.stop())
            with _relay(place):
                _run(host)


def _run(host: Host) -> None:
    try:
        host.run()
    except NodeTaken as taken:
        raise CommandError(name_words(taken.holder)) from None


@contextlib.contextmanager
def _relay(place: RelayPlace | None) -> Iterator[None]:
    """The relay of this machine, on a thread of its own, as long as the host runs."""
    if place is None:
        yield
        return
    key, folder = relay_key(), runtime_dir()
    thread = LoopThread("relay", lambda: relay_serve(place, key=key, folder=folder))
    thread.start()
    try:
        yield
    finally:
        thread.end()


def _lock(name: str) -> IO[str]:
    """Held while the host runs: a second one on this data directory would end the first one's model servers."""
    folder = runtime_dir()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = Path(folder / "host.lock").open("a+", encoding="ascii")  # noqa: SIM115  open while the host runs
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        running = file.read(20).strip()
        file.close()
        raise CommandError(
            f"host {name}: a host (process {running}) already serves this data directory; one is enough"
        ) from None
    with contextlib.suppress(OSError):  # on a full disk the lock holds all the same
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
    return file
