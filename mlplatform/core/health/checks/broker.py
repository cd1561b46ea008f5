"""The broker: whether it answers. What waits in its queues is looked at by those who send it."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings

from mlplatform.core.amounts import latency_text, size_text
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.health.probes import broker_state
from mlplatform.core.startup.holder import runs_under_up
from mlplatform.core.startup.redis import redis_is_private
from mlplatform.core.text import Text
from mlplatform.core.text import text as _

CHECK: Final = "broker"
SLOW_MS: Final = 250.0
MEMORY_NEAR: Final = 0.9


@doctor_check(CHECK, title=_("Broker"))
def broker_check() -> Iterator[Finding]:
    try:
        state = broker_state(queues=())
    except Exception as error:
        # Each broker's library has errors of its own.
        yield broker_away(error)
        return
    latency_ms = state.latency_ms
    if latency_ms > SLOW_MS:
        said = _("The broker took {latency} to answer", latency=latency_text(latency_ms))
        yield Finding(CHECK, Level.WARNING, said, _("Look at the load of its machine and at the network."))
    if state.memory_limit_bytes and state.memory_bytes > MEMORY_NEAR * state.memory_limit_bytes:
        used, limit = size_text(state.memory_bytes), size_text(state.memory_limit_bytes)
        said = _("Redis uses {used} of the {limit} that it may", used=used, limit=limit)
        remedy = _("Raise maxmemory, or give the platform a Redis of its own: it keeps some kilobytes there.")
        yield Finding(CHECK, Level.WARNING, said, remedy)
    if latency_ms <= SLOW_MS:
        name = f"Redis {state.version}" if state.version else urlsplit(settings.CELERY_BROKER_URL).scheme
        said = _("{name} answered in {latency}", name=name, latency=latency_text(latency_ms))
        yield Finding(CHECK, Level.OK, said)


def broker_away(error: Exception) -> Finding:
    """What to say and do about a broker that raised `error`."""
    hangs = any("timeout" in type(each).__name__.lower() for each in _causes(error))
    if hangs:
        said = _("The broker takes connections but does not answer: its process hangs or is stopped")
    elif _is_refusal(error):
        said = _("The broker refused us: wrong user or password")
    else:
        said = _("The broker cannot be reached")
    consequence = _("{said}. Jobs and table runs wait until it is back; none is lost.", said=said)
    return Finding(CHECK, Level.FAILED, consequence, _remedy(hangs))


def _remedy(hangs: bool) -> Text:
    if not redis_is_private():
        host = urlsplit(settings.CELERY_BROKER_URL).hostname or "localhost"
        return _(
            "Start it on {host} (`systemctl start redis`, or your broker's service), and check CELERY_BROKER_URL, its "
            "password and the network. What waits is sent again by itself.",
            host=host,
        )
    if not runs_under_up():
        return _(
            "Nothing runs the platform's own Redis: start it with `.venv/bin/python manage.py up`, or set "
            "CELERY_BROKER_URL to a Redis or RabbitMQ of yours."
        )
    if hangs:
        return _(
            "End it: `kill -KILL {pid}`. `manage.py up` starts another within seconds; what waits is sent again.",
            pid=_listener(urlsplit(settings.CELERY_BROKER_URL).path),
        )
    return _(
        "`manage.py up` starts its Redis again within seconds. If this stays, the lines of `redis` in the output of "
        "`manage.py up` say why it ends."
    )


def _listener(path: str) -> int:
    """The process that listens on a unix socket: the kernel knows it, also where the process does nothing."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        connection.connect(path)
        told = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", told)[0]
    return pid


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_refusal(error: Exception) -> bool:
    return any("auth" in type(each).__name__.lower() or "WRONGPASS" in str(each) for each in _causes(error))
