"""`manage.py scheduler`: sweeps, every second, what lost workers and messages left undone. Any number may
run.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error as DatabaseFault
from django.db import connection

from jobs.services.lifecycle import LEASE_S
from jobs.services.sweeping import Resending, jobs_sweep, sweep_nodes
from mlplatform.core import clock
from mlplatform.core.keeping.lease_sweeps import lease_sweeps_run
from mlplatform.core.keeping.sweeps import Lane, SweepThread
from mlplatform.core.models import NodeKind
from mlplatform.core.node_start import ClockTold, NodeRefused, name_words, node_start
from mlplatform.core.nodes import HEARTBEAT_S, NodeTaken, node_beat, node_gone

logger = logging.getLogger("scheduler")
INTERVAL_S = 1.0
LEASES_EVERY_S = 2.0
"""For leases of other rooms, which ask the database a dozen questions even where nothing is leased."""
AWAY_S = 10.0
END_S = 3.0


class Command(BaseCommand):
    help = "Starts lost jobs again, sends lost messages again, ends what nobody owns."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--name", default=f"{socket.gethostname()}-{os.getpid()}")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            node_start(kind=NodeKind.SCHEDULER, name=options["name"])
        except NodeRefused as error:
            raise CommandError(str(error)) from None
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        sweeper = Sweeper(options["name"])
        # On threads of their own: a store that hangs must not hold up leases, nor a long search deletions.
        threads = [SweepThread(lane=lane) for lane in Lane]
        for thread in threads:
            thread.start()
        while not ended.wait(INTERVAL_S):
            sweeper.turn()
        for thread in threads:
            thread.end()
        for thread in threads:
            thread.join(END_S)
        sweeper.close()


class Sweeper:
    """Sweeps; after a time without database, a jump of the clock or a sleep of the machine it first gives workers the
    time to prolong their leases.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._started_at = self._swept_on = clock.now()
        self._resending = Resending()
        self._beat_at = 0.0
        self._swept_at = time.monotonic()
        self._clock_watch = clock.ClockWatch()
        self._clock_told = ClockTold()
        self._leases_from = 0.0
        self._leases_swept_at = 0.0

    def turn(self) -> None:
        """One sweep. A database that is away is logged, not raised."""
        try:
            self._beat(time.monotonic())
            now = time.monotonic()  # after the heartbeat, which may have waited long for the database
            if self._clock_watch.jumped() or now - self._swept_at > AWAY_S:
                self._leases_from = now + LEASE_S
            leases = now >= self._leases_from
            jobs_sweep(resending=self._resending, leases=leases)
            if leases and now - self._leases_swept_at >= LEASES_EVERY_S - INTERVAL_S / 2:
                lease_sweeps_run()
                self._leases_swept_at = now
            self._swept_at = time.monotonic()
            self._swept_on = clock.now()
        except DatabaseFault as error:
            logger.warning("database away: %s", error)
            connection.close()

    def close(self) -> None:
        try:
            node_gone(kind=NodeKind.SCHEDULER, name=self._name)
        except DatabaseFault as error:
            logger.warning("the heartbeat stays until it is out of date: %s", error)

    def _beat(self, now: float) -> None:
        if now - self._beat_at < HEARTBEAT_S:
            return
        info = {"swept_at": self._swept_on.isoformat()}
        try:
            node = node_beat(kind=NodeKind.SCHEDULER, name=self._name, started_at=self._started_at, info=info)
        except NodeTaken as taken:  # any number may run: only what is known of this one is not written
            logger.error("%s", name_words(taken.holder))
        else:
            if self._clock_told.is_off(node):
                self._leases_from = now + LEASE_S
        sweep_nodes()
        self._beat_at = now
