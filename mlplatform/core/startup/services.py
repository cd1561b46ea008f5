"""Whether the database, broker and object store of the settings answer, in words that name the setting. Django-free.

Each is asked once; `services_wait.py` calls it. What a refusal means is `refusals.py`'s.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mlplatform.core.env import env_text
from mlplatform.core.startup.addresses import BROKER, DATABASE, ENDPOINT, STORE, Trouble, address_shown
from mlplatform.core.startup.migrations import migrations_known
from mlplatform.core.startup.refusals import CONNECT_S, Said, broker_refusal, postgres_refusal, store_refusal

POSTGRES_LEAST: Final = 140000
_LIBPQ: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "options", "target_session_attrs", "service"}
)


def service_ask(setting: str, address: str, *, migrates: bool = False) -> Trouble | None:
    """Connects to what the setting names and uses it once; None where all is well.

    Args:
        setting: One of `addresses.SETTINGS`, whose text was checked before.
        migrates: Whether who asks makes the tables, and does not wait for them.
    """
    said = _database(address, migrates=migrates) if setting == DATABASE else _ASK[setting](address)
    if said is None:
        return None
    return Trouble(setting, address_shown(address), *said)


# ---- the database


def _database(address: str, *, migrates: bool) -> Said | None:
    if address.startswith("sqlite"):
        return _sqlite(address)
    import psycopg

    try:
        with psycopg.connect(**_libpq(address), connect_timeout=CONNECT_S, autocommit=True) as connection:
            return _tables(connection, migrates=migrates)
    except psycopg.errors.InsufficientPrivilege:
        return "its user may not read the tables there; make it their owner, or GRANT what it needs", False
    except psycopg.ProgrammingError:
        return "an option behind the ? is not known to Postgres' client library", False
    except psycopg.Error as error:
        return postgres_refusal(str(error), address)


def _libpq(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    given = {
        "host": unquote(parts.hostname or ""),
        "port": parts.port,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "dbname": unquote(parts.path.lstrip("/")),
    }
    if parts.hostname and "%" in parts.hostname:  # a socket's folder, whose case urlsplit does not keep
        place = parts.netloc.rpartition("@")[2]
        given["host"] = unquote(place.rpartition(":")[0] if parts.port else place)
    options = {name: value for name, value in parse_qsl(parts.query) if name in _LIBPQ}
    return {name: value for name, value in given.items() if value} | options


def _tables(connection: Any, *, migrates: bool) -> Said | None:
    if connection.info.server_version < POSTGRES_LEAST:
        version = connection.info.server_version // 10000
        return f"the server is Postgres {version}; {POSTGRES_LEAST // 10000} or newer is needed", False
    [standby, may_create, has_table] = connection.execute(
        "SELECT pg_is_in_recovery(), coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), "
        "to_regclass('django_migrations') IS NOT NULL"
    ).fetchone()
    if standby:
        return "the server is a standby that takes no writes; is this the primary's address?", True
    applied: set[tuple[str, str]] = set()
    if has_table:
        applied = set(connection.execute("SELECT app, name FROM django_migrations").fetchall())
    missing = sorted(migrations_known() - applied)
    if migrates or not missing:
        if missing and not may_create:
            return (
                "its user may not make tables there; make it the owner of the database, or GRANT CREATE",
                False,
            )
        return None
    if not applied:
        return "the database is empty; `manage.py migrate` makes its tables", True
    first = ".".join(missing[0])
    return (
        f"{len(missing)} changes of its tables are missing, first {first}; `manage.py migrate` makes them",
        True,
    )


def _sqlite(address: str) -> Said | None:
    path = Path(unquote(urlsplit(address).path)[1:])
    if str(path) == ":memory:" or not path.name:
        return "a database in memory is each process' own; use sqlite:////folder/file", False
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}", False
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        return "this user may not write it", False
    return None


# ---- the broker


def _broker(address: str) -> Said | None:
    from kombu import Connection

    limits = {"socket_connect_timeout": CONNECT_S, "socket_timeout": CONNECT_S}
    try:
        with Connection(address, connect_timeout=CONNECT_S, transport_options=limits) as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=CONNECT_S)
            redis = getattr(connection.default_channel, "client", None)
            if redis is not None:
                redis.ping()
    except Exception as error:  # each broker's library has errors of its own
        return broker_refusal(error, address)
    return None


# ---- the object store


def _store(address: str) -> Said | None:
    if address.startswith("file:"):
        return _folder(Path(unquote(urlsplit(address).path)))
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    from mlplatform.core.storage.store import s3_config

    try:
        backend = from_url(
            address,
            config=s3_config(),
            client_options={
                "timeout": timedelta(seconds=CONNECT_S),
                "connect_timeout": timedelta(seconds=CONNECT_S),
                "allow_http": env_text(ENDPOINT).startswith("http://"),
            },
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=CONNECT_S)},
        )
        key = f"mlplatform-health/start-{os.urandom(8).hex()}"
        obstore.put(backend, key, b"start")
        obstore.delete(backend, key)
    except (BaseError, OSError, ValueError) as error:
        return store_refusal(str(error), urlsplit(address).netloc)
    return None


def _folder(path: Path) -> Said | None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return f"the folder cannot be made: {error.strerror}", False
    return None if os.access(path, os.W_OK | os.X_OK) else ("this user may not write the folder", False)


_ASK: Final[dict[str, Callable[[str], Said | None]]] = {BROKER: _broker, STORE: _store}
