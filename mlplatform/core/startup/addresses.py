"""The three addresses that a platform may be given (database, broker, object store), checked as text. Django-free.

Nothing is connected to: that is `services.py`. What is wrong here stays wrong, and is told before anything starts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote, urlsplit

from mlplatform.core.env import env_text

DATABASE: Final = "DATABASE_URL"
BROKER: Final = "CELERY_BROKER_URL"
STORE: Final = "OBJECT_STORE_URL"
SETTINGS: Final = (DATABASE, BROKER, STORE)
ENDPOINT: Final = "AWS_ENDPOINT_URL"

_SCHEMES: Final = {
    DATABASE: ("postgres", "postgresql", "sqlite"),
    BROKER: ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps"),
    STORE: ("file", "s3"),
}
_EXAMPLES: Final = {
    DATABASE: "postgres://user:password@host:5432/name",
    BROKER: "redis://:password@host:6379/0 or amqp://user:password@host:5672/vhost",
    STORE: "s3://bucket or file:///folder",
}
_UNREADABLE: Final = (
    "the host or port cannot be read: a port is a whole number from 1 to 65535, and characters such as @ / # in a "
    "password are written as %40 %2F %23"
)
_ON: Final = frozenset({"1", "true", "yes", "on"})


@dataclass(frozen=True)
class Trouble:
    """Why a setting's service cannot be used.

    Attributes:
        setting: Which setting names it.
        shown: Its address without password and options.
        said: What is wrong and what would be right, in one line.
        passes: Whether it may come right by itself, so that waiting makes sense.
    """

    setting: str
    shown: str
    said: str
    passes: bool = False

    @property
    def line(self) -> str:
        return f"{self.setting} ({self.shown}): {self.said}" if self.shown else f"{self.setting}: {self.said}"


def addresses_given() -> dict[str, str]:
    """The settings that are set, by name. Raises OSError where a `_FILE` of one cannot be read."""
    return {name: text for name in SETTINGS if (text := env_text(name))}


def addresses_check() -> list[Trouble]:
    """What is wrong with the settings that are set, as far as their text tells; empty where nothing is."""
    found = []
    for name in SETTINGS:
        try:
            text = env_text(name)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            path = os.environ.get(f"{name}_FILE", "")
            found.append(Trouble(f"{name}_FILE", path, f"the file cannot be read: {reason}"))
            continue
        said = address_wrong(name, text) if text else ""
        if said:
            found.append(Trouble(name, address_shown(text), said))
    return found


def address_shown(text: str) -> str:
    """The address as it may be printed: without password, query and fragment."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return ""
    credentials, at, place = rest.rpartition("@")  # the last: a password may have any character
    host = place.partition("?")[0].partition("#")[0]
    user = credentials.partition(":")[0]
    return f"{scheme}://{f'{user}@' if at and user else ''}{host}"


def address_wrong(name: str, text: str) -> str:
    """What is wrong with the address as the value of that setting; empty where its text tells nothing."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        return f"this is no address; use {_EXAMPLES[name]}"
    if scheme not in _SCHEMES[name]:
        accepted = ", ".join(f"{each}://" for each in _SCHEMES[name])
        return f"the scheme '{scheme}' is not one of {accepted}; use {_EXAMPLES[name]}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return _unreadable(name)
    if port == 0:
        return "the port 0 is none; a port is a whole number from 1 to 65535"
    return _WRONG_PARTS[name](scheme, parts.hostname or "", unquote(parts.path))


def _unreadable(name: str) -> str:
    return f"{_UNREADABLE}; use {_EXAMPLES[name]}"


def _wrong_database(scheme: str, host: str, path: str) -> str:
    if not path.strip("/"):
        return f"the name of the database is missing; use {_EXAMPLES[DATABASE]}"
    if scheme != "sqlite" and path.count("/") > 1:
        if "@" in path:  # the rest of a password
            return _unreadable(DATABASE)
        return f"'{path.strip('/')}' is not the name of a database; use {_EXAMPLES[DATABASE]}"
    return ""


def _wrong_broker(scheme: str, host: str, path: str) -> str:
    if scheme == "redis+socket":
        return (
            ""
            if path.strip("/")
            else "the path of the socket is missing; use redis+socket:///path/redis.sock"
        )
    if not host:
        return f"the host is missing; use {_EXAMPLES[BROKER]}"
    database = path.strip("/")
    if scheme in {"redis", "rediss"} and database and not database.isdecimal():
        if "@" in database:  # the rest of a password
            return _unreadable(BROKER)
        return f"'{database}' is not the number of a Redis database; use {_EXAMPLES[BROKER]}"
    return ""


def _wrong_store(scheme: str, host: str, path: str) -> str:
    if scheme == "file":
        return "" if path.strip("/") else "the folder is missing; use file:///folder"
    if not host:
        return "the bucket is missing; use s3://bucket"
    endpoint = env_text(ENDPOINT)
    if not endpoint:
        return ""
    kind, separator, _ = endpoint.partition("://")
    if not separator or kind not in {"http", "https"}:
        return f"{ENDPOINT}={address_shown(endpoint) or endpoint!r} is no address; use https://host or http://host:port"
    try:
        port = urlsplit(endpoint).port
    except ValueError:
        port = 0
    if port == 0:
        return f"{ENDPOINT}={address_shown(endpoint)} has no port from 1 to 65535"
    if kind == "http" and env_text("AWS_ALLOW_HTTP").strip().lower() not in _ON:
        return f"{ENDPOINT} begins with http://, which is used only with AWS_ALLOW_HTTP=true"
    return ""


_WRONG_PARTS: Final = {DATABASE: _wrong_database, BROKER: _wrong_broker, STORE: _wrong_store}
