"""Whether the database, broker and object store of the settings answer, in words that name the setting. Django-free.

Each is asked once; `services_wait.py` calls it. Errors' own texts are never shown: some libraries put addresses with
passwords into them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mlplatform.core.env import PROJECT_ROOT, env_text
from mlplatform.core.startup.addresses import BROKER, DATABASE, ENDPOINT, STORE, Trouble, address_shown

CONNECT_S: Final = 5
POSTGRES_LEAST: Final = 140000
_ROOMS: Final = {
    "core": PROJECT_ROOT / "mlplatform" / "core",
    "jobs": PROJECT_ROOT / "jobs",
    "endpoints": PROJECT_ROOT / "endpoints",
    "monitoring": PROJECT_ROOT / "monitoring",
}
_MIGRATION: Final = re.compile(r"\d{4}_\w+\.py")
_LIBPQ: Final = frozenset(
    {"sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "options", "target_session_attrs", "service"}
)
_NO_SERVER: Final = "nobody listens there (connection refused); is it started, and is the port right?"
_NO_HOST: Final = "there is no host of that name"
_NO_ANSWER: Final = f"no answer within {CONNECT_S} s; is the network open between here and there?"
_NO_CREDENTIALS: Final = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
Said = tuple[str, bool]
"""What is wrong, and whether it may pass."""


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
        return _postgres_refusal(str(error), address)


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


def _postgres_refusal(text: str, address: str) -> Said:
    parts = urlsplit(address)
    user, name = unquote(parts.username or ""), unquote(parts.path.strip("/"))
    if "password authentication failed" in text or "no password supplied" in text:
        return f"the server refused the password of user '{user}'", False
    if re.search(r'role "[^"]*" does not exist', text):
        return f"the server has no user '{user}'", False
    if re.search(r'database "[^"]*" does not exist', text):
        return f"the server has no database '{name}'; make it: CREATE DATABASE \"{name}\"", False
    if "pg_hba.conf" in text or "permission denied for database" in text:
        return (
            f"the server does not let user '{user}' from here into '{name}' (its pg_hba.conf, GRANT CONNECT)",
            False,
        )
    if "SSL" in text and "does not support" in text:
        return "the server offers no TLS, which sslmode asks for", False
    if any(words in text for words in ("starting up", "shutting down", "recovery mode", "not yet accepting")):
        return "the server is starting or ending", True
    if "too many clients" in text or "connection slots" in text:
        return "the server has no connection left (its max_connections)", True
    return _unreachable(text)


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
    missing = sorted(_migrations() - applied)
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


def _migrations() -> set[tuple[str, str]]:
    """All changes of our tables that this version has."""
    return {
        (room, path.stem)
        for room, folder in _ROOMS.items()
        for path in (folder / "migrations").glob("*.py")
        if _MIGRATION.fullmatch(path.name)
    }


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
        return _broker_refusal(error, address)
    return None


def _broker_refusal(error: Exception, address: str) -> Said:
    causes = list(_causes(error))
    text = " ".join(str(cause) for cause in causes)
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & {"AuthenticationError", "AccessRefused"} or re.search(
        r"WRONGPASS|NOAUTH|ACCESS_REFUSED", text
    ):
        return "the broker refused user or password", False
    if "NOPERM" in text:
        return "the broker's user may not do what is needed (its ACL)", False
    if "DB index is out of range" in text:
        return f"the Redis has no database {urlsplit(address).path.strip('/')}", False
    if "NotAllowed" in kinds or "NOT_ALLOWED" in text:
        return (
            f"the broker has no virtual host '{unquote(urlsplit(address).path[1:]) or '/'}' for this user",
            False,
        )
    if "LOADING" in text or "BusyLoadingError" in kinds:
        return "the Redis is loading its data", True
    if kinds & {"ModuleNotFoundError", "ImportError"}:
        return "the library for this kind of broker is not installed", False
    return _unreachable(" ".join([text, *kinds]))


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
        return _store_refusal(str(error), urlsplit(address).netloc)
    return None


def _store_refusal(text: str, bucket: str) -> Said:
    if "NoSuchBucket" in text:
        return f"there is no bucket '{bucket}'; make it, or name another", False
    if re.search(r"SignatureDoesNotMatch|InvalidAccessKeyId|InvalidSignature|Unauthorized|\b401\b", text):
        return "the store refused the key; are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY its own?", False
    if "RequestTimeTooSkewed" in text:
        return "the clock of this machine differs too much from the store's", False
    if re.search(r"AccessDenied|Forbidden|\b403\b|PermissionDenied", text):
        return f"the key may not write and delete in the bucket '{bucket}'", False
    if re.search(r"PermanentRedirect|AuthorizationHeaderMalformed|IncorrectEndpoint", text):
        return "the bucket is in another region; set AWS_REGION", False
    if "169.254." in text or "nstance metadata" in text or "redential" in text:
        return _NO_CREDENTIALS, False
    if re.search(r"\b404\b|NotFound", text):
        return f"there is no bucket '{bucket}' at {_endpoint()}, or no S3 store answers there", False
    said, passes = _unreachable(text)
    return f"{_endpoint()}: {said}", passes


def _endpoint() -> str:
    endpoint = env_text(ENDPOINT)
    return f"{ENDPOINT}={address_shown(endpoint)}" if endpoint else "the store"


def _folder(path: Path) -> Said | None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        return f"the folder cannot be made: {error.strerror}", False
    return None if os.access(path, os.W_OK | os.X_OK) else ("this user may not write the folder", False)


_ASK: Final[dict[str, Callable[[str], Said | None]]] = {BROKER: _broker, STORE: _store}


# ---- the network


def _unreachable(text: str) -> Said:
    lower = text.lower().replace("retry_timeout", "")
    if "connection refused" in lower or "connectionrefused" in lower:
        return _NO_SERVER, True
    if any(
        words in lower
        for words in ("name or service not known", "resolve host", "no address", "lookup address")
    ):
        return _NO_HOST, True
    if "temporary failure in name resolution" in lower:
        return _NO_HOST, True
    if "timeout" in lower or "timed out" in lower or "timedout" in lower:
        return _NO_ANSWER, True
    if "no such file" in lower:
        return "there is no socket at that path; is the server started?", True
    if "certificate" in lower or "ssl" in lower:
        return (
            "the TLS connection could not be made; is it the right port, and is its certificate trusted?",
            True,
        )
    if "unreachable" in lower:
        return "the network or host is unreachable", True
    return "it does not answer as it should; is something else listening there?", True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
