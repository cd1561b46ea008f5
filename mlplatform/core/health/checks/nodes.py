"""Our long-running processes by their heartbeats: alive, silent, started over and over, of another version.

`node_findings` is for every kind; workers and hosts are looked at by their rooms, gateway and scheduler here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.utils.dateparse import parse_datetime

from mlplatform.core import clock
from mlplatform.core.amounts import time_text
from mlplatform.core.env import runtime_dir
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.probes import database_takes_writes
from mlplatform.core.models import Node, NodeKind
from mlplatform.core.nodes import ALIVE_S, VERSION, node_is_gone, node_runs_here
from mlplatform.core.startup.holder import runs_under_up
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

RESTARTS_MANY: Final = 3
SWEEP_LATE_S: Final = 60
_SUBJECTS: Final = {
    NodeKind.WORKER: _("The worker"),
    NodeKind.HOST: _("The host of model servers"),
    NodeKind.GATEWAY: _("The gateway"),
    NodeKind.SCHEDULER: _("The scheduler"),
}
_STARTED_BY_UP: Final = _(
    "`manage.py up` starts it again by itself; its lines in the output of `manage.py up` say why it ended."
)


@doctor_check("gateway", title=_("Gateway"), reads_database=True)
def gateway_check() -> Iterator[Finding]:
    yield from node_findings(
        check="gateway",
        kind=NodeKind.GATEWAY,
        nobody=_("No gateway is alive: no prediction is answered, and nobody reaches the pages from outside"),
        command="gateway",
    )
    for name in ("gateway.sock", "web.sock"):
        if _refuses(name):
            said = _("Nothing answers on the socket {name} of this machine", name=name)
            yield Finding("gateway", Level.FAILED, said, _start_again(name.removesuffix(".sock")))


@doctor_check("scheduler", title=_("Scheduler"), reads_database=True)
def scheduler_check() -> Iterator[Finding]:
    found = node_findings(
        check="scheduler",
        kind=NodeKind.SCHEDULER,
        nobody=_(
            "No scheduler is alive: jobs of lost workers are not started again, experiments stand still, and nothing "
            "is cleaned up"
        ),
        command="scheduler",
    )
    late = list(_late_sweeps())
    yield from (finding for finding in found if not (late and finding.level == Level.OK))
    yield from late


def node_findings(*, check: str, kind: NodeKind, nobody: Text, command: str) -> list[Finding]:
    """What there is to say of the processes of one kind.

    Args:
        nobody: What it means that none is alive.
        command: The arguments of `manage.py` that start one.
    """
    nodes = list(Node.objects.filter(kind=kind))
    heard = [node for node in nodes if _silent_s(node) <= ALIVE_S]
    ended = [node for node in heard if node_is_gone(node)]
    alive = [node for node in heard if node not in ended]
    silent = [node for node in nodes if node not in alive]
    if silent and not database_takes_writes():
        return [_unheard(check, silent)]
    if not alive and ended and runs_under_up():
        return [_just_ended(check, kind, ended)]
    if not alive:
        return [Finding(check, Level.FAILED, _nobody(nobody, silent), _remedy_for(silent, command))]
    lost = [node for node in silent if not _was_replaced(node, alive)]
    wrong = [
        *(_lost(check, node, command) for node in lost),
        *_restarts(check, kind, len(silent) - len(lost)),
        *_versions(check, alive),
    ]
    return wrong or [Finding(check, Level.OK, _alive(alive))]


def _unheard(check: str, silent: list[Node]) -> Finding:
    """The fault is not theirs: what they do they go on doing, but nobody can write that down."""
    last = max(silent, key=lambda node: node.seen_at)
    return Finding(
        check,
        Level.WARNING,
        _(
            "It is not known who is alive: the database takes no heartbeats. {name} was heard of last {time} ago",
            name=last.name,
            time=time_text(_silent_s(last)),
        ),
        _("Mend the database first, or the disk that it lies on; nothing has to be restarted."),
    )


def _just_ended(check: str, kind: NodeKind, ended: list[Node]) -> Finding:
    """Known before its heartbeat is out of date; if none is started meanwhile, that is told as a failure then."""
    last = max(ended, key=lambda node: node.seen_at)
    said = _("{what} has just ended (process {pid})", what=_SUBJECTS[kind], pid=last.pid)
    return Finding(check, Level.WARNING, said, _STARTED_BY_UP)


def _alive(alive: list[Node]) -> Text:
    first = min(node.started_at for node in alive)
    since = time_text(max(0.0, (clock.now() - first).total_seconds()))
    if len(alive) == 1:
        return _("{name} is alive, for {time}", name=alive[0].name, time=since)
    return _("{n} are alive, the first for {time}", n=len(alive), time=since)


def _nobody(nobody: Text, silent: list[Node]) -> Text:
    if not silent:
        return nobody
    last = max(silent, key=lambda node: node.seen_at)
    return _(
        "{what}. {name} was heard of last {time} ago",
        what=nobody,
        name=last.name,
        time=time_text(_silent_s(last)),
    )


def _remedy_for(silent: list[Node], command: str) -> Text:
    hanging = next((node for node in silent if node_runs_here(node)), None)
    return _start_again(command) if hanging is None else _end_hanging(hanging, command)


def _lost(check: str, node: Node, command: str) -> Finding:
    said = _(
        "{name} on {host} has been silent for {time}",
        name=node.name,
        host=node.hostname,
        time=time_text(_silent_s(node)),
    )
    if node_runs_here(node):
        return Finding(check, Level.WARNING, said, _end_hanging(node, command))
    remedy = _(
        "If it is not meant to run any more, this goes away an hour after its last sign. Otherwise: {start}",
        start=_start_again(command),
    )
    return Finding(check, Level.WARNING, said, remedy)


def _end_hanging(node: Node, command: str) -> Text:
    return _(
        "Its process {pid} still exists but does nothing: `kill -CONT {pid}` if it was stopped, else "
        "`kill -KILL {pid}`. {then}",
        pid=node.pid,
        then=_start_again(command),
    )


def _start_again(command: str) -> Text:
    if runs_under_up():
        return _STARTED_BY_UP
    return _(
        "Start it: `.venv/bin/python manage.py {command}`, or `systemctl start` its unit; where one machine is all, "
        "`manage.py up` starts everything.",
        command=command,
    )


def _was_replaced(node: Node, alive: list[Node]) -> bool:
    """Whether another process of the kind began on the same machine after this one fell silent."""
    before = node.seen_at - timedelta(seconds=ALIVE_S)
    return any(each.hostname == node.hostname and each.started_at >= before for each in alive)


def _restarts(check: str, kind: NodeKind, n_replaced: int) -> Iterator[Finding]:
    if n_replaced >= RESTARTS_MANY:
        said = _(
            "{what} ended without a word and was started again {n} times within the last hour",
            what=_SUBJECTS[kind],
            n=n_replaced,
        )
        remedy = _(
            "Its lines in the platform's output say why; without any, the kernel may have killed it for want of memory "
            "(`dmesg`)."
        )
        yield Finding(check, Level.WARNING, said, remedy)


def _versions(check: str, alive: list[Node]) -> Iterator[Finding]:
    others = sorted({node.version for node in alive if node.version != VERSION})
    if others:
        said = _("Version {others} runs beside version {ours}", others=", ".join(others), ours=VERSION)
        yield Finding(
            check,
            Level.WARNING,
            said,
            _("Bring every machine to the same version, then restart its processes."),
        )


def _late_sweeps() -> Iterator[Finding]:
    for node in Node.objects.filter(kind=NodeKind.SCHEDULER):
        swept_at = _swept_at(node)
        if _silent_s(node) > ALIVE_S or node_is_gone(node) or swept_at is None:
            continue
        late_s = (clock.now() - swept_at).total_seconds()
        if late_s > SWEEP_LATE_S:
            said = _(
                "{name} is alive but has not finished a sweep for {time}",
                name=node.name,
                time=time_text(late_s),
            )
            yield Finding(
                "scheduler", Level.FAILED, said, _("Its lines in the platform's output say what stops it.")
            )


def _swept_at(node: Node) -> datetime | None:
    told = node.info.get("swept_at")
    return parse_datetime(told) if isinstance(told, str) else None


def _silent_s(node: Node) -> float:
    return (clock.now() - node.seen_at).total_seconds()


def _refuses(name: str) -> bool:
    """Whether a socket of this machine is there and nobody takes connections: its process ended badly."""
    path = runtime_dir() / name
    if not path.exists():
        return False
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except OSError:
            return True
    return False
