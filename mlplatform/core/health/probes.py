"""Whether database, broker and object store answer: each probe does the real thing once, and raises what came of it.

Called by the health answer and the doctor, on threads that may be left behind: a probe bounds itself where it can.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection
from django.db.models import F

from mlplatform.core.broker import app
from mlplatform.core.health.outages import impatient
from mlplatform.core.models import Revision
from mlplatform.core.storage.objects import object_store

BROKER_LIMIT_S: Final = 1
_PROBE: Final = "s3://mlplatform-health/probe"
_PROBE_ROW: Final = "health-probe"
_WAITING_COMMANDS: Final = frozenset({"brpop", "blpop", "bzmpop", "blmpop"})


class OtherBytes(Exception):
    """The store gave back something else than it was given."""


@dataclass(frozen=True)
class BrokerState:
    """What a broker says of itself.

    Attributes:
        latency_ms: How long it took to answer the smallest request; to be connected to, where there is none.
        n_messages: How many wait in each queue that was asked for; a queue that is not there has none.
        n_consumers: How many clients wait for work; None where the broker does not tell.
        memory_bytes, memory_limit_bytes: Of a Redis; 0 is no limit.
    """

    latency_ms: float
    version: str = ""
    n_messages: dict[str, int] = field(default_factory=dict)
    n_consumers: int | None = None
    memory_bytes: int = 0
    memory_limit_bytes: int = 0


def database_missing() -> Path | None:
    """The file of a SQLite database that is not there: connecting would make an empty one."""
    if connection.vendor != "sqlite":
        return None
    name = str(connection.settings_dict["NAME"])
    path = Path(name)
    return None if ":memory:" in name or name.startswith("file:") or path.exists() else path


def database_probe() -> float:
    """A query answered: the milliseconds that took, connecting included. Raises FileNotFoundError and Django's own."""
    missing = database_missing()
    if missing is not None:
        raise FileNotFoundError(str(missing))
    begin = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.fetchone()
    return _ms_since(begin)


def database_write_probe() -> None:
    """A row of the probe's own changed and committed: a full disk is not noticed sooner. Raises Django's errors."""
    with impatient():
        if not Revision.objects.filter(name=_PROBE_ROW).update(value=F("value") + 1):
            Revision.objects.get_or_create(name=_PROBE_ROW)


def database_takes_writes() -> bool:
    """Whether the database takes heartbeats: where it does not, everybody seems to be silent."""
    try:
        database_write_probe()
    except DatabaseError:
        return False
    return True


def broker_probe() -> float:
    """The broker answered: the milliseconds that it took. Raises what the broker's library raises."""
    with _broker() as (_connection, latency_ms):
        return latency_ms


def broker_state(*, queues: tuple[str, ...]) -> BrokerState:
    """What is in the queues, and who waits for it. Raises what the broker's library raises."""
    with _broker() as (broker, latency_ms):
        redis = getattr(broker.default_channel, "client", None)
        if redis is None:
            return BrokerState(latency_ms, n_messages={queue: _amqp_size(broker, queue) for queue in queues})
        told = redis.info()
        waiting = [each for each in redis.client_list() if each.get("cmd", "").lower() in _WAITING_COMMANDS]
        return BrokerState(
            latency_ms,
            version=str(told.get("redis_version", "")),
            n_messages={queue: int(redis.llen(queue)) for queue in queues},
            n_consumers=len(waiting),
            memory_bytes=int(told.get("used_memory", 0)),
            memory_limit_bytes=int(told.get("maxmemory", 0)),
        )


def store_folder() -> Path | None:
    """The folder of a store that is one on this machine."""
    parts = urlsplit(settings.OBJECT_STORE_URL)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None


def store_probe() -> float:
    """A small object written, read and deleted: the milliseconds that took. Raises TransientError or OtherBytes."""
    begin = time.monotonic()
    written = secrets.token_bytes(8)
    address = f"{_PROBE}-{written.hex()}"
    store = object_store()
    store.put_bytes(written, address)
    try:
        read = store.get_bytes(address)
    finally:
        store.delete([address])
    if read != written:
        raise OtherBytes("other bytes came back")
    return _ms_since(begin)


@contextmanager
def _broker() -> Iterator[tuple[Any, float]]:
    """A connection that has answered, and after how many milliseconds."""
    limits = {"socket_connect_timeout": BROKER_LIMIT_S, "socket_timeout": BROKER_LIMIT_S}
    with app.connection(settings.CELERY_BROKER_URL, transport_options=limits) as broker:
        begin = time.monotonic()
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_LIMIT_S)
        redis = getattr(broker.default_channel, "client", None)
        if redis is not None:
            # Redis connects at the first command only.
            redis.ping()
            begin = time.monotonic()
            redis.ping()
        yield broker, _ms_since(begin)


def _amqp_size(broker: Any, queue: str) -> int:
    """A queue that nobody has declared yet closes the channel, so each gets one of its own."""
    try:
        with broker.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).message_count)
    except broker.channel_errors:
        return 0


def _ms_since(begin: float) -> float:
    return round((time.monotonic() - begin) * 1000, 2)
