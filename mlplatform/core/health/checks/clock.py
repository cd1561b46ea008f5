"""The clock: leases, heartbeats and sessions compare instants of several machines, so those have to agree."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Final

from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.database_clock import SKEW_MANY_S, SKEW_S, database_ahead_s
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.models import Node
from mlplatform.core.nodes import CLOCK, nodes_alive
from mlplatform.core.text import text as _

CHECK: Final = "clock"
_REMEDY: Final = _(
    "Let every machine take its time from the network: `timedatectl set-ntp true` (chrony or systemd-timesyncd)."
)
_offset_s: float | None = None


@doctor_check(CHECK, title=_("Clock"), reads_database=True)
def clock_check() -> Iterator[Finding]:
    wrong = [*_jump(), *_server_skew(), *_reported_skew(), *_node_skew()]
    if not wrong:
        yield Finding(
            CHECK, Level.OK, _("{now} UTC; all clocks agree", now=f"{clock.now():%Y-%m-%d %H:%M:%S}")
        )
    yield from wrong


def _jump() -> Iterator[Finding]:
    """Since this process looked last, the wall clock and the steady clock have gone the same way, or one was set."""
    global _offset_s
    before, _offset_s = _offset_s, time.time() - time.monotonic()
    moved_s = 0.0 if before is None else _offset_s - before
    if abs(moved_s) > SKEW_S:
        yield Finding(
            CHECK,
            Level.WARNING,
            _(
                "The clock of this machine was set {direction} by {time} since the last look",
                direction=_("forward") if moved_s > 0 else _("back"),
                time=time_text(abs(moved_s)),
            ),
            _REMEDY,
        )


def _server_skew() -> Iterator[Finding]:
    skew_s = database_ahead_s()
    if abs(skew_s) > SKEW_S:
        yield Finding(
            CHECK,
            _level(skew_s),
            _(
                "The clock of the database server differs from this machine's by {time}",
                time=time_text(abs(skew_s)),
            ),
            _REMEDY,
        )


def _reported_skew() -> Iterator[Finding]:
    """What processes of other machines say of their own clocks."""
    worst: dict[str, float] = {}
    for node in nodes_alive().filter(info__has_key=CLOCK).exclude(hostname=socket.gethostname()):
        skew_s = float(node.info[CLOCK])
        worst[node.hostname] = max(worst.get(node.hostname, 0.0), skew_s, key=abs)
    for hostname, skew_s in sorted(worst.items()):
        if abs(skew_s) > SKEW_S:
            yield Finding(
                CHECK,
                _level(skew_s),
                _(
                    "The clock of {host} differs from the database server's by {time}",
                    host=hostname,
                    time=time_text(abs(skew_s)),
                ),
                _REMEDY,
            )


def _node_skew() -> Iterator[Finding]:
    """A heartbeat of the future was written by a clock that is ahead of ours. One that is behind looks like silence."""
    now = clock.now()
    ahead: dict[str, float] = {}
    for node in Node.objects.filter(seen_at__gt=now):
        skew_s = (node.seen_at - now).total_seconds()
        ahead[node.hostname] = max(skew_s, ahead.get(node.hostname, 0.0))
    for hostname, skew_s in sorted(ahead.items()):
        if skew_s > SKEW_S:
            yield Finding(
                CHECK,
                _level(skew_s),
                _(
                    "The clock of {host} is {time} ahead of this machine's: the end of a process there is seen late",
                    host=hostname,
                    time=time_text(skew_s),
                ),
                _REMEDY,
            )


def _level(skew_s: float) -> Level:
    return Level.FAILED if abs(skew_s) > SKEW_MANY_S else Level.WARNING
